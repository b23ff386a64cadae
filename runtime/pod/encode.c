/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/pod/encode.h"

#include <string.h>

#include "podium/runtime.h"

/* Moves over a line, or what there is of it; true when it ended (*p is behind the newline) with spaces only. */
static bool line_is_blank(struct pod_encoder *e, const char **p, const char *end) {
    const char *at = *p;

    while (!e->in_text && at < end && *at == ' ')
        at++;
    if (at == end) {
        *p = end;
        return false;
    }
    if (!e->in_text && *at == '\n') {
        *p = at + 1;
        return true;
    }
    const char *newline = memchr(at, '\n', (size_t) (end - at));
    e->in_text = !newline;
    *p = newline ? newline + 1 : end;
    return false;
}

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

bool pod_encode(struct pod_encoder *e, const char *p, size_t n, struct strbuf *out) {
    const char *end = p + n, *copied = p, *at = p;
    bool special = has_special(p, n), changed = special;

    while (at < end)
        if (line_is_blank(e, &at, end)) {
            add(out, special, copied, (size_t) (at - 1 - copied));
            strbuf_adds(out, " \n");
            copied = at;
            changed = true;
        }
    if (changed)
        add(out, special, copied, (size_t) (end - copied));
    return changed;
}
