/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "podium/base/strbuf.h"

#include <string.h>

#include "podium/base/alloc.h"

void strbuf_finish(struct strbuf *b) {
    free(b->data);
    *b = (struct strbuf){.max = b->max};
}

void strbuf_reset(struct strbuf *b) {
    b->len = 0;
    b->overflow = false;
    if (b->data)
        b->data[0] = 0;
}

void strbuf_reserve(struct strbuf *b, size_t more) {
    size_t need = b->len + more + 1;

    if (need <= b->cap)
        return;
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap += cap / 2 + 64;
    b->data = xrealloc(b->data, cap);
    b->cap = cap;
}

void strbuf_add(struct strbuf *b, const void *p, size_t n) {
    if (b->overflow)
        return;
    if (b->max && (n > b->max || b->len > b->max - n)) {
        b->overflow = true;
        return;
    }
    strbuf_reserve(b, n);
    if (n)
        memcpy(b->data + b->len, p, n);
    b->len += n;
    b->data[b->len] = 0;
}

void strbuf_addc(struct strbuf *b, char c) {
    strbuf_add(b, &c, 1);
}

void strbuf_adds(struct strbuf *b, const char *s) {
    strbuf_add(b, s, strlen(s));
}

void strbuf_vaddf(struct strbuf *b, const char *fmt, va_list ap) {
    va_list again;

    va_copy(again, ap);
    char small[256];
    int n = vsnprintf(small, sizeof(small), fmt, ap);
    if (n >= 0 && (size_t) n < sizeof(small)) {
        strbuf_add(b, small, (size_t) n);
    } else {
        _cleanup_free_ char *text = xvasprintf(fmt, again);
        strbuf_adds(b, text);
    }
    va_end(again);
}

void strbuf_addf(struct strbuf *b, const char *fmt, ...) {
    va_list ap;

    va_start(ap, fmt);
    strbuf_vaddf(b, fmt, ap);
    va_end(ap);
}

void strbuf_consume(struct strbuf *b, size_t n) {
    if (n > b->len)
        n = b->len;
    if (!n)
        return;
    memmove(b->data, b->data + n, b->len - n + 1);
    b->len -= n;
}

char *strbuf_steal(struct strbuf *b) {
    char *s = b->data ? b->data : xstrdup("");

    *b = (struct strbuf){.max = b->max};
    return s;
}

const char *strbuf_str(const struct strbuf *b) {
    return b->data ? b->data : "";
}
