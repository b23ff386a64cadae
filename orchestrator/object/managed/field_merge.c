/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/managed/field_merge.h"

#include <string.h>

#include "podium/base/alloc.h"

/* --- merging --- */

static struct json *merge(struct fset_arena *a, struct shape s, const struct json *live, const struct json *config);

static struct json *merge_members(struct fset_arena *a, struct shape s, const struct json *live,
                                  const struct json *config) {
    struct json *out = json_is_object(live) ? json_ref(live) : json_object();
    for (size_t i = 0; i < json_len(config); i++) {
        const char *key = json_key_at(config, i);
        struct json *was = json_get(live, key), *now = merge(a, shape_of_member(s, key), was, json_value_at(config, i));
        if (was && now == was)
            json_unref(now);
        else
            json_set(&out, key, now);
    }
    return out;
}

/* One list of an item merge, indexed. rank[i]: what stands for the element in the other list. */
struct side {
    struct list_item *items, *sorted;
    size_t n;
};

static struct side side_of(struct fset_arena *a, struct shape s, const struct json *list) {
    struct side x = {0};
    x.items = shape_items_in_order(a, s, list, &x.n);
    x.sorted = shape_items(a, s, list, &x.n);
    return x;
}

/* The first item with the element; *ret_n how many there are. */
static const struct list_item *find_item(const struct side *x, const struct fset *element, size_t *ret_n) {
    size_t lo = 0, hi = x->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (fset_compare_elements(&x->sorted[mid].element, element) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *ret_n = 0;
    while (lo + *ret_n < x->n && fset_compare_elements(&x->sorted[lo + *ret_n].element, element) == 0)
        ++*ret_n;
    return *ret_n ? &x->sorted[lo] : NULL;
}

struct item_merge {
    struct fset_arena *arena;
    struct shape of;
    struct side live, config;
    bool *merged;   /* by index in config: it is in the result */
    size_t *shared; /* indices in config of the items that live has, too */
    size_t n_shared, next_shared;
    struct json *out;
};

static bool same_element(const struct list_item *x, const struct list_item *y) {
    return fset_compare_elements(&x->element, &y->element) == 0;
}

static void take_config(struct item_merge *m, size_t i) {
    size_t n;
    const struct list_item *item = &m->config.items[i], *was = find_item(&m->live, &item->element, &n);
    /* an element live has more than once cannot be merged: config's item stands for all of them */
    struct json *now = merge(m->arena, m->of, n == 1 ? was->value : NULL, item->value);
    json_append(&m->out, now);
    m->merged[i] = true;
    if (m->next_shared < m->n_shared && m->shared[m->next_shared] == i)
        m->next_shared++;
}

/* Live's item i among config's: index in config, or SIZE_MAX. */
static size_t in_config(const struct item_merge *m, size_t i) {
    size_t n;
    const struct list_item *found = find_item(&m->config, &m->live.items[i].element, &n);
    return found ? found->index : SIZE_MAX;
}

/* One step; both lists are walked at once so that what only live has keeps its place between shared items. */
static void merge_step(struct item_merge *m, size_t *li, size_t *ri) {
    size_t there = *li < m->live.n ? in_config(m, *li) : SIZE_MAX;
    if (*li < m->live.n && *ri < m->config.n) {
        if (same_element(&m->live.items[*li], &m->config.items[*ri])) {
            take_config(m, (*ri)++);
            ++*li;
            return;
        }
        if (there != SIZE_MAX && m->next_shared < m->n_shared && m->shared[m->next_shared] != there) {
            ++*li; /* shared, but its turn comes in config's order */
            return;
        }
    }
    if (*li < m->live.n) {
        if (there == SIZE_MAX) {
            json_append(&m->out, json_ref(m->live.items[(*li)++].value));
            return;
        }
        if (m->merged[there])
            ++*li;
    }
    if (*ri < m->config.n)
        take_config(m, (*ri)++);
}

static struct json *merge_items(struct fset_arena *a, struct shape s, const struct json *live,
                                const struct json *config) {
    struct item_merge m = {.arena = a,
                           .of = shape_of_item(s),
                           .live = side_of(a, s, live),
                           .config = side_of(a, s, config),
                           .out = json_array()};
    size_t n, li = 0, ri = 0;
    m.merged = fset_alloc(a, m.config.n + 1);
    memset(m.merged, 0, m.config.n + 1);
    m.shared = fset_alloc(a, (m.config.n + 1) * sizeof(*m.shared));
    for (size_t i = 0; i < m.config.n; i++)
        if (find_item(&m.live, &m.config.items[i].element, &n))
            m.shared[m.n_shared++] = i;
    while (li < m.live.n || ri < m.config.n)
        merge_step(&m, &li, &ri);
    if (json_equal(m.out, live)) {
        json_unref(m.out);
        return json_ref(live);
    }
    return m.out;
}

static struct json *merge(struct fset_arena *a, struct shape s, const struct json *live, const struct json *config) {
    if (!config)
        return json_ref(live);
    if (!live || !shape_divides(s, config)) {
        bool empty = json_is_null(config) || (json_len(config) == 0 && json_type(config) == json_type(live));
        if (empty && shape_divides(s, live)) /* takes nothing away from what is merged */
            return json_ref(live);
        return json_ref(live && shape_equal(s, live, config) ? live : config);
    }
    return s.kind == SHAPE_LIST ? merge_items(a, s, live, config) : merge_members(a, s, live, config);
}

struct json *fields_merge(struct fset_arena *a, struct shape s, const struct json *live, const struct json *config) {
    return merge(a, s, live, config);
}

/* --- taking away --- */

/* What becomes of a value below `set`: a new reference, NULL when it goes, null when it was emptied without being a
 * member itself. */
static struct json *remove_kid(struct fset_arena *a, struct shape of, const struct json *v, const struct fset *kid) {
    if (!kid)
        return json_ref(v);
    if (kid->member)
        return NULL;
    struct json *left = fields_remove(a, of, v, kid);
    return left ? left : json_null();
}

static struct json *remove_items(struct fset_arena *a, struct shape s, const struct json *list,
                                 const struct fset *set) {
    size_t n;
    struct list_item *items = shape_items_in_order(a, s, list, &n);
    struct json *out = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct fset *e = &items[i].element, *kid = fset_find(set, (enum fset_kind) e->kind, e->text, e->len);
        struct json *left = remove_kid(a, shape_of_item(s), items[i].value, kid);
        if (left)
            json_append(&out, left);
    }
    return out;
}

static struct json *remove_members(struct fset_arena *a, struct shape s, const struct json *v, const struct fset *set) {
    struct json *out = json_object();
    for (size_t i = 0; i < json_len(v); i++) {
        struct json *key = json_key_value_at(v, i);
        const struct fset *kid = fset_find(set, FSET_NAME, json_str(key), json_str_len(key));
        struct json *left = remove_kid(a, shape_of_member(s, json_str(key)), json_value_at(v, i), kid);
        if (left)
            json_set_key(&out, json_ref(key), left);
    }
    return out;
}

struct json *fields_remove(struct fset_arena *a, struct shape s, const struct json *doc, const struct fset *set) {
    if (!shape_divides(s, doc)) /* atomic: reached only by a set made when it was not, goes as a whole */
        return json_len(doc) == 0 ? json_ref(doc) : NULL;
    struct json *out = s.kind == SHAPE_LIST ? remove_items(a, s, doc, set) : remove_members(a, s, doc, set);
    if (json_len(out) > 0)
        return out;
    json_unref(out);
    return NULL;
}
