/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a container wrote, from the entries that the journal made of it: the marks of the supervisor taken out again
 * (podium/runtime.h, "output in the journal"). Pure.
 */
#ifndef PODIUM_AGENT_LOG_DECODE_H
#define PODIUM_AGENT_LOG_DECODE_H

#include <stdbool.h>
#include <stddef.h>

#include "podium/base/strbuf.h"

/* How an entry's line ended. */
enum log_break {
    LOG_BREAK_NEWLINE,
    LOG_BREAK_NUL,  /* a NUL byte stood there */
    LOG_BREAK_PART, /* more of the line follows in the next entry */
    LOG_BREAK_END,  /* nothing stood there: the end of the output */
};

/* Zeroed: at the start of a line. */
struct log_decoder {
    bool escaped; /* the last byte of the part before was an escape */
    char held[3]; /* a mark, or its beginning, at the end of the part before */
    unsigned n_held;
};

/* Appends the entry's text as it was, without what ended it. */
void log_decode(struct log_decoder *d, const char *p, size_t n, enum log_break end, struct strbuf *out);

#endif
