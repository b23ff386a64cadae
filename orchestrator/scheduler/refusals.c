/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counting why nodes were refused, and saying it as upstream's FitError does. */
#include "orchestrator/scheduler/cycle.h"

#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

static bool same(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool sched_refuse(struct refusals *r, const char *text, const char *a, const char *b) {
    for (size_t i = 0; i < r->n; i++) {
        struct refusal *x = &r->items[i];
        if (x->text == text && same(x->a, a) && same(x->b, b)) {
            x->nodes++;
            return false;
        }
    }
    if (r->n < REFUSALS_MAX)
        r->items[r->n++] = (struct refusal){text, a, b, 1};
    else
        r->others++;
    return false;
}

static int compare(const void *a, const void *b) {
    return strcmp(*(char *const *) a, *(char *const *) b);
}

static char *reason_text(const struct refusal *x) {
    if (x->b)
        return xasprintf("%zu %s {%s: %s}", x->nodes, x->text, x->a, x->b);
    if (x->a)
        return xasprintf("%zu %s %s", x->nodes, x->text, x->a);
    return xasprintf("%zu %s", x->nodes, x->text);
}

char *sched_refusal_message(const struct refusals *r, size_t n_nodes) {
    struct strbuf b = STRBUF_INIT;
    char *reasons[REFUSALS_MAX + 1];
    size_t n = 0;

    if (n_nodes == 0)
        return xstrdup("no nodes available to schedule pods");
    for (size_t i = 0; i < r->n; i++)
        reasons[n++] = reason_text(&r->items[i]);
    if (r->others > 0)
        reasons[n++] = xasprintf("%zu node(s) had other reasons", r->others);
    qsort(reasons, n, sizeof(reasons[0]), compare); /* by text, numbers included: upstream's order */
    strbuf_addf(&b, "0/%zu nodes are available", n_nodes);
    for (size_t i = 0; i < n; i++) {
        strbuf_addf(&b, "%s%s", i ? ", " : ": ", reasons[i]);
        free(reasons[i]);
    }
    strbuf_addc(&b, '.');
    return strbuf_steal(&b);
}
