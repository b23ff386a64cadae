/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ordered range reads of the current state. */
#include "orchestrator/store/internal.h"

#include <string.h>

#include "podium/base/alloc.h"

void store_list_finish(struct store_list *l) {
    for (size_t i = 0; i < l->n; i++)
        store_item_unref(l->items[i]);
    free(l->items);
    *l = (struct store_list){0};
}

struct index_pos list_range_start(const struct index *ix, const struct list_range *range) {
    const char *after_ns = range->after_ns;

    if (range->after_name) {
        if (!after_ns)
            after_ns = range->ns ? range->ns : "";
        /* a key before the namespace asked for (of a token made for another one) excludes nothing */
        if (!range->ns || strcmp(after_ns, range->ns) >= 0)
            return index_seek_behind(ix, after_ns, range->after_name);
    }
    return index_seek(ix, range->ns ? range->ns : "", "");
}

struct index_pos list_range_end(const struct index *ix, const struct list_range *range) {
    return range->ns ? index_seek(ix, range->ns, NULL) : index_end(ix);
}

static void list_now(const struct index *ix, const struct list_range *range, struct store_list *ret) {
    struct index_pos p = list_range_start(ix, range), end = list_range_end(ix, range);
    bool before_end = p.chunk < end.chunk || (p.chunk == end.chunk && p.at < end.at);
    size_t total = before_end ? index_distance(ix, p, end) : 0;
    size_t n = range->limit && total > range->limit ? range->limit : total;

    ret->items = xcalloc(n ? n : 1, sizeof(*ret->items));
    for (ret->n = 0; ret->n < n; ret->n++) {
        ret->items[ret->n] = store_item_ref(index_at(ix, p));
        index_next(ix, &p);
    }
    ret->remaining = total - n;
    ret->more = ret->remaining > 0;
}

int store_list(struct store *s, const char *resource, const char *ns, const char *after_ns, const char *after_name,
               size_t limit, uint64_t at_revision, struct store_list *ret) {
    const struct list_range range = {ns, after_ns, after_name, limit};
    const struct index empty = {0};
    int r = 0;

    *ret = (struct store_list){0};
    pthread_rwlock_rdlock(&s->state);
    const struct resource_state *res = store_resource_find(s, resource);
    ret->revision = at_revision ? at_revision : s->revision;
    if (at_revision > s->revision)
        r = -ERANGE;
    else if (at_revision && at_revision < (res ? res->window.floor : s->open_revision))
        r = -ESTALE;
    else if (at_revision && res && window_seek(&res->window, at_revision) < res->window.next)
        store_list_at(res, at_revision, &range, ret);
    else
        list_now(res ? &res->index : &empty, &range, ret);
    pthread_rwlock_unlock(&s->state);
    return r;
}

size_t store_count(struct store *s, const char *resource) {
    pthread_rwlock_rdlock(&s->state);
    const struct resource_state *res = store_resource_find(s, resource);
    size_t n = res ? res->index.n_items : 0;
    pthread_rwlock_unlock(&s->state);
    return n;
}
