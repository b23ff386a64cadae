/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The patches against their definitions, on random documents: a patch made here, by a few lines that know nothing of
 * the code under test, must turn one document into another. A failure names its seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/apply_patch.h"
#include "orchestrator/object/patch.h"
#include "podium/base/alloc.h"
#include "tests/unit/object/random_document.h"

#define STRATEGIC_ROUNDS 5000
#define REPLACE_ROUNDS   2000
#define MERGE_ROUNDS     20000
#define JSON_ROUNDS      5000

static void expect_same(const char *what, uint64_t seed, const struct json *got, const struct json *want,
                        const struct json *from, const struct json *patch) {
    if (json_equal(got, want))
        return;
    _cleanup_free_ char *a = json_to_text(got), *b = json_to_text(want), *c = json_to_text(from),
                        *p = json_to_text(patch);
    fail_msg("%s, seed %llu:\n from  %s\n patch %s\n gives %s\n not   %s", what, (unsigned long long) seed, c, p, a, b);
}

/* --- strategic merge: the reference --- */

static struct json *diff_objects(const struct type_info *t, const struct json *a, const struct json *b);

static const struct json *item_with(const struct json *list, const char *key, const struct json *value) {
    for (size_t i = 0; i < json_len(list); i++)
        if (json_equal(json_get(json_at(list, i), key), value))
            return json_at(list, i);
    return NULL;
}

static bool has_item(const struct json *list, const struct json *value) {
    for (size_t i = 0; i < json_len(list); i++)
        if (json_equal(json_at(list, i), value))
            return true;
    return false;
}

static void set_directive(struct json **patch, const char *directive, const char *name, struct json *take) {
    _cleanup_free_ char *key = xasprintf("$%s/%s", directive, name);
    json_set(patch, key, take);
}

/* Items by key: what is gone is deleted, what is new is given whole, the order is told. */
static void diff_keyed_list(struct json **patch, const struct field_info *f, const struct json *a,
                            const struct json *b) {
    const char *key = field_patch_merge_key(f);
    struct json *items = json_array(), *order = json_array();
    for (size_t i = 0; i < json_len(b); i++) {
        const struct json *value = json_get(json_at(b, i), key), *was = item_with(a, key, value);
        struct json *name = NULL;
        json_set(&name, key, json_ref(value));
        json_append(&order, name);
        if (was && json_equal(was, json_at(b, i)))
            continue;
        struct json *item = was ? diff_objects(field_object(f), was, json_at(b, i)) : json_ref(json_at(b, i));
        json_set(&item, key, json_ref(value));
        json_append(&items, item);
    }
    for (size_t i = 0; i < json_len(a); i++) {
        const struct json *value = json_get(json_at(a, i), key);
        struct json *gone = NULL;
        if (item_with(b, key, value))
            continue;
        json_set(&gone, "$patch", json_string("delete"));
        json_set(&gone, key, json_ref(value));
        json_append(&items, gone);
    }
    json_set(patch, field_name(f), items);
    set_directive(patch, "setElementOrder", field_name(f), order);
}

static void diff_scalar_list(struct json **patch, const struct field_info *f, const struct json *a,
                             const struct json *b) {
    struct json *added = json_array(), *gone = json_array();
    for (size_t i = 0; i < json_len(b); i++)
        if (!has_item(a, json_at(b, i)))
            json_append(&added, json_ref(json_at(b, i)));
    for (size_t i = 0; i < json_len(a); i++)
        if (!has_item(b, json_at(a, i)))
            json_append(&gone, json_ref(json_at(a, i)));
    if (json_len(added))
        json_set(patch, field_name(f), json_ref(added));
    if (json_len(gone))
        set_directive(patch, "deleteFromPrimitiveList", field_name(f), json_ref(gone));
    set_directive(patch, "setElementOrder", field_name(f), json_ref(b));
    json_unref(added);
    json_unref(gone);
}

