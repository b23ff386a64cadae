/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/patch.h"

/* Writes the merge into *target, which may be any value. */
static void merge_into(struct json **target, const struct json *patch) {
    if (!json_is_object(*target)) {
        json_unref(*target);
        *target = json_object();
    }
    for (size_t i = 0; i < json_len(patch); i++) {
        const char *key = json_key_at(patch, i);
        const struct json *value = json_value_at(patch, i);
        if (json_is_null(value))
            json_del(target, key);
        else if (json_is_object(value))
            merge_into(json_edit(target, key), value);
        else
            json_set_key(target, json_ref(json_key_value_at(patch, i)), json_ref(value));
    }
}

int patch_merge(const struct json *doc, const struct json *patch, struct json **ret, struct error *err) {
    if (!json_is_object(patch))
        return error_set(err, -EINVAL, "a merge patch must be an object, not %s", json_type_name(patch));
    struct json *result = doc ? json_ref(doc) : json_object();
    merge_into(&result, patch);
    *ret = result;
    return 0;
}

struct json *patch_merge_diff(const struct json *from, const struct json *to) {
    struct json *patch = json_object();
    for (size_t i = 0; i < json_len(from); i++)
        if (json_is_null(json_get(to, json_key_at(from, i))))
            json_set(&patch, json_key_at(from, i), json_null());
    for (size_t i = 0; i < json_len(to); i++) {
        const struct json *old = json_get(from, json_key_at(to, i)), *new = json_value_at(to, i);
        if (json_is_null(new) || json_equal(old, new))
            continue;
        /* What was no object is replaced: the members of the new one are all set, so they need no nulls. */
        bool both = json_is_object(old) && json_is_object(new);
        json_set(&patch, json_key_at(to, i), both ? patch_merge_diff(old, new) : json_ref(new));
    }
    return patch;
}
