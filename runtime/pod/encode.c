/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/pod/encode.h"

#include <string.h>

#include "podium/runtime.h"

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_special(char c) {
    return c == 0 || c == (char) POD_LOG_ESCAPE;
}

static void put(struct pod_encoder *e, struct strbuf *out, char c) {
    strbuf_addc(out, c);
    e->length++;
}

static void put_escaped(struct pod_encoder *e, struct strbuf *out, unsigned char what) {
    put(e, out, (char) POD_LOG_ESCAPE);
    put(e, out, (char) what);
}

static void put_byte(struct pod_encoder *e, struct strbuf *out, char c) {
    if (is_special(c)) {
        put_escaped(e, out, c == 0 ? POD_LOG_ESCAPED_NUL : POD_LOG_ESCAPED_ESCAPE);
        return;
    }
    /* the last of a piece that the journal cuts: it would be stripped there */
    if (is_space(c) && e->length % POD_LOG_LINE_MAX == POD_LOG_LINE_MAX - 1)
        put_escaped(e, out, POD_LOG_ESCAPED_NOTHING);
    put(e, out, c);
}

static void remember_tail(struct pod_encoder *e, const char *p, size_t n) {
    for (size_t i = n > sizeof(e->tail) ? n - sizeof(e->tail) : 0; i < n; i++) {
        if (e->n_tail == sizeof(e->tail)) {
            memmove(e->tail, e->tail + 1, sizeof(e->tail) - 1);
            e->n_tail--;
        }
        e->tail[e->n_tail++] = p[i];
    }
}

static bool tail_is(const struct pod_encoder *e, const char *mark) {
    return e->n_tail == 3 && memcmp(e->tail, mark, 3) == 0;
}

/* Whether the line's end would be lost, or taken for a mark. */
static bool needs_mark(const struct pod_encoder *e) {
    return e->n_tail == 0 || is_space(e->tail[e->n_tail - 1]) || tail_is(e, POD_LOG_MARK) ||
           tail_is(e, POD_LOG_MARK_CR) || e->length % POD_LOG_LINE_MAX == 0;
}

/* A mark must not make the line end where the journal cuts. */
static void put_mark(struct pod_encoder *e, struct strbuf *out, const char *mark) {
    if ((e->length + strlen(mark)) % POD_LOG_LINE_MAX == 0)
        put_escaped(e, out, POD_LOG_ESCAPED_NOTHING);
    strbuf_adds(out, mark);
}

/* A part of a line that has to be looked at byte by byte. */
static bool is_delicate(const struct pod_encoder *e, const char *p, size_t n, bool special) {
    if (e->length + n >= POD_LOG_LINE_MAX)
        return true;
    return special && (memchr(p, 0, n) || memchr(p, POD_LOG_ESCAPE, n));
}

bool pod_encode(struct pod_encoder *e, const char *p, size_t n, struct strbuf *out) {
    const char *end = p + n, *copied = p, *at = p;
    bool special = memchr(p, 0, n) || memchr(p, POD_LOG_ESCAPE, n), changed = false;

    if (e->held_cr && n > 0 && *p != '\n') {
        put_byte(e, out, '\r');
        remember_tail(e, "\r", 1);
        e->held_cr = false;
        changed = true;
    }
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t) (end - at)), *to = newline ? newline : end;
        bool cr = e->held_cr || (to > at && to[-1] == '\r');
        size_t text = (size_t) (to - at) - (to > at && to[-1] == '\r');

        if (is_delicate(e, at, text, special)) {
            strbuf_add(out, copied, (size_t) (at - copied));
            for (size_t i = 0; i < text; i++)
                put_byte(e, out, at[i]);
            copied = at + text;
            changed = true;
        } else {
            e->length += text;
        }
        remember_tail(e, at, text);
        if (!newline && !cr)
            break;
        if (cr || needs_mark(e)) {
            strbuf_add(out, copied, (size_t) (at + text - copied));
            if (newline)
                put_mark(e, out, cr ? POD_LOG_MARK_CR : POD_LOG_MARK);
            copied = to;
            changed = true;
        }
        e->held_cr = cr && !newline;
        if (!newline)
            break;
        *e = (struct pod_encoder){0};
        at = newline + 1;
    }
    if (changed)
        strbuf_add(out, copied, (size_t) (end - copied));
    return changed;
}

void pod_encode_end(struct pod_encoder *e, struct strbuf *out) {
    if (e->held_cr)
        put_mark(e, out, POD_LOG_MARK_CR);
    else if (e->n_tail > 0 && needs_mark(e))
        put_mark(e, out, POD_LOG_MARK);
    *e = (struct pod_encoder){0};
}