static void diff_member(struct json **patch, const struct type_info *t, const char *key, const struct json *was,
                        const struct json *is) {
    const struct field_info *f = type_field(t, key);
    bool merges = f && f->patch_merge && f->container == FIELD_ARRAY && json_is_array(was) && json_is_array(is);
    bool objects = json_is_object(was) && json_is_object(is);
    struct json *part;
    if (merges && field_patch_merge_key(f)) {
        diff_keyed_list(patch, f, was, is);
    } else if (merges && f->type != FIELD_OBJECT) {
        diff_scalar_list(patch, f, was, is);
    } else if (objects && f && f->patch_replace) {
        part = json_ref(is);
        json_set(&part, "$patch", json_string("replace"));
        json_set(patch, key, part);
    } else if (objects) {
        part = diff_objects(f && f->container == FIELD_PLAIN ? field_object(f) : NULL, was, is);
        struct json *names = json_array();
        for (size_t i = 0; i < json_len(is); i++)
            json_append(&names, json_string(json_key_at(is, i)));
        if (f && f->patch_retain_keys) { /* says alone what goes */
            for (size_t i = json_len(part); i-- > 0;)
                if (json_type(json_value_at(part, i)) == JSON_NULL)
                    (void) json_del(&part, json_key_at(part, i));
            json_set(&part, "$retainKeys", json_ref(names));
        }
        json_unref(names);
        json_set(patch, key, part);
    } else {
        json_set(patch, key, json_ref(is));
    }
}

static struct json *diff_objects(const struct type_info *t, const struct json *a, const struct json *b) {
    struct json *patch = json_object();
    for (size_t i = 0; i < json_len(a); i++)
        if (!json_get(b, json_key_at(a, i)))
            json_set(&patch, json_key_at(a, i), json_null());
    for (size_t i = 0; i < json_len(b); i++) {
        const char *key = json_key_at(b, i);
        const struct json *was = json_get(a, key), *is = json_value_at(b, i);
        if (!was)
            json_set(&patch, key, json_ref(is));
        else if (!json_equal(was, is))
            diff_member(&patch, t ? t : type_by_name("meta.v1.Status"), key, was, is);
    }
    return patch;
}

/* --- random changes --- */

static void change_object(struct dice *d, const struct type_info *t, struct json **object, unsigned depth);

static void change_list(struct dice *d, const struct field_info *f, struct json **list, unsigned depth) {
    _cleanup_json_ struct json *more = random_list(d, f, depth);
    struct json *made = json_array();
    for (size_t i = 0; i < json_len(*list); i++) {
        struct json *item = json_ref(json_at(*list, i));
        if (dice_roll(d, 4) == 0) {
            json_unref(item);
            continue;
        }
        if (json_is_object(item) && dice_roll(d, 2)) {
            struct json *was = json_ref(item);
            change_object(d, field_object(f), &item, depth + 1);
            if (d->by_merge_key && field_patch_merge_key(f)) /* it stays who it is */
                json_set(&item, field_patch_merge_key(f), json_ref(json_get(was, field_patch_merge_key(f))));
            json_unref(was);
        }
        json_insert_at(&made, dice_roll(d, (unsigned) json_len(made) + 1), item);
    }
    for (size_t i = 0; i < json_len(more); i++) {
        bool there = false;
        for (size_t k = 0; k < json_len(made); k++)
            there = there || same_item(d, f, json_at(made, k), json_at(more, i));
        if (!there)
            json_insert_at(&made, dice_roll(d, (unsigned) json_len(made) + 1), json_ref(json_at(more, i)));
    }
    json_unref(*list);
    *list = made;
}

