/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/ownership.h"

#include <string.h>

#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"

const struct json *owner_controller(const struct json *object) {
    const struct json *refs = json_path(object, "metadata", "ownerReferences");
    for (size_t i = 0; i < json_len(refs); i++)
        if (json_bool_or(json_get(json_at(refs, i), "controller"), false))
            return json_at(refs, i);
    return NULL;
}

const char *owner_controller_uid(const struct json *object) {
    return json_str(json_get(owner_controller(object), "uid"));
}

bool owner_is_controller(const struct json *owner, const struct json *object) {
    const char *uid = owner_controller_uid(object);
    return uid && strcmp(uid, meta_uid(owner)) == 0;
}

struct json *owner_reference(const struct json *owner) {
    struct json *ref = json_object();
    json_set(&ref, "apiVersion", json_ref(json_get(owner, "apiVersion")));
    json_set(&ref, "kind", json_ref(json_get(owner, "kind")));
    json_set(&ref, "name", json_string(meta_name(owner)));
    json_set(&ref, "uid", json_string(meta_uid(owner)));
    json_set(&ref, "controller", json_bool(true));
    json_set(&ref, "blockOwnerDeletion", json_bool(true));
    return ref;
}

static struct json *reference_patch(struct json *take_ref, const struct json *object) {
    struct json *patch = json_object();
    struct json *refs = json_array();
    json_append(&refs, take_ref);
    json_set_path(&patch, refs, "metadata", "ownerReferences");
    json_set_path(&patch, json_string(meta_uid(object)), "metadata", "uid");
    return patch;
}

struct json *owner_adopt_patch(const struct json *owner, const struct json *object) {
    return reference_patch(owner_reference(owner), object);
}

struct json *owner_release_patch(const struct json *owner, const struct json *object) {
    struct json *ref = json_object();
    json_set(&ref, "$patch", json_string("delete"));
    json_set(&ref, "uid", json_string(meta_uid(owner)));
    return reference_patch(ref, object);
}

/* label NULL: all of the namespace. */
static char *orphan_key(const char *ns, const char *label, const char *value) {
    return label ? xasprintf("orphan:%s/%s=%s", ns, label, value) : xasprintf("orphan:%s", ns);
}

void index_by_controller(const struct json *object, char ***keys) {
    const char *uid = owner_controller_uid(object), *ns = meta_namespace(object);
    if (uid) {
        strv_push_dup(keys, uid);
        return;
    }
    strv_push(keys, orphan_key(ns, NULL, NULL));
    const struct json *labels = json_path(object, "metadata", "labels");
    for (size_t i = 0; i < json_len(labels); i++)
        strv_push(keys, orphan_key(ns, json_key_at(labels, i), json_str_or(json_value_at(labels, i), "")));
}

/* Labels that all it selects have; NULL: none is known. */
static const struct json *required_labels(const struct json *selector) {
    const struct json *labels = json_get(selector, "matchLabels");
    if (json_is_object(labels))
        return labels;
    return json_is_array(json_get(selector, "matchExpressions")) ? NULL : selector;
}

struct json **owner_candidates(const struct informer *children, const struct json *owner, size_t *ret_n) {
    const struct json *labels = required_labels(json_path(owner, "spec", "selector"));
    const char *ns = meta_namespace(owner);
    size_t n, n_orphans = 0;
    _cleanup_free_ struct json **orphans = NULL;
    struct json **all = informer_list(children, INDEX_CONTROLLER, meta_uid(owner), &n);

    for (size_t i = 0, end = json_len(labels); i < end || !orphans; i++) {
        size_t k;
        _cleanup_free_ char *key =
            i < end ? orphan_key(ns, json_key_at(labels, i), json_str_or(json_value_at(labels, i), ""))
                    : orphan_key(ns, NULL, NULL);
        struct json **some = informer_list(children, INDEX_CONTROLLER, key, &k);
        if (!orphans || k < n_orphans) { /* it must have all of the labels: the rarest is the shortest way */
            free(orphans);
            orphans = some;
            n_orphans = k;
        } else {
            free(some);
        }
    }
    all = xreallocarray(all, n + n_orphans + 1, sizeof(*all));
    memcpy(all + n, orphans, n_orphans * sizeof(*all));
    *ret_n = n + n_orphans;
    return all;
}

void index_by_namespace(const struct json *object, char ***keys) {
    strv_push_dup(keys, meta_namespace(object));
}

const char *meta_name(const struct json *object) {
    return json_str_or(json_path(object, "metadata", "name"), "");
}

const char *meta_namespace(const struct json *object) {
    return json_str_or(json_path(object, "metadata", "namespace"), "");
}

const char *meta_uid(const struct json *object) {
    return json_str_or(json_path(object, "metadata", "uid"), "");
}

bool meta_is_deleting(const struct json *object) {
    return json_str(json_path(object, "metadata", "deletionTimestamp")) != NULL;
}

bool meta_has_finalizer(const struct json *object, const char *name) {
    const struct json *all = json_path(object, "metadata", "finalizers");
    for (size_t i = 0; i < json_len(all); i++)
        if (strcmp(json_str_or(json_at(all, i), ""), name) == 0)
            return true;
    return false;
}

uint64_t meta_created_usec(const struct json *object) {
    uint64_t usec = 0;
    const char *text = json_str(json_path(object, "metadata", "creationTimestamp"));
    return text && timestamp_parse(text, &usec) == 0 ? usec : 0;
}
