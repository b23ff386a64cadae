/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/apply_patch.h"

#include <string.h>

#include "orchestrator/object/patch_order.h"
#include "orchestrator/object/patch_place.h"
#include "podium/base/alloc.h"

struct json *apply_annotated(const struct json *doc) {
    struct json *annotated = json_ref(doc);
    if (json_path(doc, "metadata", "annotations", APPLY_LAST_APPLIED))
        json_del(json_edit(json_edit(&annotated, "metadata"), "annotations"), APPLY_LAST_APPLIED);
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    json_write(annotated, 0, &text);
    strbuf_addc(&text, '\n');
    json_set_path(&annotated, json_string_len(text.data, text.len), "metadata", "annotations", APPLY_LAST_APPLIED);
    return annotated;
}

struct json *apply_last_applied(const struct json *live) {
    const struct json *text = json_path(live, "metadata", "annotations", APPLY_LAST_APPLIED);
    struct json *last = NULL;
    if (!json_is_string(text) || json_parse(json_str(text), json_str_len(text), NULL, &last, NULL) < 0)
        return NULL;
    return last;
}

static struct json *diff_map(struct patch_place at, const struct json *last, const struct json *live,
                             const struct json *wanted);

/* --- lists --- */

/* Every element a map with the key, no key twice; only then can the list be patched element by element. */
static bool has_distinct_keys(const struct json *list, const char *merge_key) {
    _cleanup_(patch_order_freep) struct patch_order *order = patch_order_new(list, merge_key);
    for (size_t i = 0; i < json_len(list); i++) {
        bool scalar = !json_is_object(json_at(list, i)) && !json_is_array(json_at(list, i));
        if ((merge_key ? !json_is_object(json_at(list, i)) : !scalar) || patch_order_rank(order, json_at(list, i)) != i)
            return false;
    }
    return true;
}

/* The wanted elements by key alone, or the scalars themselves. */
static struct json *element_order(const struct json *wanted, const char *merge_key) {
    struct json *order = json_array();
    for (size_t i = 0; i < json_len(wanted); i++) {
        const struct json *element = json_at(wanted, i);
        if (!merge_key) {
            json_append(&order, json_ref(element));
            continue;
        }
        struct json **slot = json_append(&order, json_object());
        json_set(slot, merge_key, json_ref(json_get(element, merge_key)));
    }
    return order;
}

/* True when the elements that are both wanted and live stand in another order there. */
static bool order_differs(const struct patch_order *live_order, const struct json *wanted) {
    size_t next = 0;
    for (size_t i = 0; i < json_len(wanted); i++) {
        size_t rank = patch_order_rank(live_order, json_at(wanted, i));
        if (rank == PATCH_ORDER_NONE)
            continue;
        if (rank < next)
            return true;
        next = rank;
    }
    return false;
}

static struct json *element_of(const struct json *list, const struct patch_order *order, const struct json *like) {
    return json_at(list, patch_order_rank(order, like));
}

/* $retainKeys: of a union (a volume, a strategy) the parts that are not wanted go away, whoever set them. */
static void add_retain_keys(struct json **change, const struct json *wanted) {
    struct json **keys = json_set(change, PATCH_RETAIN_KEYS, json_array());
    for (size_t i = 0; i < json_len(wanted); i++)
        json_append(keys, json_string(json_key_at(wanted, i)));
}

