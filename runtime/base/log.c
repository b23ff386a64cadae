/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "podium/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include "podium/base/strbuf.h"

/* The process's one log setting; everything else of a module lives in its context struct. */
static _Atomic int current_level = LOG_LEVEL_INFO;

void log_set_level(enum log_level level) {
    atomic_store(&current_level, level);
}

int log_parse_level(const char *s, enum log_level *ret) {
    static const struct {
        const char *name;
        enum log_level level;
    } names[] = {
        {"error", LOG_LEVEL_ERROR},
        {"warning", LOG_LEVEL_WARNING},
        {"info", LOG_LEVEL_INFO},
        {"debug", LOG_LEVEL_DEBUG},
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(s, names[i].name) == 0) {
            *ret = names[i].level;
            return 0;
        }
    return -EINVAL;
}

_printf_(2, 0) static void log_vmsg(enum log_level level, const char *fmt, va_list ap) {
    _cleanup_strbuf_ struct strbuf line = STRBUF_INIT_MAX(64u * 1024u);

    if ((int) level > atomic_load(&current_level))
        return;
    if (getenv("JOURNAL_STREAM"))
        strbuf_addf(&line, "<%d>", (int) level);
    else if (level <= LOG_LEVEL_WARNING)
        strbuf_adds(&line, level == LOG_LEVEL_ERROR ? "error: " : "warning: ");
    strbuf_vaddf(&line, fmt, ap);
    strbuf_addc(&line, '\n');
    /* one write, so that lines of several threads do not mix */
    ssize_t n = write(STDERR_FILENO, strbuf_str(&line), line.len);
    (void) n;
}

void log_msg(enum log_level level, const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    log_vmsg(level, fmt, ap);
    va_end(ap);
}

int log_errno(int r, const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    log_vmsg(LOG_LEVEL_ERROR, fmt, ap);
    va_end(ap);
    return r;
}
