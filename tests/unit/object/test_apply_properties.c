/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Server-side apply against its laws, on random documents of random kinds. Who owns what is worked out here a second
 * time, from the type tables alone (paths_of). A failure names its seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/managed/field_set.h"
#include "orchestrator/object/managed/managed.h"
#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"
#include "podium/base/strbuf.h"
#include "tests/unit/object/random_document.h"

#define ROUNDS 900

/* --- the fields of a document, by path --- */

/* path -> value, borrowed from the document. leaves: what has nothing below it that could be owned for itself. */
struct paths {
    struct hashmap *all, *leaves;
};

static void paths_finish(struct paths *p) {
    hashmap_free(p->all);
    hashmap_free(p->leaves);
}
#define _cleanup_paths_ _cleanup_(paths_finish)

static void walk_object(struct paths *p, const struct type_info *t, const char *at, const struct json *object);

static void put(struct paths *p, const char *path, const struct json *value, bool leaf) {
    hashmap_put(p->all, path, (void *) value);
    if (leaf)
        hashmap_put(p->leaves, path, (void *) value);
}

static char *keyed(const char *at, const struct field_info *f, const struct json *item) {
    struct strbuf b = STRBUF_INIT;
    strbuf_addf(&b, "%s[", at);
    for (const char *const *keys = field_list_map_keys(f); *keys; keys++) {
        _cleanup_free_ char *text = json_to_text(json_get(item, *keys));
        strbuf_addf(&b, "%s%s=%s", keys == field_list_map_keys(f) ? "" : ",", *keys, text);
    }
    strbuf_addc(&b, ']');
    return strbuf_steal(&b);
}

/* References are owned as one, also as items, of which the tables say nothing. */
static bool is_whole(const struct field_info *f) {
    static const char *const types[] = {"core.v1.LocalObjectReference", "core.v1.ObjectReference",
                                        "meta.v1.OwnerReference"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (field_object(f) == type_by_name(types[i]))
            return true;
    return false;
}

static void walk_list(struct paths *p, const struct field_info *f, const char *at, const struct json *list) {
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *item = json_at(list, i);
        _cleanup_free_ char *text = f->list_type == LIST_SET ? json_to_text(item) : NULL;
        _cleanup_free_ char *path = text ? xasprintf("%s[=%s]", at, text) : keyed(at, f, item);
        put(p, path, item, text || is_whole(f));
        if (!text && !is_whole(f))
            walk_object(p, field_object(f), path, item);
    }
}

static void walk_raw(struct paths *p, const char *at, const struct json *v) {
    if (!json_is_object(v) || !json_len(v)) {
        put(p, at, v, true);
        return;
    }
    put(p, at, v, false);
    for (size_t i = 0; i < json_len(v); i++) {
        _cleanup_free_ char *path = xasprintf("%s.%s", at, json_key_at(v, i));
        walk_raw(p, path, json_value_at(v, i));
    }
}

static void walk_member(struct paths *p, const struct field_info *f, const char *at, const struct json *v) {
    bool list = f->container == FIELD_ARRAY && f->list_type != LIST_ATOMIC;
    bool map = (f->container == FIELD_MAP || f->container == FIELD_MAP_OF_ARRAY) && !f->struct_atomic;
    bool object = f->container == FIELD_PLAIN && f->type == FIELD_OBJECT && !f->struct_atomic;
    bool raw = f->container == FIELD_PLAIN && f->type == FIELD_RAW;
    if (json_is_null(v) || !json_len(v) || (!list && !map && !object && !raw)) {
        put(p, at, v, !list || json_is_null(v)); /* a list is owned by its items: an empty one by nobody */
        return;
    }
    put(p, at, v, false);
    if (raw)
        walk_raw(p, at, v);
    else if (list)
        walk_list(p, f, at, v);
    else if (object)
        walk_object(p, field_object(f), at, v);
    for (size_t i = 0; map && i < json_len(v); i++) {
        _cleanup_free_ char *path = xasprintf("%s.%s", at, json_key_at(v, i));
        put(p, path, json_value_at(v, i), f->type != FIELD_OBJECT);
        if (f->type == FIELD_OBJECT)
            walk_object(p, field_object(f), path, json_value_at(v, i));
    }
}