static void change_object(struct dice *d, const struct type_info *t, struct json **object, unsigned depth) {
    for (size_t i = 0; t && i < t->n_fields; i++) {
        const struct field_info *f = &t->fields[i];
        const char *name = field_name(f);
        const struct json *have = json_get(*object, name);
        if (depth == 0 && (strcmp(name, "apiVersion") == 0 || strcmp(name, "kind") == 0))
            continue;
        unsigned roll = dice_roll(d, 10);
        if (have && roll == 0)
            (void) json_del(object, name);
        else if (have && roll < 6 && f->container == FIELD_ARRAY && f->type != FIELD_RAW)
            change_list(d, f, json_edit(object, name), depth + 1);
        else if (have && roll < 6 && f->container == FIELD_PLAIN && f->type == FIELD_OBJECT)
            change_object(d, field_object(f), json_edit(object, name), depth + 1);
        else if (roll == 7 && depth < d->depth_max && strcmp(name, "managedFields") != 0 && dice_roll(d, 4) == 0)
            json_set(object, name, random_member(d, f, depth));
    }
}

/* Everything in the members that are objects or merged lists comes from b, whatever a had. */
static struct json *replacing_patch(const struct type_info *t, const struct json *b) {
    struct json *patch = json_object();
    for (size_t i = 0; i < json_len(b); i++) {
        const struct field_info *f = type_field(t, json_key_at(b, i));
        struct json *v = json_ref(json_value_at(b, i)), *directive = NULL;
        if (json_is_object(v)) {
            json_set(&v, "$patch", json_string("replace"));
        } else if (f && f->patch_merge && f->type == FIELD_OBJECT && json_is_array(v)) {
            json_set(&directive, "$patch", json_string("replace"));
            json_insert_at(&v, dice_roll(&(struct dice){.state = i}, 2) ? 0 : json_len(v), directive);
        }
        json_set(&patch, json_key_at(b, i), v);
    }
    return patch;
}

static void replace_replaces(void **state) {
    static const char *const types[] = {"core.v1.PodSpec", "core.v1.Container", "core.v1.Volume", "core.v1.ServiceSpec",
                                        "apps.v1.Deployment"};
    for (uint64_t seed = 1; seed <= REPLACE_ROUNDS; seed++) {
        struct dice d = {.state = seed * 0x9e3779b97f4a7c15ull, .density = 40, .depth_max = 6, .by_merge_key = true};
        const struct type_info *t = type_by_name(types[seed % ARRAY_LEN(types)]);
        _cleanup_json_ struct json *a = random_object(&d, t, 1), *b = random_object(&d, t, 1), *got = NULL;
        _cleanup_json_ struct json *patch = replacing_patch(t, b), *want = json_ref(b);
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        for (size_t i = 0; i < json_len(a); i++)
            if (!json_get(b, json_key_at(a, i)))
                json_set(&want, json_key_at(a, i), json_ref(json_value_at(a, i)));
        for (size_t i = 0; i < json_len(b); i++) { /* lists of scalars merge: only what is new in them is certain */
            const struct field_info *f = type_field(t, json_key_at(b, i));
            if (f && f->patch_merge && f->type != FIELD_OBJECT) {
                (void) json_del(&want, json_key_at(b, i));
                (void) json_del(&patch, json_key_at(b, i));
                (void) json_del(&a, json_key_at(b, i));
            }
        }
        if (patch_strategic(t, a, patch, &got, &err) < 0)
            fail_msg("seed %llu: %s", (unsigned long long) seed, error_text(&err, 0));
        expect_same("$patch: replace", seed, got, want, a, patch);
    }
}

static void strategic_turns_one_into_the_other(void **state) {
    for (uint64_t seed = 1; seed <= STRATEGIC_ROUNDS; seed++) {
        struct dice d = {.state = seed * 0x9e3779b97f4a7c15ull, .density = 25, .depth_max = 7, .by_merge_key = true};
        const struct resource *r = random_kind(&d);
        const struct type_info *t = type_by_name(r->type);
        _cleanup_json_ struct json *a = random_document(&d, r), *b = json_ref(a), *got = NULL, *again = NULL,
                                   *applied = NULL;
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        change_object(&d, t, &b, 0);
        _cleanup_json_ struct json *patch = diff_objects(t, a, b), *three_way = apply_patch(t, a, a, b);
        if (patch_strategic(t, a, patch, &got, &err) < 0 || patch_strategic(t, got, patch, &again, &err) < 0 ||
            patch_strategic(t, a, three_way, &applied, &err) < 0)
            fail_msg("%s, seed %llu: %s", r->kind, (unsigned long long) seed, error_text(&err, 0));
        expect_same("strategic merge", seed, got, b, a, patch);
        expect_same("strategic merge, twice", seed, again, b, got, patch);
        expect_same("apply's own patch", seed, applied, b, a, three_way);
        _cleanup_json_ struct json *nothing = apply_patch(t, b, b, b);
        assert_int_equal(json_len(nothing), 0);
    }
}

