/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/pod/encode.h"

#include <string.h>

#include "podium/runtime.h"

static bool has_special(const char *p, size_t n) {
    return memchr(p, 0, n) || memchr(p, POD_LOG_ESCAPE, n);
}

static void add_escaped(struct strbuf *out, const char *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (p[i] == 0 || p[i] == (char) POD_LOG_ESCAPE) {
            strbuf_addc(out, (char) POD_LOG_ESCAPE);
            strbuf_addc(out, (char) (p[i] == 0 ? POD_LOG_ESCAPED_NUL : POD_LOG_ESCAPED_ESCAPE));
        } else {
            strbuf_addc(out, p[i]);
        }
    }
}

static void add(struct strbuf *out, bool special, const char *p, size_t n) {
    if (special)
        add_escaped(out, p, n);
    else
        strbuf_add(out, p, n);
}

static bool has_text(const char *p, const char *end) {
    while (p < end && *p == ' ')
        p++;
    return p < end;
}

static size_t count_special(const char *p, const char *end) {
    size_t n = 0;

    for (; p < end; p++)
        n += *p == 0 || *p == (char) POD_LOG_ESCAPE;
    return n;
}

bool pod_encode(struct pod_encoder *e, const char *p, size_t n, struct strbuf *out) {
    static const char nothing[] = {(char) POD_LOG_ESCAPE, (char) POD_LOG_ESCAPED_NOTHING, 0};
    const char *end = p + n, *copied = p, *at = p;
    bool special = has_special(p, n), changed = special;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t) (end - at)), *to = newline ? newline : end;

        e->in_text = e->in_text || has_text(at, to);
        e->length += (size_t) (to - at) + (special ? count_special(at, to) : 0);
        if (!newline)
            break;
        const char *mark = !e->in_text ? " " : e->length % POD_LOG_LINE_MAX == 0 ? nothing : NULL;
        if (mark) {
            add(out, special, copied, (size_t) (newline - copied));
            strbuf_adds(out, mark);
            copied = newline;
            changed = true;
        }
        *e = (struct pod_encoder){0};
        at = newline + 1;
    }
    if (changed)
        add(out, special, copied, (size_t) (end - copied));
    return changed;
}
