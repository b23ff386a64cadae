/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/findings.h"

#include <stdarg.h>
#include <string.h>

#include "podium/base/alloc.h"

void findings_finish(struct findings *f) {
    for (size_t i = 0; i < f->n; i++) {
        free(f->items[i].kind);
        free(f->items[i].cause);
        free(f->items[i].text);
    }
    free(f->items);
    *f = (struct findings) FINDINGS_INIT;
}

void findings_add(struct findings *f, const char *kind, const char *cause, const char *fmt, ...) {
    va_list ap;
    for (size_t i = 0; cause && i < f->n; i++)
        if (f->items[i].cause && strcmp(f->items[i].cause, cause) == 0 && strcmp(f->items[i].kind, kind) == 0) {
            f->items[i].more++;
            return;
        }
    va_start(ap, fmt);
    xgrow(&f->items, f->n, &f->cap);
    f->items[f->n++] =
        (struct finding){.kind = xstrdup(kind), .cause = cause ? xstrdup(cause) : NULL, .text = xvasprintf(fmt, ap)};
    va_end(ap);
}

static bool begins_kind(const struct findings *f, size_t i) {
    for (size_t k = 0; k < i; k++)
        if (strcmp(f->items[k].kind, f->items[i].kind) == 0)
            return false;
    return true;
}

static void print_kind(const struct findings *f, const char *kind, struct strbuf *out) {
    size_t shown = 0, hidden = 0;
    for (size_t i = 0; i < f->n; i++) {
        const struct finding *one = &f->items[i];
        if (strcmp(one->kind, kind) != 0)
            continue;
        if (shown == FINDINGS_SHOWN) {
            hidden += 1 + one->more;
            continue;
        }
        shown++;
        strbuf_addf(out, "  %s", one->text);
        if (one->more)
            strbuf_addf(out, " (and %zu more like it)", one->more);
        strbuf_addc(out, '\n');
    }
    if (hidden)
        strbuf_addf(out, "  … and %zu more %s\n", hidden, kind);
}

void findings_print(const struct findings *f, struct strbuf *out) {
    for (size_t i = 0; i < f->n; i++)
        if (begins_kind(f, i))
            print_kind(f, f->items[i].kind, out);
}