/* --- merge patch: RFC 7386, section 2 --- */

static struct json *wild(struct dice *d, unsigned depth, bool nulls) {
    static const char *const keys[] = {"a", "b", "c", "d"};
    struct json *v = NULL;
    switch (dice_roll(d, depth > 3 ? 4 : 7)) {
    case 0:
        return nulls ? json_null() : json_bool(true);
    case 1:
        return json_int((int64_t) dice_roll(d, 3));
    case 2:
        return json_string(dice_roll(d, 2) ? "x" : "y");
    case 3:
        v = json_array();
        for (unsigned n = dice_roll(d, 3); n > 0; n--)
            json_append(&v, json_int((int64_t) n));
        return v;
    default:
        v = json_object();
        for (unsigned n = dice_roll(d, 4); n > 0; n--)
            json_set(&v, keys[dice_roll(d, 4)], wild(d, depth + 1, nulls));
        return v;
    }
}

static struct json *wild_object(struct dice *d, bool nulls) {
    struct json *v = wild(d, 0, nulls);
    while (!json_is_object(v)) {
        json_unref(v);
        v = wild(d, 0, nulls);
    }
    return v;
}

/* Takes the target. */
static struct json *merge_by_definition(struct json *target, const struct json *patch) {
    if (!json_is_object(patch)) {
        json_unref(target);
        return json_ref(patch);
    }
    if (!json_is_object(target)) {
        json_unref(target);
        target = json_object();
    }
    for (size_t i = 0; i < json_len(patch); i++) {
        const char *key = json_key_at(patch, i);
        if (json_type(json_value_at(patch, i)) == JSON_NULL)
            (void) json_del(&target, key);
        else
            json_set(&target, key, merge_by_definition(json_ref(json_get(target, key)), json_value_at(patch, i)));
    }
    return target;
}

static void merge_patches_are_what_the_rfc_says(void **state) {
    for (uint64_t seed = 1; seed <= MERGE_ROUNDS; seed++) {
        struct dice d = {.state = seed * 0x9e3779b97f4a7c15ull};
        _cleanup_json_ struct json *a = wild_object(&d, false), *b = wild_object(&d, false), *p = wild_object(&d, true);
        _cleanup_json_ struct json *want = merge_by_definition(json_ref(a), p), *got = NULL, *twice = NULL,
                                   *turned = NULL, *diff = patch_merge_diff(a, b);
        assert_int_equal(patch_merge(a, p, &got, NULL), 0);
        assert_int_equal(patch_merge(got, p, &twice, NULL), 0);
        assert_int_equal(patch_merge(a, diff, &turned, NULL), 0);
        expect_same("merge patch", seed, got, want, a, p);
        expect_same("merge patch, twice", seed, twice, want, got, p);
        expect_same("difference", seed, turned, b, a, diff);
        assert_int_equal(json_equal(a, b), json_len(diff) == 0);
    }
}

/* --- JSON patch: what was done is undone --- */

static struct json *operation(const char *op, const char *path, const char *from, const struct json *value) {
    struct json *o = NULL;
    json_set(&o, "op", json_string(op));
    json_set(&o, "path", json_string(path));
    if (from)
        json_set(&o, "from", json_string(from));
    if (value)
        json_set(&o, "value", json_ref(value));
    return o;
}

