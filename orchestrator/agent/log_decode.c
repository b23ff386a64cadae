/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/log_decode.h"

#include <string.h>

#include "podium/runtime.h"

#define MARK_BYTES (sizeof(POD_LOG_MARK) - 1)

static void unescape(struct log_decoder *d, const char *p, size_t n, struct strbuf *out) {
    if (!d->escaped && (n == 0 || !memchr(p, POD_LOG_ESCAPE, n))) {
        strbuf_add(out, p, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char) p[i];
        if (!d->escaped && c == POD_LOG_ESCAPE) {
            d->escaped = true;
            continue;
        }
        if (!d->escaped)
            strbuf_addc(out, (char) c);
        else if (c == POD_LOG_ESCAPED_NUL)
            strbuf_addc(out, 0);
        else if (c == POD_LOG_ESCAPED_ESCAPE)
            strbuf_addc(out, (char) POD_LOG_ESCAPE);
        d->escaped = false;
    }
}

static bool ends_with(const struct strbuf *out, size_t from, const char *what, size_t n) {
    return out->len >= from + n && memcmp(out->data + out->len - n, what, n) == 0;
}

/* What may be a mark at the end of the line, whole or its beginning, waits for the next part. */
static void hold_back(struct log_decoder *d, size_t from, struct strbuf *out) {
    for (unsigned n = MARK_BYTES; n > 0; n--)
        if (ends_with(out, from, POD_LOG_MARK, n) || ends_with(out, from, POD_LOG_MARK_CR, n)) {
            memcpy(d->held, out->data + out->len - n, n);
            d->n_held = n;
            out->len -= n;
            return;
        }
}

void log_decode(struct log_decoder *d, const char *p, size_t n, enum log_break end, struct strbuf *out) {
    size_t from = out->len;

    strbuf_add(out, d->held, d->n_held);
    d->n_held = 0;
    unescape(d, p, n, out);
    switch (end) {
    case LOG_BREAK_PART:
        hold_back(d, from, out);
        return;
    case LOG_BREAK_NUL:
        break;
    case LOG_BREAK_NEWLINE:
    case LOG_BREAK_END:
        if (ends_with(out, from, POD_LOG_MARK, MARK_BYTES)) {
            out->len -= MARK_BYTES;
        } else if (ends_with(out, from, POD_LOG_MARK_CR, MARK_BYTES)) {
            out->len -= MARK_BYTES;
            strbuf_addc(out, '\r');
        }
        break;
    }
    *d = (struct log_decoder){0};
}
