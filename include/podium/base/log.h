/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Logging to stderr, one line a message. Under journald (JOURNAL_STREAM set) lines carry the "<N>" priority prefix
 * of sd-daemon(3); on a terminal they don't. Only the edges log (main, event loops, workers); functions return
 * errors instead. Thread-safe. The level is the process's one log setting (log_set_level, default info).
 */
#ifndef PODIUM_BASE_LOG_H
#define PODIUM_BASE_LOG_H

#include "podium/base/cleanup.h"

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

void log_set_level(enum log_level level);
/* "error", "warning", "info", "debug"; -EINVAL for anything else. */
int log_parse_level(const char *s, enum log_level *ret);
void log_msg(enum log_level level, const char *fmt, ...) _printf_(2, 3);
/* Logs at error level and returns r, for `return log_errno(r, ...)`. */
int log_errno(int r, const char *fmt, ...) _printf_(2, 3);

#define log_error(...)   log_msg(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_msg(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_msg(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_msg(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