/* A place in the document: its pointer, the parent, and the value there. */
static void random_place(struct dice *d, const struct json *doc, struct strbuf *path, const struct json **ret_parent,
                         const struct json **ret_value) {
    const struct json *parent = NULL;
    while (json_len(doc) && (!parent || dice_roll(d, 3))) {
        unsigned i = dice_roll(d, (unsigned) json_len(doc));
        parent = doc;
        if (json_is_array(doc)) {
            strbuf_addf(path, "/%u", i);
            doc = json_at(doc, i);
        } else {
            strbuf_addf(path, "/%s", json_key_at(doc, i));
            doc = json_value_at(doc, i);
        }
    }
    *ret_parent = parent;
    *ret_value = doc;
}

/* Appends one operation that fits the document, and puts what undoes it before what undoes the others. */
static void random_operation(struct dice *d, const struct json *doc, struct json **ops, struct json **undo) {
    _cleanup_strbuf_ struct strbuf path = STRBUF_INIT, other = STRBUF_INIT;
    const struct json *parent, *value;
    _cleanup_json_ struct json *fresh = wild(d, 1, true);
    random_place(d, doc, &path, &parent, &value);
    const char *p = strbuf_str(&path);
    if (!parent || dice_roll(d, 4) == 0) { /* a member nobody has */
        json_append(ops, operation("add", "/new", NULL, fresh));
        json_insert_at(undo, 0,
                       json_get(doc, "new") ? operation("replace", "/new", NULL, json_get(doc, "new"))
                                            : operation("remove", "/new", NULL, NULL));
        return;
    }
    switch (dice_roll(d, 5)) {
    case 0:
        json_append(ops, operation("remove", p, NULL, NULL));
        json_insert_at(undo, 0, operation("add", p, NULL, value));
        break;
    case 1:
        json_append(ops, operation("replace", p, NULL, fresh));
        json_insert_at(undo, 0, operation("replace", p, NULL, value));
        break;
    case 2: /* before an item of a list; over a member */
        json_append(ops, operation("add", p, NULL, fresh));
        json_insert_at(
            undo, 0, json_is_array(parent) ? operation("remove", p, NULL, NULL) : operation("replace", p, NULL, value));
        break;
    case 3:
        if (json_get(doc, "copy"))
            break;
        json_append(ops, operation("copy", "/copy", p, NULL));
        json_insert_at(undo, 0, operation("remove", "/copy", NULL, NULL));
        break;
    default:
        if (json_get(doc, "moved") || strcmp(p, "/moved") == 0)
            break;
        json_append(ops, operation("test", p, NULL, value));
        json_append(ops, operation("move", "/moved", p, NULL));
        json_insert_at(undo, 0, operation("move", p, "/moved", NULL));
    }
}

static void json_patches_are_undone(void **state) {
    for (uint64_t seed = 1; seed <= JSON_ROUNDS; seed++) {
        struct dice d = {.state = seed * 0x9e3779b97f4a7c15ull};
        _cleanup_json_ struct json *first = wild_object(&d, true), *doc = json_ref(first), *all = json_array(),
                                   *undo = json_array(), *whole = NULL, *back = NULL;
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        for (unsigned n = 1 + dice_roll(&d, 6); n > 0; n--) {
            _cleanup_json_ struct json *one = json_array();
            struct json *next = NULL;
            random_operation(&d, doc, &one, &undo);
            if (patch_json(doc, one, &next, &err) < 0)
                fail_msg("seed %llu: %s", (unsigned long long) seed, error_text(&err, 0));
            for (size_t i = 0; i < json_len(one); i++)
                json_append(&all, json_ref(json_at(one, i)));
            json_unref(doc);
            doc = next;
        }
        if (patch_json(first, all, &whole, &err) < 0 || patch_json(doc, undo, &back, &err) < 0)
            fail_msg("seed %llu: %s", (unsigned long long) seed, error_text(&err, 0));
        expect_same("JSON patch, all at once", seed, whole, doc, first, all);
        expect_same("JSON patch, undone", seed, back, first, doc, undo);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strategic_turns_one_into_the_other),
        cmocka_unit_test(replace_replaces),
        cmocka_unit_test(merge_patches_are_what_the_rfc_says),
        cmocka_unit_test(json_patches_are_undone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
