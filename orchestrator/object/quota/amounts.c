/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/quota/amounts.h"

#include <string.h>

#include "podium/base/alloc.h"

void amounts_finish(struct amounts *a) {
    for (size_t i = 0; i < a->n; i++)
        free(a->items[i].name);
    free(a->items);
    *a = (struct amounts){0};
}

/* Where the name is or belongs. */
static size_t find(const struct amounts *a, const char *name, bool *ret_there) {
    size_t lo = 0, hi = a->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = strcmp(a->items[mid].name, name);
        if (order == 0) {
            *ret_there = true;
            return mid;
        }
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *ret_there = false;
    return lo;
}

struct quantity *amounts_get(const struct amounts *a, const char *name) {
    bool there;
    size_t i = find(a, name, &there);
    return there ? &a->items[i].value : NULL;
}

struct quantity *amounts_slot(struct amounts *a, const char *name) {
    bool there;
    size_t i = find(a, name, &there);
    if (there)
        return &a->items[i].value;
    xgrow(&a->items, a->n, &a->cap);
    memmove(a->items + i + 1, a->items + i, (a->n - i) * sizeof(*a->items));
    a->n++;
    a->items[i] = (struct amount){xstrdup(name), {0}};
    return &a->items[i].value;
}

void amounts_add_to(struct amounts *a, const char *name, const struct quantity *q) {
    quantity_add(amounts_slot(a, name), q);
}

void amounts_read(struct amounts *a, const struct json *map) {
    for (size_t i = 0; i < json_len(map); i++) {
        struct quantity q;
        (void) quantity_read(json_value_at(map, i), &q);
        amounts_add_to(a, json_key_at(map, i), &q);
    }
}

void amounts_add(struct amounts *a, const struct amounts *other) {
    for (size_t i = 0; i < other->n; i++)
        quantity_add(amounts_slot(a, other->items[i].name), &other->items[i].value);
}

void amounts_subtract(struct amounts *a, const struct amounts *other) {
    for (size_t i = 0; i < other->n; i++)
        quantity_subtract(amounts_slot(a, other->items[i].name), &other->items[i].value);
}

void amounts_raise(struct amounts *a, const struct amounts *other) {
    for (size_t i = 0; i < other->n; i++)
        quantity_raise(amounts_slot(a, other->items[i].name), &other->items[i].value);
}

struct amounts amounts_copy(const struct amounts *a) {
    struct amounts copy = {0};
    amounts_add(&copy, a);
    return copy;
}

bool amounts_are_equal(const struct amounts *a, const struct amounts *b) {
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->items[i].name, b->items[i].name) != 0 || a->items[i].value.nano != b->items[i].value.nano)
            return false;
    return true;
}

struct json *amounts_json(const struct amounts *a) {
    struct json *map = json_object();
    for (size_t i = 0; i < a->n; i++) {
        _cleanup_free_ char *text = quantity_text(&a->items[i].value);
        json_set(&map, a->items[i].name, json_string(text));
    }
    return map;
}
