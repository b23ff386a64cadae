/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state at an older revision: the current index with the events since then undone. An object touched since then
 * was, at that revision, what its first later event replaced (or absent, if that event created it).
 */
#include "orchestrator/store/internal.h"

#include <string.h>

#include "podium/base/alloc.h"

/* How one object differed at the older revision. */
struct undo {
    const struct store_item *key; /* any item of the object: for its namespace and name */
    struct store_item *then;      /* its state then; NULL: absent */
    uint64_t seq;
};

static int undo_compare(const void *pa, const void *pb) {
    const struct undo *a = pa, *b = pb;
    int r = index_compare(a->key, b->key->ns, store_item_name(b->key));

    return r != 0 ? r : (a->seq > b->seq) - (a->seq < b->seq);
}

static bool behind(const struct store_item *i, const struct list_range *range) {
    if (range->ns && strcmp(i->ns, range->ns) != 0)
        return false;
    if (!range->after_name)
        return true;
    const char *after_ns = range->after_ns ? range->after_ns : range->ns ? range->ns : "";
    return index_compare(i, after_ns, range->after_name) > 0;
}

/* The undo records inside the range, one per object, in list order. The caller frees. */
static struct undo *collect(const struct resource_state *res, uint64_t revision, const struct list_range *range,
                            size_t *ret_n) {
    const struct window *w = &res->window;
    uint64_t first = window_seek(w, revision);
    struct undo *u = xcalloc(w->next - first, sizeof(*u));
    size_t n = 0, distinct = 0;

    for (uint64_t seq = first; seq < w->next; seq++) {
        const struct store_event *e = window_at(w, seq);
        if (behind(e->item, range))
            u[n++] = (struct undo){e->item, e->old, seq};
    }
    qsort(u, n, sizeof(*u), undo_compare);
    for (size_t i = 0; i < n; i++)
        if (distinct == 0 ||
            index_compare(u[i].key, u[distinct - 1].key->ns, store_item_name(u[distinct - 1].key)) != 0)
            u[distinct++] = u[i]; /* the earliest event of each object decides */
    *ret_n = distinct;
    return u;
}

/* How many objects there were from p on and in the undo records from i on. */
static size_t count_rest(const struct index *ix, struct index_pos p, struct index_pos end, const struct undo *u,
                         size_t i, size_t n) {
    size_t count = index_distance(ix, p, end);

    for (; i < n; i++) {
        bool now = index_find(ix, u[i].key->ns, store_item_name(u[i].key)) != NULL;
        count += (size_t) (u[i].then != NULL) - (size_t) now;
    }
    return count;
}

void store_list_at(const struct resource_state *res, uint64_t revision, const struct list_range *range,
                   struct store_list *ret) {
    const struct index *ix = &res->index;
    struct index_pos p = list_range_start(ix, range), end = list_range_end(ix, range);
    size_t n_undo, i = 0, cap = 0;
    _cleanup_free_ struct undo *u = collect(res, revision, range, &n_undo);

    if (p.chunk > end.chunk || (p.chunk == end.chunk && p.at > end.at))
        p = end;
    for (;;) {
        struct store_item *now = p.chunk == end.chunk && p.at == end.at ? NULL : index_at(ix, p), *take = now;
        if (!now && i == n_undo)
            break;
        if (range->limit && ret->n == range->limit) {
            ret->remaining = count_rest(ix, p, end, u, i, n_undo);
            ret->more = ret->remaining > 0;
            break;
        }
        int r = !now ? 1 : i == n_undo ? -1 : index_compare(now, u[i].key->ns, store_item_name(u[i].key));
        if (r >= 0)
            take = u[i++].then;
        if (r <= 0)
            index_next(ix, &p);
        if (take) {
            xgrow(&ret->items, ret->n, &cap);
            ret->items[ret->n++] = store_item_ref(take);
        }
    }
}