static void walk_object(struct paths *p, const struct type_info *t, const char *at, const struct json *object) {
    for (size_t i = 0; i < json_len(object); i++) {
        const struct field_info *f = type_field(t, json_key_at(object, i));
        _cleanup_free_ char *path = xasprintf("%s.%s", at, json_key_at(object, i));
        if (f)
            walk_member(p, f, path, json_value_at(object, i));
    }
}

static struct paths paths_of(const struct resource *r, const struct json *doc) {
    struct paths p = {hashmap_new(NULL), hashmap_new(NULL)};
    walk_object(&p, type_by_name(r->type), "", doc);
    return p;
}

/* What nobody owns: who the object is. */
static bool is_identity(const char *path) {
    static const char *const names[] = {".apiVersion", ".kind", ".metadata", ".metadata.name"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(path, names[i]) == 0)
            return true;
    return false;
}

/* --- entries --- */

static const struct json *entry_of(const struct json *doc, const char *manager) {
    const struct json *list = json_path(doc, "metadata", "managedFields");
    for (size_t i = 0; i < json_len(list); i++)
        if (json_get_is(json_at(list, i), "manager", manager))
            return json_at(list, i);
    return NULL;
}

static void add_path(void *userdata, const char *path) {
    hashmap_put(userdata, path, userdata);
}

/* The paths of a manager's entry; empty when it has none. */
static struct hashmap *owned_by(const struct json *doc, const char *manager, uint64_t seed) {
    struct hashmap *paths = hashmap_new(NULL);
    const struct json *fields = json_get(entry_of(doc, manager), "fieldsV1");
    _cleanup_(fset_arena_finish) struct fset_arena arena = {0};
    struct fset set;
    if (!fields)
        return paths;
    _cleanup_free_ char *text = json_to_text(fields);
    if (fset_read(&arena, text, strlen(text), true, &set, NULL) < 0)
        fail_msg("seed %llu: %s owns what cannot be read: %s", (unsigned long long) seed, manager, text);
    fset_each(&set, add_path, paths);
    return paths;
}

static const char *const managers[] = {"m", "o"};

/* (vi) every entry can be read, and says nothing of fields that are not there */
static void expect_entries_fit(const struct resource *r, const struct json *doc, uint64_t seed) {
    _cleanup_paths_ struct paths there = paths_of(r, doc);
    for (size_t i = 0; i < ARRAY_LEN(managers); i++) {
        _cleanup_(hashmap_freep) struct hashmap *owned = owned_by(doc, managers[i], seed);
        struct hashmap_iter it = {0};
        while (hashmap_next(owned, &it))
            if (!hashmap_has(there.all, it.key)) {
                _cleanup_free_ char *text = json_to_text(doc);
                fail_msg("%s, seed %llu: %s owns %s, which is not there: %s", r->kind, (unsigned long long) seed,
                         managers[i], it.key, text);
            }
    }
}

/* --- applying --- */

static int apply(const struct resource *r, const char *manager, bool force, const struct json *live,
                 const struct json *config, struct json **ret) {
    struct managed_writer w = {.resource = r, .manager = manager, .now_usec = 1700000000000000ull};
    _cleanup_(managed_conflicts_finish) struct managed_conflicts conflicts = {0};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int code = managed_apply(&w, live, config, force, ret, &conflicts, &err);
    if (code < 0 && code != -EBUSY)
        fail_msg("%s: %s", r->kind, error_text(&err, code));
    assert_int_equal(code == -EBUSY, conflicts.n > 0);
    return code;
}

static struct json *must_apply(const struct resource *r, const char *manager, bool force, const struct json *live,
                               const struct json *config, uint64_t seed) {
    struct json *got = NULL;
    if (apply(r, manager, force, live, config, &got) < 0)
        fail_msg("%s, seed %llu: a conflict", r->kind, (unsigned long long) seed);
    expect_entries_fit(r, got, seed);
    return got;
}

/* (ii) the entry of who applied has the fields of what was applied, and no others */
static void expect_owns(const struct resource *r, const struct json *doc, const char *manager,
                        const struct json *config, uint64_t seed) {
    _cleanup_paths_ struct paths wanted = paths_of(r, config);
    _cleanup_(hashmap_freep) struct hashmap *owned = owned_by(doc, manager, seed);
    struct hashmap_iter it = {0};
    while (hashmap_next(owned, &it))
        if (!hashmap_has(wanted.all, it.key) || is_identity(it.key))
            fail_msg("%s, seed %llu: %s owns %s", r->kind, (unsigned long long) seed, manager, it.key);
    it = (struct hashmap_iter){0};
    while (hashmap_next(wanted.leaves, &it))
        if (!hashmap_has(owned, it.key) && !is_identity(it.key))
            fail_msg("%s, seed %llu: %s does not own %s", r->kind, (unsigned long long) seed, manager, it.key);
}

