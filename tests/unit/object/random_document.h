/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random documents of any type, made from the type tables: what a decoder would let pass, in canonical form. Items of
 * lists that merge have each key once. Few different values, so that two documents often agree.
 */
#ifndef PODIUM_TESTS_OBJECT_RANDOM_DOCUMENT_H
#define PODIUM_TESTS_OBJECT_RANDOM_DOCUMENT_H

#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/resources.h"
#include "orchestrator/object/schema.h"
#include "podium/base/json.h"

struct dice {
    uint64_t state;
    unsigned density;    /* per cent of the optional members that are there, deep down; more above */
    unsigned depth_max;  /* objects below that are empty */
    bool by_merge_key;   /* items of lists are unique by the key of strategic merge, not by that of apply */
    bool without_status; /* no status at the top, and of metadata name, labels, annotations and finalizers only */
};

static inline unsigned dice_roll(struct dice *d, unsigned sides) {
    d->state = d->state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned) (d->state >> 33) % sides;
}

static inline struct json *random_object(struct dice *d, const struct type_info *t, unsigned depth);

static inline struct json *random_text(struct dice *d, const struct field_info *f) {
    const char *const *values = field_enum_values(f);
    static const char *const words[] = {"a", "b", "c", "dd", "\xc3\xa9", "x y"};
    unsigned n = 0;
    while (values && values[n])
        n++;
    if (n) {
        const char *value = values[dice_roll(d, n)];
        if (*value)
            return json_string(value);
    }
    return json_string(words[dice_roll(d, 6)]);
}

static inline struct json *random_plain(struct dice *d, const struct field_info *f, unsigned depth) {
    static const char *const quantities[] = {"1", "100m", "1Gi", "0"};
    switch (f->type) {
    case FIELD_STRING:
        return random_text(d, f);
    case FIELD_BOOL:
        return json_bool(dice_roll(d, 2));
    case FIELD_INT32:
    case FIELD_INT64:
        return json_int(1 + (int64_t) dice_roll(d, 4));
    case FIELD_DOUBLE:
        return json_double(0.5 + dice_roll(d, 3));
    case FIELD_BYTES:
        return json_string(dice_roll(d, 2) ? "AAEC" : "/w==");
    case FIELD_TIME:
        return json_string(dice_roll(d, 2) ? "2024-02-29T12:34:56Z" : "1999-12-31T23:59:59Z");
    case FIELD_MICRO_TIME:
        return json_string(dice_roll(d, 2) ? "2024-02-29T12:34:56.654321Z" : "1999-12-31T23:59:59.000001Z");
    case FIELD_DURATION:
        return json_string(dice_roll(d, 2) ? "1m30s" : "5s");
    case FIELD_QUANTITY:
        return json_string(quantities[dice_roll(d, 4)]);
    case FIELD_INT_OR_STRING:
        return dice_roll(d, 2) ? json_int(1 + (int64_t) dice_roll(d, 3)) : json_string("25%");
    case FIELD_RAW: {
        struct json *v = NULL;
        json_set(&v, "a", json_int((int64_t) dice_roll(d, 3)));
        if (dice_roll(d, 2))
            json_set_path(&v, json_string("x"), "b", "c");
        return v;
    }
    case FIELD_OBJECT:
        return random_object(d, field_object(f), depth + 1);
    case FIELD_ONE_OF:
        return f->one_of == ONE_OF_BOOL ? json_bool(true) : random_object(d, field_object(f), depth + 1);
    }
    return json_null();
}

/* Whether two items of the list would be taken for one. */
static inline bool same_item(const struct dice *d, const struct field_info *f, const struct json *a,
                             const struct json *b) {
    const char *const *keys = field_list_map_keys(f);
    if (!json_is_object(a))
        return json_equal(a, b);
    if (d->by_merge_key && field_patch_merge_key(f))
        return json_equal(json_get(a, field_patch_merge_key(f)), json_get(b, field_patch_merge_key(f)));
    bool same = f->list_type == LIST_MAP && *keys;
    for (; *keys; keys++)
        same = same && json_equal(json_get(a, *keys), json_get(b, *keys));
    return same;
}

