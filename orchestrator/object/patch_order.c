/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/patch_order.h"

#include <stdlib.h>

#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"

struct patch_order {
    const char *merge_key;
    struct hashmap *ranks; /* JSON text of the key or scalar -> rank + 1, as a pointer */
};

static char *identity(const struct json *element, const char *merge_key) {
    const struct json *key = merge_key ? json_get(element, merge_key) : element;
    return key ? json_to_text(key) : NULL;
}

struct patch_order *patch_order_new(const struct json *list, const char *merge_key) {
    struct patch_order *o = xnew0(struct patch_order);
    o->merge_key = merge_key;
    o->ranks = hashmap_new(NULL);
    for (size_t i = 0; i < json_len(list); i++)
        patch_order_add(o, json_at(list, i), i);
    return o;
}

void patch_order_free(struct patch_order *o) {
    if (!o)
        return;
    hashmap_free(o->ranks);
    free(o);
}

void patch_order_add(struct patch_order *o, const struct json *element, size_t rank) {
    _cleanup_free_ char *id = identity(element, o->merge_key);
    if (id && !hashmap_has(o->ranks, id))
        hashmap_put(o->ranks, id, (void *) (uintptr_t) (rank + 1));
}

size_t patch_order_rank(const struct patch_order *o, const struct json *element) {
    _cleanup_free_ char *id = identity(element, o->merge_key);
    uintptr_t rank = id ? (uintptr_t) hashmap_get(o->ranks, id) : 0;
    return rank ? (size_t) rank - 1 : PATCH_ORDER_NONE;
}

struct ranked {
    const struct json *element;
    size_t rank;   /* in the list that orders its group */
    size_t server; /* in the server's list, PATCH_ORDER_NONE when not there */
    size_t number; /* in the merged list: makes the sort stable */
};

static int by_rank(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

struct json *patch_order_apply(const struct json *merged, const struct json *wanted, const struct json *server,
                               const char *merge_key) {
    size_t n = json_len(merged), n_wanted = 0, n_left = 0;
    _cleanup_(patch_order_freep) struct patch_order *wanted_order = patch_order_new(wanted, merge_key);
    _cleanup_(patch_order_freep) struct patch_order *server_order = patch_order_new(server, merge_key);
    _cleanup_free_ struct ranked *of_patch = xcalloc(n + 1, sizeof(*of_patch));
    _cleanup_free_ struct ranked *of_server = xcalloc(n + 1, sizeof(*of_server));
    for (size_t i = 0; i < n; i++) {
        const struct json *element = json_at(merged, i);
        struct ranked r = {element, patch_order_rank(wanted_order, element), patch_order_rank(server_order, element),
                           i};
        if (r.rank != PATCH_ORDER_NONE) {
            of_patch[n_wanted++] = r;
            continue;
        }
        r.rank = r.server;
        of_server[n_left++] = r;
    }
    qsort(of_patch, n_wanted, sizeof(*of_patch), by_rank);
    qsort(of_server, n_left, sizeof(*of_server), by_rank);

    struct json *result = json_array();
    for (size_t i = 0, j = 0; i < n_left || j < n_wanted;) {
        bool servers_turn =
            j == n_wanted || (i < n_left && of_server[i].server != PATCH_ORDER_NONE &&
                              of_patch[j].server != PATCH_ORDER_NONE && of_server[i].server < of_patch[j].server);
        json_append(&result, json_ref(servers_turn ? of_server[i++].element : of_patch[j++].element));
    }
    return result;
}

int patch_order_no_key(const struct json *element, const char *merge_key, struct error *err) {
    _cleanup_free_ char *text = json_to_text(element);
    return error_set(err, -EINVAL, "map: %.200s does not contain declared merge key: %s", text, merge_key);
}

int patch_order_check(const struct json *patch, const struct json *wanted, const char *merge_key, struct error *err) {
    _cleanup_(patch_order_freep) struct patch_order *order = patch_order_new(wanted, merge_key);
    size_t next = 0;
    if (json_len(wanted) == 0)
        return 0;
    for (size_t i = 0; i < json_len(patch); i++) {
        const struct json *element = json_at(patch, i);
        if (json_get(element, "$patch"))
            continue;
        if (merge_key && !json_get(element, merge_key))
            return patch_order_no_key(element, merge_key, err);
        size_t rank = patch_order_rank(order, element);
        if (rank == PATCH_ORDER_NONE || rank < next)
            return error_set(err, -EINVAL, "The order in patch list doesn't match $setElementOrder list");
        next = rank;
    }
    return 0;
}
