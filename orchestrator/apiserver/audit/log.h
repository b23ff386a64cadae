/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where audit events go: a file that is rotated, or the journal. Lines are handed over through a bounded buffer to one
 * thread, which writes all that came meanwhile at once; who handles a request never waits for the disk.
 *
 * When the buffer is full a line is dropped and counted (upstream's mode "batch"), or, blocking, who brings it waits:
 * nothing is lost then, and requests are as slow as the disk.
 *
 * The file is made with mode 0600. It is renamed to NAME-<time>.EXT (as lumberjack, which upstream uses, does) when the
 * next line would make it larger than bytes_max; of the renamed, those older than age_max_sec and those beyond the
 * youngest backups_max are removed. A file that somebody else renamed (logrotate) is noticed and opened anew. What
 * cannot be written is dropped and counted, and said once until it works again.
 */
#ifndef PODIUM_APISERVER_AUDIT_LOG_H
#define PODIUM_APISERVER_AUDIT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/error.h"

#define AUDIT_JOURNAL "journal"

struct audit_log_options {
    const char *path;     /* AUDIT_JOURNAL: journald */
    uint64_t bytes_max;   /* of a file; 0: 100 MiB */
    uint64_t age_max_sec; /* 0: for ever */
    unsigned backups_max; /* 0: all */
    size_t queue_bytes;   /* 0: 16 MiB */
    bool blocking;
};

struct audit_log;
/* -errno when the file cannot be opened. */
int audit_log_new(const struct audit_log_options *o, struct audit_log **ret, struct error *err) _must_check_;
/* Writes what is queued, then ends. NULL is fine. */
void audit_log_free(struct audit_log *l);
/* One line with its line end. Any thread. */
void audit_log_put(struct audit_log *l, const char *line, size_t n);
uint64_t audit_log_dropped(const struct audit_log *l);

#endif
