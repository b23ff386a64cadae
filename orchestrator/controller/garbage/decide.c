/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/garbage/decide.h"

#include <string.h>

#include "orchestrator/controller/ownership.h"

enum owner_state garbage_owner_state(const struct json *owner, const struct json *ref) {
    bool waits = meta_is_deleting(owner) && meta_has_finalizer(owner, FINALIZER_FOREGROUND) &&
                 json_bool_or(json_get(ref, "blockOwnerDeletion"), false);
    return waits ? OWNER_WAITING : OWNER_SOLID;
}

struct garbage_plan garbage_decide(const struct json *object, const enum owner_state *states, bool has_dependents) {
    size_t n = json_len(json_path(object, "metadata", "ownerReferences")), count[3] = {0};
    for (size_t i = 0; i < n; i++)
        count[states[i]]++;
    struct garbage_plan plan = {GARBAGE_NOTHING, NULL};
    /* What is being deleted already needs no second deletion; if it goes in the foreground, that goes on by itself. */
    if (meta_is_deleting(object) || count[OWNER_ABSENT] + count[OWNER_WAITING] == 0)
        return plan;
    if (count[OWNER_SOLID] > 0) {
        plan.action = GARBAGE_UNLINK;
        return plan;
    }
    plan.action = GARBAGE_DELETE;
    if (count[OWNER_WAITING] > 0 && has_dependents)
        plan.policy = "Foreground"; /* the order reaches down the tree */
    else if (meta_has_finalizer(object, FINALIZER_ORPHAN))
        plan.policy = "Orphan";
    else if (meta_has_finalizer(object, FINALIZER_FOREGROUND))
        plan.policy = "Foreground";
    else
        plan.policy = "Background";
    return plan;
}

struct json *garbage_unlink_patch(const struct json *object, const char *const *uids, size_t n) {
    struct json *patch = json_object();
    struct json *refs = json_array();
    for (size_t i = 0; i < n; i++) {
        struct json *ref = json_object();
        json_set(&ref, "$patch", json_string("delete"));
        json_set(&ref, "uid", json_string(uids[i]));
        json_append(&refs, ref);
    }
    json_set_path(&patch, refs, "metadata", "ownerReferences");
    json_set_path(&patch, json_string(meta_uid(object)), "metadata", "uid");
    return patch;
}

struct json *garbage_finalizer_patch(const struct json *object, const char *finalizer) {
    const struct json *all = json_path(object, "metadata", "finalizers");
    struct json *rest = json_array();
    for (size_t i = 0; i < json_len(all); i++)
        if (strcmp(json_str_or(json_at(all, i), ""), finalizer) != 0)
            json_append(&rest, json_ref(json_at(all, i)));
    if (json_len(rest) == 0) {
        json_unref(rest);
        rest = json_null();
    }
    struct json *patch = json_object();
    json_set_path(&patch, rest, "metadata", "finalizers");
    json_set_path(&patch, json_ref(json_path(object, "metadata", "resourceVersion")), "metadata", "resourceVersion");
    return patch;
}

bool garbage_blocks(const struct json *dependent, const char *owner_uid) {
    const struct json *refs = json_path(dependent, "metadata", "ownerReferences");
    for (size_t i = 0; i < json_len(refs); i++)
        if (strcmp(json_str_or(json_get(json_at(refs, i), "uid"), ""), owner_uid) == 0)
            return json_bool_or(json_get(json_at(refs, i), "blockOwnerDeletion"), false);
    return false;
}
