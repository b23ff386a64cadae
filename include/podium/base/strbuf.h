/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A growing byte buffer, always NUL-terminated behind its length.
 *
 * Invariant: buf.data is never NULL after the first append; buf.data[buf.len] == 0. With a maximum set, an append
 * beyond it sets `overflow` and changes nothing more: check once at the end.
 */
#ifndef PODIUM_BASE_STRBUF_H
#define PODIUM_BASE_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "podium/base/cleanup.h"

struct strbuf {
    char *data;
    size_t len, cap;
    size_t max; /* 0: no maximum */
    bool overflow;
};

#define STRBUF_INIT                                                                                                    \
    { NULL, 0, 0, 0, false }
#define STRBUF_INIT_MAX(m)                                                                                             \
    { NULL, 0, 0, (m), false }

void strbuf_finish(struct strbuf *b); /* frees the bytes; usable with _cleanup_ */
#define _cleanup_strbuf_ _cleanup_(strbuf_finish)

void strbuf_reset(struct strbuf *b); /* len = 0, keeps the allocation */
void strbuf_reserve(struct strbuf *b, size_t more);
void strbuf_add(struct strbuf *b, const void *p, size_t n);
void strbuf_addc(struct strbuf *b, char c);
void strbuf_adds(struct strbuf *b, const char *s);
void strbuf_addf(struct strbuf *b, const char *fmt, ...) _printf_(2, 3);
void strbuf_vaddf(struct strbuf *b, const char *fmt, va_list ap) _printf_(2, 0);
/* Removes n bytes at the front. */
void strbuf_consume(struct strbuf *b, size_t n);
/* Hands the bytes to the caller (never NULL) and resets the buffer. */
char *strbuf_steal(struct strbuf *b);
/* The text, "" when empty. Valid until the next change. */
const char *strbuf_str(const struct strbuf *b);

#endif
