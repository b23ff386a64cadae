/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Strategic merge: merge patches whose lists merge by key, as apimachinery's strategicpatch does it. The ordering of
 * merged lists is in patch_order.c. */
#include <string.h>

#include "orchestrator/object/patch.h"
#include "orchestrator/object/patch_order.h"
#include "orchestrator/object/patch_place.h"
#include "podium/base/alloc.h"

static bool has_prefix(const char *s, const char *prefix) {
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool is_directive(const char *key) {
    return strcmp(key, PATCH_DIRECTIVE) == 0 || strcmp(key, PATCH_RETAIN_KEYS) == 0 ||
           has_prefix(key, PATCH_SET_ORDER) || has_prefix(key, PATCH_DELETE_FROM);
}

static const char *directive_of(const struct json *v) {
    return json_str(json_get(v, PATCH_DIRECTIVE));
}

static int bad_directive(const struct json *patch, struct error *err) {
    _cleanup_free_ char *what = json_to_text(json_get(patch, PATCH_DIRECTIVE));
    _cleanup_free_ char *text = json_to_text(patch);
    return error_set(err, -EINVAL, "unknown patch type: %s in map: %.200s", what, text);
}

/* A patch value as new content: nulls and directives have done their work. */
static struct json *as_content(const struct json *patch) {
    struct json *content = json_ref(patch);
    for (size_t i = 0; json_is_object(patch) && i < json_len(patch); i++) {
        const char *key = json_key_at(patch, i);
        const struct json *value = json_value_at(patch, i);
        const char *directive = directive_of(value);
        if (json_is_null(value) || is_directive(key) || (directive && strcmp(directive, "delete") == 0)) {
            json_del(&content, key);
        } else if (json_is_object(value) || json_is_array(value)) {
            struct json *made = as_content(value);
            if (made == value)
                json_unref(made);
            else
                json_set(&content, key, made);
        }
    }
    for (size_t i = 0, at = 0; json_is_array(patch) && i < json_len(patch); i++) {
        const struct json *value = json_at(patch, i);
        if (directive_of(value)) { /* an instruction about an element, no element */
            json_remove_at(&content, at);
            continue;
        }
        struct json *made = as_content(value);
        if (made != value) {
            struct json **slot = json_edit_at(&content, at);
            json_unref(*slot);
            *slot = json_ref(made);
        }
        json_unref(made);
        at++;
    }
    return content;
}

static void set_content(struct json **object, const char *key, const struct json *patch) {
    json_set(object, key, as_content(patch));
}

static int merge_map(struct patch_place at, struct json **target, const struct json *patch, struct error *err);

/* --- lists of maps --- */

/* Keeps what of the list the patch does not delete; *ret_replace: the list starts anew. */
static int apply_element_directives(const struct json *patch, const char *merge_key, struct json **list,
                                    bool *ret_replace, struct error *err) {
    *ret_replace = false;
    for (size_t i = 0; i < json_len(patch); i++) {
        const struct json *element = json_at(patch, i);
        const char *directive = directive_of(element);
        if (!directive) {
            if (json_get(element, PATCH_DIRECTIVE))
                return bad_directive(element, err);
            continue;
        }
        if (strcmp(directive, "replace") == 0) {
            *ret_replace = true;
        } else if (strcmp(directive, "delete") == 0) {
            const struct json *key = json_get(element, merge_key);
            if (!key)
                return patch_order_no_key(element, merge_key, err);
            for (size_t k = json_len(*list); k-- > 0;)
                if (json_equal(json_get(json_at(*list, k), merge_key), key))
                    json_remove_at(list, k);
        } else if (strcmp(directive, "merge") == 0) {
            return error_set(err, -EINVAL, "merging lists cannot yet be specified in the patch");
        } else {
            return bad_directive(element, err);
        }
    }
    return 0;
}

static int merge_elements(struct patch_place element_place, const char *merge_key, struct json **list,
                          const struct json *patch, struct error *err) {
    _cleanup_(patch_order_freep) struct patch_order *places = patch_order_new(*list, merge_key);
    for (size_t i = 0; i < json_len(patch); i++) {
        const struct json *element = json_at(patch, i);
        if (json_get(element, PATCH_DIRECTIVE))
            continue;
        if (!json_get(element, merge_key))
            return patch_order_no_key(element, merge_key, err);
        size_t at = patch_order_rank(places, element);
        if (at == PATCH_ORDER_NONE) {
            patch_order_add(places, element, json_len(*list));
            json_append(list, as_content(element));
            continue;
        }
        int r = merge_map(element_place, json_edit_at(list, at), element, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int merge_list_of_maps(struct patch_place element_place, const char *merge_key, const struct json *original,
                              const struct json *patch, struct json **ret, struct error *err) {
    _cleanup_json_ struct json *list = json_ref(original);
    bool replace;
    int r = apply_element_directives(patch, merge_key, &list, &replace, err);
    if (r < 0)
        return r;
    if (replace) { /* the list is what the patch says, in its order: nothing of the server's is left to be placed */
        *ret = as_content(patch);
        return 0;
    }
    r = merge_elements(element_place, merge_key, &list, patch, err);
    if (r < 0)
        return r;
    *ret = patch_order_apply(list, patch, original, merge_key);
    return 0;
}

/* --- lists of scalars --- */

static struct json *merge_set(const struct json *original, const struct json *patch) {
    _cleanup_json_ struct json *both = json_array();
    _cleanup_(patch_order_freep) struct patch_order *seen = patch_order_new(NULL, NULL);
    const struct json *parts[] = {original, patch};
    for (size_t p = 0; p < ARRAY_LEN(parts); p++)
        for (size_t i = 0; i < json_len(parts[p]); i++) {
            const struct json *v = json_at(parts[p], i);
            if (patch_order_rank(seen, v) != PATCH_ORDER_NONE)
                continue;
            patch_order_add(seen, v, json_len(both));
            json_append(&both, json_ref(v));
        }
    return patch_order_apply(both, patch, original, NULL);
}

static struct json *remove_from_set(const struct json *original, const struct json *gone) {
    struct json *left = json_array();
    _cleanup_(patch_order_freep) struct patch_order *without = patch_order_new(gone, NULL);
    for (size_t i = 0; i < json_len(original); i++)
        if (patch_order_rank(without, json_at(original, i)) == PATCH_ORDER_NONE)
            json_append(&left, json_ref(json_at(original, i)));
    return left;
}

/* --- lists --- */

/* All elements of both lists are maps, or none is; lists of lists are never merged. */
static int check_elements(const struct json *a, const struct json *b, bool *ret_maps, struct error *err) {
    const struct json *parts[] = {a, b};
    size_t maps = 0, total = 0;
    for (size_t p = 0; p < ARRAY_LEN(parts); p++)
        for (size_t i = 0; i < json_len(parts[p]); i++) {
            const struct json *v = json_at(parts[p], i);
            if (json_is_array(v) || json_is_null(v))
                return error_set(err, -EINVAL, "a list to be merged must not hold %s", json_type_name(v));
            maps += json_is_object(v);
            total++;
        }
    if (maps != 0 && maps != total)
        return error_set(err, -EINVAL, "list element types are not identical");
    *ret_maps = maps > 0;
    return 0;
}

static int merge_list(struct patch_place at, const char *key, const struct json *original, const struct json *patch,
                      struct json **ret, struct error *err) {
    const struct field_info *f = patch_field(at, key);
    bool maps;
    if (!f || !f->patch_merge) {
        *ret = as_content(patch);
        return 0;
    }
    int r = check_elements(original, patch, &maps, err);
    if (r < 0)
        return r;
    if (!maps) {
        *ret = merge_set(original, patch);
        return 0;
    }
    if (!field_patch_merge_key(f))
        return error_set(err, -EINVAL, "cannot merge lists without merge key for %s", key);
    return merge_list_of_maps(patch_below(at, key), field_patch_merge_key(f), original, patch, ret, err);
}

/* --- maps --- */

static bool list_has(const struct json *list, const char *s) {
    for (size_t i = 0; i < json_len(list); i++)
        if (json_is_string(json_at(list, i)) && strcmp(json_str(json_at(list, i)), s) == 0)
            return true;
    return false;
}

/* $retainKeys: what is not named goes away; naming less than the patch itself sets is a mistake. */
static int apply_retain_keys(struct json **target, const struct json *patch, struct error *err) {
    const struct json *keep = json_get(patch, PATCH_RETAIN_KEYS);
    if (!keep)
        return 0;
    bool good = json_is_array(keep);
    for (size_t i = 0; good && i < json_len(patch); i++)
        good = json_is_null(json_value_at(patch, i)) || is_directive(json_key_at(patch, i)) ||
               list_has(keep, json_key_at(patch, i));
    if (!good)
        return error_set(err, -EINVAL, "invalid patch format of retainKeys");
    for (size_t i = json_len(*target); i-- > 0;)
        if (!list_has(keep, json_key_at(*target, i)))
            json_del(target, json_key_at(*target, i));
    return 0;
}

/* The server's order as upstream sees it when elements are deleted and added at once: it removes and appends in place,
 * so that new elements take the places of deleted ones at the end of the list it then orders by. Who applies with both
 * kubectl and us must get the same order. */
static struct json *server_order(const struct json *original, const struct json *change, const char *merge_key) {
    _cleanup_(patch_order_freep) struct patch_order *there = patch_order_new(original, merge_key);
    _cleanup_json_ struct json *deleted = json_array();
    struct json *order = json_array();
    for (size_t i = 0; i < json_len(change); i++)
        if (directive_of(json_at(change, i)))
            json_append(&deleted, json_ref(json_at(change, i)));
    _cleanup_(patch_order_freep) struct patch_order *gone = patch_order_new(deleted, merge_key);
    for (size_t i = 0; i < json_len(original); i++)
        if (patch_order_rank(gone, json_at(original, i)) == PATCH_ORDER_NONE)
            json_append(&order, json_ref(json_at(original, i)));
    for (size_t i = 0; i < json_len(change) && json_len(order) < json_len(original); i++) {
        const struct json *element = json_at(change, i);
        if (!directive_of(element) && patch_order_rank(there, element) == PATCH_ORDER_NONE)
            json_append(&order, json_ref(element));
    }
    return order;
}

/* "$setElementOrder/name": merges the list of that name, if the patch has it too, and puts it in the given order. */
static int apply_set_order(struct patch_place at, struct json **target, const struct json *patch, const char *key,
                           const struct json *order, struct error *err) {
    const struct field_info *f = patch_field(at, key);
    const struct json *original = json_get(*target, key), *change = json_get(patch, key);
    const char *merge_key = f ? field_patch_merge_key(f) : NULL;
    bool maps;
    if (!json_is_array(order) || (original && !json_is_array(original)) || (change && !json_is_array(change)))
        return error_set(err, -EINVAL, "invalid patch format of setElementOrder list");
    if (!original && !change)
        return 0;
    int r = check_elements(original, change, &maps, err);
    if (r >= 0)
        r = patch_order_check(change, order, maps ? merge_key : NULL, err);
    if (r < 0)
        return r;
    _cleanup_json_ struct json *merged = NULL;
    if (!original)
        merged = as_content(change);
    else if (!change)
        merged = json_ref(original);
    else if ((r = merge_list(at, key, original, change, &merged, err)) < 0)
        return r;
    if (!maps || merge_key) {
        _cleanup_json_ struct json *server = maps ? server_order(original, change, merge_key) : json_ref(original);
        struct json *ordered = patch_order_apply(merged, order, server, maps ? merge_key : NULL);
        json_unref(merged);
        merged = ordered;
    }
    json_set(target, key, steal(&merged));
    return 0;
}

static int merge_member(struct patch_place at, struct json **target, const char *key, const struct json *value,
                        struct error *err) {
    const struct json *original = json_get(*target, key);
    const struct field_info *f = patch_field(at, key);
    if (json_is_null(value)) {
        json_del(target, key);
        return 0;
    }
    if (json_is_object(value) && json_is_object(original) && !(f && f->patch_replace))
        return merge_map(patch_below(at, key), json_edit(target, key), value, err);
    if (json_is_array(value) && json_is_array(original)) {
        struct json *merged = NULL;
        int r = merge_list(at, key, original, value, &merged, err);
        if (r >= 0)
            json_set(target, key, merged);
        return r;
    }
    const char *directive = directive_of(value);
    if (directive && strcmp(directive, "delete") == 0)
        json_del(target, key);
    else
        set_content(target, key, value);
    return 0;
}

static int apply_delete_from(struct json **target, const char *key, const struct json *gone, struct error *err) {
    const struct json *original = json_get(*target, key);
    if (!json_is_array(gone) || *key == '\0')
        return error_set(err, -EINVAL, "invalid patch format of primitive list");
    if (json_is_array(original))
        json_set(target, key, remove_from_set(original, gone));
    return 0;
}

static int merge_map(struct patch_place at, struct json **target, const struct json *patch, struct error *err) {
    const char *directive = directive_of(patch);
    if (json_get(patch, PATCH_DIRECTIVE) &&
        (!directive ||
         (strcmp(directive, "replace") != 0 && strcmp(directive, "delete") != 0 && strcmp(directive, "merge") != 0)))
        return bad_directive(patch, err);
    if (directive && strcmp(directive, "merge") != 0) {
        struct json *content = strcmp(directive, "replace") == 0 ? as_content(patch) : json_object();
        json_unref(*target);
        *target = content;
        return 0;
    }
    int r = apply_retain_keys(target, patch, err);
    for (size_t i = 0; r >= 0 && i < json_len(patch); i++) {
        const char *key = json_key_at(patch, i);
        if (has_prefix(key, PATCH_SET_ORDER) && key[strlen(PATCH_SET_ORDER)] != '\0')
            r = apply_set_order(at, target, patch, key + strlen(PATCH_SET_ORDER), json_value_at(patch, i), err);
    }
    for (size_t i = 0; r >= 0 && i < json_len(patch); i++) {
        const char *key = json_key_at(patch, i);
        const struct json *value = json_value_at(patch, i);
        if (has_prefix(key, PATCH_DELETE_FROM)) {
            r = apply_delete_from(target, key + strlen(PATCH_DELETE_FROM), value, err);
            continue;
        }
        _cleanup_free_ char *order = xasprintf(PATCH_SET_ORDER "%s", key);
        if (!is_directive(key) && !json_get(patch, order)) /* ordered lists are done */
            r = merge_member(at, target, key, value, err);
    }
    return r;
}

int patch_strategic(const struct type_info *t, const struct json *doc, const struct json *patch, struct json **ret,
                    struct error *err) {
    if (!json_is_object(patch))
        return error_set(err, -EINVAL, "a strategic merge patch must be an object, not %s", json_type_name(patch));
    _cleanup_json_ struct json *result = json_is_object(doc) ? json_ref(doc) : json_object();
    int r = merge_map((struct patch_place){t, false}, &result, patch, err);
    if (r < 0)
        return r;
    *ret = steal(&result);
    return 0;
}