/* Keys are always there, so that no default can make two of one. */
static inline void give_keys(struct dice *d, const struct field_info *f, struct json **item, unsigned depth) {
    const struct type_info *t = field_object(f);
    const char *const *keys = field_list_map_keys(f);
    for (size_t i = 0; t && i < t->n_fields; i++) {
        const struct field_info *member = &t->fields[i];
        const char *merge_key = field_patch_merge_key(f);
        bool key = merge_key && strcmp(field_name(member), merge_key) == 0;
        for (size_t k = 0; keys[k]; k++)
            key = key || strcmp(keys[k], field_name(member)) == 0;
        if (key && !json_get(*item, field_name(member)))
            json_set(item, field_name(member), random_plain(d, member, depth));
    }
}

static inline struct json *random_list(struct dice *d, const struct field_info *f, unsigned depth) {
    struct json *list = json_array();
    for (unsigned n = 1 + dice_roll(d, 3); n > 0; n--) {
        struct json *item = random_plain(d, f, depth);
        bool there = false;
        if (json_is_object(item))
            give_keys(d, f, &item, depth);
        for (size_t i = 0; i < json_len(list) && !there; i++)
            there = same_item(d, f, json_at(list, i), item);
        if (there)
            json_unref(item);
        else
            json_append(&list, item);
    }
    return list;
}

static inline struct json *random_member(struct dice *d, const struct field_info *f, unsigned depth) {
    static const char *const keys[] = {"k1", "k2", "example.com/k3"};
    struct json *map = NULL;
    if (f->container == FIELD_PLAIN)
        return random_plain(d, f, depth);
    if (f->container == FIELD_ARRAY)
        return random_list(d, f, depth);
    for (unsigned n = 1 + dice_roll(d, 3); n > 0; n--) {
        const char *key = keys[dice_roll(d, 3)];
        if (f->container == FIELD_MAP) {
            json_set(&map, key, random_plain(d, f, depth));
        } else {
            struct json *list = NULL;
            json_append(&list, json_string("x"));
            json_set(&map, key, list);
        }
    }
    return map;
}

static inline bool is_left_to_server(const struct dice *d, const struct type_info *t, const char *name,
                                     unsigned depth) {
    static const char *const ours[] = {"labels", "annotations", "finalizers"};
    if (!d->without_status)
        return false;
    if (depth == 0)
        return strcmp(name, "status") == 0;
    if (strcmp(t->name, "meta.v1.ObjectMeta") != 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (strcmp(ours[i], name) == 0)
            return false;
    return true;
}

static inline struct json *random_object(struct dice *d, const struct type_info *t, unsigned depth) {
    struct json *object = json_object();
    for (size_t i = 0; i < t->n_fields; i++) {
        const struct field_info *f = &t->fields[i];
        const char *name = field_name(f);
        bool envelope = depth == 0 && (strcmp(name, "apiVersion") == 0 || strcmp(name, "kind") == 0);
        bool wanted = f->required || (dice_roll(d, 100) < (depth == 0  ? 90
                                                           : depth < 4 ? (d->density + 90) / 2
                                                                       : d->density));
        if (envelope || !wanted || is_left_to_server(d, t, name, depth) || strcmp(name, "managedFields") == 0 ||
            (depth >= d->depth_max && (field_object(f) || !f->required)))
            continue;
        json_set(&object, name, random_member(d, f, depth));
    }
    return object;
}

static inline struct json *random_document(struct dice *d, const struct resource *r) {
    struct json *doc = random_object(d, type_by_name(r->type), 0);
    json_set(&doc, "apiVersion", json_string(r->api_version));
    json_set(&doc, "kind", json_string(r->kind));
    json_set_path(&doc, json_string("x"), "metadata", "name");
    return doc;
}

/* A stored kind; every other time one of those with the most in them. */
static inline const struct resource *random_kind(struct dice *d) {
    static const char *const rich[][2] = {
        {"v1", "Pod"},           {"apps/v1", "Deployment"}, {"apps/v1", "StatefulSet"},
        {"batch/v1", "CronJob"}, {"v1", "Service"},         {"batch/v1", "Job"}};
    size_t n;
    unsigned roll = dice_roll(d, 2 * (unsigned) ARRAY_LEN(rich));
    if (roll < ARRAY_LEN(rich))
        return resource_by_api_version(rich[roll][0], rich[roll][1]);
    const struct resource *all = resources_all(&n), *r;
    do
        r = &all[dice_roll(d, (unsigned) n)];
    while (!r->stored || !type_by_name(r->type) || strcmp(r->group, "metrics.k8s.io") == 0 ||
           strcmp(r->group, "apiextensions.k8s.io") == 0);
    return r;
}

#endif