/* --- random configurations --- */

static struct dice dice_of(uint64_t seed) {
    return (struct dice){.state = seed * 0x9e3779b97f4a7c15ull, .density = 25, .depth_max = 7, .without_status = true};
}

/* A part of the document that is itself one: members and items left out, keys never. */
static struct json *part_of(struct dice *d, const struct type_info *t, const struct json *object, unsigned depth) {
    struct json *part = json_object();
    for (size_t i = 0; i < json_len(object); i++) {
        const char *key = json_key_at(object, i);
        const struct field_info *f = type_field(t, key);
        const struct json *v = json_value_at(object, i);
        bool identity = depth == 0 && (strcmp(key, "apiVersion") == 0 || strcmp(key, "kind") == 0);
        bool name = strcmp(t->name, "meta.v1.ObjectMeta") == 0 && depth == 1 && strcmp(key, "name") == 0;
        bool metadata = depth == 0 && strcmp(key, "metadata") == 0;
        if (!f || identity || name) {
            json_set(&part, key, json_ref(v));
            continue;
        }
        if (!metadata && dice_roll(d, 4) == 0)
            continue;
        if (f->container == FIELD_PLAIN && f->type == FIELD_OBJECT && !f->struct_atomic) {
            json_set(&part, key, part_of(d, field_object(f), v, depth + 1));
        } else if (f->container == FIELD_ARRAY && f->list_type == LIST_MAP) {
            struct json *list = json_array();
            for (size_t k = 0; k < json_len(v); k++) {
                struct json *item =
                    is_whole(f) ? json_ref(json_at(v, k)) : part_of(d, field_object(f), json_at(v, k), depth + 1);
                for (const char *const *keys = field_list_map_keys(f); *keys; keys++)
                    json_set(&item, *keys, json_ref(json_get(json_at(v, k), *keys)));
                if (dice_roll(d, 4))
                    json_append(&list, json_ref(item));
                json_unref(item);
            }
            json_set(&part, key, list);
        } else {
            json_set(&part, key, json_ref(v));
        }
    }
    return part;
}

static struct json *config_of(struct dice *d, const struct resource *r, const struct json *whole) {
    return part_of(d, type_by_name(r->type), whole, 0);
}

/* --- the laws --- */

static void applying_twice_is_applying_once(void **state) {
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct dice d = dice_of(seed);
        const struct resource *r = random_kind(&d);
        _cleanup_json_ struct json *config = random_document(&d, r), *other = random_document(&d, r);
        _cleanup_json_ struct json *base = must_apply(r, "o", false, NULL, other, seed);
        _cleanup_json_ struct json *once = must_apply(r, "m", true, base, config, seed);
        expect_owns(r, once, "m", config, seed);
        _cleanup_json_ struct json *twice = must_apply(r, "m", false, once, config, seed);
        if (!json_equal(once, twice)) {
            _cleanup_free_ char *a = json_to_text(once), *b = json_to_text(twice);
            fail_msg("%s, seed %llu: once\n %s\n twice\n %s", r->kind, (unsigned long long) seed, a, b);
        }
    }
}

/* (iii) what is given up goes, unless somebody else has it; what others have stays as it is */
static void what_is_given_up_goes(void **state) {
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct dice d = dice_of(seed);
        const struct resource *r = random_kind(&d);
        _cleanup_json_ struct json *whole = random_document(&d, r);
        _cleanup_json_ struct json *theirs = config_of(&d, r, whole), *less = config_of(&d, r, whole);
        _cleanup_json_ struct json *base = must_apply(r, "o", false, NULL, theirs, seed);
        _cleanup_json_ struct json *full = must_apply(r, "m", false, base, whole, seed);
        _cleanup_json_ struct json *now = must_apply(r, "m", false, full, less, seed);
        _cleanup_paths_ struct paths had = paths_of(r, whole), has = paths_of(r, less), others = paths_of(r, theirs),
                                     left = paths_of(r, now);
        struct hashmap_iter it = {0};
        expect_owns(r, now, "m", less, seed);
        expect_owns(r, now, "o", theirs, seed);
        while (hashmap_next(had.leaves, &it)) {
            bool wanted = hashmap_has(has.all, it.key) || hashmap_has(others.all, it.key);
            const struct json *is = hashmap_get(left.all, it.key);
            if (wanted && hashmap_has(left.leaves, it.key) && !json_equal(is, it.value))
                fail_msg("%s, seed %llu: %s changed", r->kind, (unsigned long long) seed, it.key);
            if (wanted != (is != NULL))
                fail_msg("%s, seed %llu: %s is%s there", r->kind, (unsigned long long) seed, it.key,
                         is ? " still" : " not");
        }
    }
}