/* Puts the patch of the list, and the directives about it, into *patch. f: the list's field; at: its elements. */
static void diff_merging_list(const struct field_info *f, struct patch_place at, const struct json *last,
                              const struct json *live, const struct json *wanted, struct json **patch) {
    const char *key = field_name(f), *merge_key = field_patch_merge_key(f);
    _cleanup_(patch_order_freep) struct patch_order *last_order = patch_order_new(last, merge_key);
    _cleanup_(patch_order_freep) struct patch_order *live_order = patch_order_new(live, merge_key);
    _cleanup_(patch_order_freep) struct patch_order *wanted_order = patch_order_new(wanted, merge_key);
    _cleanup_json_ struct json *list = json_array(), *removed = json_array();
    for (size_t i = 0; i < json_len(wanted); i++) {
        const struct json *element = json_at(wanted, i), *there = element_of(live, live_order, element);
        if (!there) {
            json_append(&list, json_ref(element));
        } else if (merge_key) {
            struct json *change = diff_map(at, element_of(last, last_order, element), there, element);
            if (json_len(change) > 0) {
                json_set(&change, merge_key, json_ref(json_get(element, merge_key)));
                if (f->patch_retain_keys)
                    add_retain_keys(&change, element);
                json_append(&list, change);
            } else {
                json_unref(change);
            }
        }
    }
    for (size_t i = 0; i < json_len(last); i++) {
        const struct json *element = json_at(last, i);
        if (patch_order_rank(wanted_order, element) != PATCH_ORDER_NONE || !element_of(live, live_order, element))
            continue;
        if (!merge_key) {
            json_append(&removed, json_ref(element));
            continue;
        }
        struct json **slot = json_append(&list, json_object());
        json_set(slot, PATCH_DIRECTIVE, json_string("delete"));
        json_set(slot, merge_key, json_ref(json_get(element, merge_key)));
    }
    bool differs = json_len(list) > 0 || json_len(removed) > 0 || order_differs(live_order, wanted);
    if (differs && json_len(wanted) > 0) {
        _cleanup_free_ char *directive = xasprintf(PATCH_SET_ORDER "%s", key);
        json_set(patch, directive, element_order(wanted, merge_key));
    }
    if (json_len(removed) > 0) {
        _cleanup_free_ char *directive = xasprintf(PATCH_DELETE_FROM "%s", key);
        json_set(patch, directive, steal(&removed));
    }
    if (json_len(list) > 0)
        json_set(patch, key, steal(&list));
}

/* A list that cannot be merged by key although its type says so (a key twice): sent whole. */
static struct json *replacing_list(const struct json *wanted) {
    struct json *list = json_array();
    json_set(json_append(&list, json_object()), PATCH_DIRECTIVE, json_string("replace"));
    for (size_t i = 0; i < json_len(wanted); i++)
        json_append(&list, json_ref(json_at(wanted, i)));
    return list;
}

static void diff_list(struct patch_place at, const char *key, const struct json *last, const struct json *live,
                      const struct json *wanted, struct json **patch) {
    const struct field_info *f = patch_field(at, key);
    const char *merge_key = f ? field_patch_merge_key(f) : NULL;
    if (!f || !f->patch_merge) {
        if (!json_equal(live, wanted))
            json_set(patch, key, json_ref(wanted));
        return;
    }
    bool distinct = has_distinct_keys(live, merge_key) && has_distinct_keys(wanted, merge_key) &&
                    has_distinct_keys(last, merge_key);
    if (distinct)
        diff_merging_list(f, patch_below(at, key), last, live, wanted, patch);
    else if (!json_equal(live, wanted))
        json_set(patch, key, merge_key ? replacing_list(wanted) : json_ref(wanted));
}

/* --- maps --- */

static void diff_member(struct patch_place at, const char *key, const struct json *last, const struct json *live,
                        const struct json *wanted, struct json **patch) {
    const struct field_info *f = patch_field(at, key);
    if (json_is_object(live) && json_is_object(wanted) && !(f && f->patch_replace)) {
        struct json *change = diff_map(patch_below(at, key), last, live, wanted);
        if (json_len(change) == 0) {
            json_unref(change);
            return;
        }
        if (f && f->patch_retain_keys)
            add_retain_keys(&change, wanted);
        json_set(patch, key, change);
    } else if (json_is_array(live) && json_is_array(wanted)) {
        diff_list(at, key, last, live, wanted, patch);
    } else if (!json_equal(live, wanted)) {
        json_set(patch, key, json_ref(wanted));
    }
}

static struct json *diff_map(struct patch_place at, const struct json *last, const struct json *live,
                             const struct json *wanted) {
    struct json *patch = json_object();
    for (size_t i = 0; i < json_len(wanted); i++) {
        const char *key = json_key_at(wanted, i);
        const struct json *value = json_value_at(wanted, i), *there = json_get(live, key);
        if (!json_is_null(value))
            diff_member(at, key, json_get(last, key), there, value, &patch);
        else if (!json_is_null(there)) /* "key: null" is a wish to have it removed */
            json_set(&patch, key, json_null());
    }
    for (size_t i = 0; i < json_len(last); i++) {
        const char *key = json_key_at(last, i);
        if (!json_get(wanted, key) && !json_is_null(json_get(live, key)))
            json_set(&patch, key, json_null());
    }
    return patch;
}

struct json *apply_patch(const struct type_info *t, const struct json *last, const struct json *live,
                         const struct json *wanted) {
    return diff_map((struct patch_place){t, false}, last, live, wanted);
}