/* (iv) a conflict, exactly when something differs that somebody else has; force takes it */
static void conflicts_are_what_differs_and_is_owned(void **state) {
    unsigned refused = 0;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct dice d = dice_of(seed);
        const struct resource *r = random_kind(&d);
        _cleanup_json_ struct json *first = random_document(&d, r), *second = random_document(&d, r);
        _cleanup_json_ struct json *theirs = config_of(&d, r, first), *agreed = config_of(&d, r, first);
        _cleanup_json_ struct json *mine = json_ref(dice_roll(&d, 2) ? second : agreed), *got = NULL;
        _cleanup_json_ struct json *live = must_apply(r, "o", false, NULL, theirs, seed);
        _cleanup_(hashmap_freep) struct hashmap *owned = owned_by(live, "o", seed);
        _cleanup_paths_ struct paths wanted = paths_of(r, mine), there = paths_of(r, live);
        const char *differs = NULL;
        struct hashmap_iter it = {0};
        while (hashmap_next(wanted.leaves, &it))
            if (hashmap_has(owned, it.key) && !json_equal(it.value, hashmap_get(there.all, it.key)))
                differs = it.key;
        int code = apply(r, "m", false, live, mine, &got);
        refused += code < 0;
        if ((code < 0) != (differs != NULL))
            fail_msg("%s, seed %llu: %s, but %s differs", r->kind, (unsigned long long) seed,
                     code < 0 ? "a conflict" : "no conflict", differs ? differs : "nothing of theirs");
        if (code < 0) {
            got = must_apply(r, "m", true, live, mine, seed);
            _cleanup_(hashmap_freep) struct hashmap *still = owned_by(got, "o", seed);
            if (hashmap_has(still, differs))
                fail_msg("%s, seed %llu: %s has two owners who differ", r->kind, (unsigned long long) seed, differs);
        }
        expect_owns(r, got, "m", mine, seed);
    }
    assert_true(refused > ROUNDS / 10 && refused < ROUNDS - ROUNDS / 10);
}

/* (v) two who do not differ may come in any order */
static void order_of_appliers_does_not_matter(void **state) {
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct dice d = dice_of(seed);
        const struct resource *r = random_kind(&d);
        _cleanup_json_ struct json *whole = random_document(&d, r);
        _cleanup_json_ struct json *a = config_of(&d, r, whole), *b = config_of(&d, r, whole);
        _cleanup_json_ struct json *only_a = must_apply(r, "m", false, NULL, a, seed),
                                   *only_b = must_apply(r, "o", false, NULL, b, seed);
        _cleanup_json_ struct json *ab = must_apply(r, "o", false, only_a, b, seed),
                                   *ba = must_apply(r, "m", false, only_b, a, seed);
        _cleanup_paths_ struct paths one = paths_of(r, ab), other = paths_of(r, ba);
        struct hashmap_iter it = {0};
        while (hashmap_next(one.leaves, &it))
            if (strncmp(it.key, ".metadata.managedFields", 23) != 0 &&
                !json_equal(it.value, hashmap_get(other.leaves, it.key)))
                fail_msg("%s, seed %llu: %s depends on the order", r->kind, (unsigned long long) seed, it.key);
        assert_int_equal(hashmap_len(one.leaves), hashmap_len(other.leaves));
        for (size_t i = 0; i < ARRAY_LEN(managers); i++)
            if (!json_equal(json_get(entry_of(ab, managers[i]), "fieldsV1"),
                            json_get(entry_of(ba, managers[i]), "fieldsV1")))
                fail_msg("%s, seed %llu: what %s owns depends on the order", r->kind, (unsigned long long) seed,
                         managers[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(applying_twice_is_applying_once),
        cmocka_unit_test(what_is_given_up_goes),
        cmocka_unit_test(conflicts_are_what_differs_and_is_owned),
        cmocka_unit_test(order_of_appliers_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
