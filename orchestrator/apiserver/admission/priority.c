/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The plugin Priority: a new pod's number comes from its class, or from the class for all, and nobody gives it by hand;
 * there is one class for all at most. */
#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"

#define CLASSES "priorityclasses.scheduling.k8s.io"

/* The class for all, a new reference; of several (made at one moment) the one of the lowest value. NULL: there is none.
 */
static struct json *global_default(struct api_request *req) {
    _cleanup_(store_list_finish) struct store_list all = {0};
    const struct json *found = NULL;

    if (store_list(req->api->store, CLASSES, NULL, NULL, NULL, 0, 0, &all) < 0)
        return NULL;
    for (size_t i = 0; i < all.n; i++) {
        const struct json *class = store_item_doc(all.items[i]);
        if (json_bool_or(json_get(class, "globalDefault"), false) &&
            (!found || json_int_or(json_get(class, "value"), 0) < json_int_or(json_get(found, "value"), 0)))
            found = class;
    }
    return json_ref(found);
}

/* Of the classes every cluster has (manifests/bootstrap makes them). */
static bool is_system_class(const char *name) {
    return strcmp(name, "system-node-critical") == 0 || strcmp(name, "system-cluster-critical") == 0;
}

static struct json *class_named(struct api_request *req, const char *name) {
    _cleanup_(store_item_unrefp) struct store_item *item = store_get(req->api->store, CLASSES, "", name);
    return item ? json_ref(store_item_doc(item)) : NULL;
}

static bool refuse(struct api_request *req, const struct json *doc, const struct json *text) {
    (void) api_forbidden(req, admission_name(doc), "%s", json_str(text));
    return false;
}

/* What the pod says itself must be what its class says. */
static bool may_say(struct api_request *req, const struct json *doc, int64_t priority, const char *policy) {
    const struct json *number = json_path(doc, "spec", "priority"), *word = json_path(doc, "spec", "preemptionPolicy");
    _cleanup_json_ struct json *text = NULL;

    if (!json_is_null(number) && json_int_or(number, priority) != priority) {
        text = json_stringf("the integer value of priority (%lld) must not be provided in pod spec; priority admission "
                            "controller computed %lld from the given PriorityClass name",
                            (long long) json_int_or(number, 0), (long long) priority);
        return refuse(req, doc, text);
    }
    if (!json_is_null(word) && strcmp(json_str_or(word, ""), policy) != 0) {
        text = json_stringf("the string value of PreemptionPolicy (%s) must not be provided in pod spec; priority "
                            "admission controller computed %s from the given PriorityClass name",
                            json_str_or(word, ""), policy);
        return refuse(req, doc, text);
    }
    return true;
}

/* An update that does not speak of it leaves it. */
static void keep(struct json **pod, const struct json *old, const char *member) {
    const struct json *had = json_path(old, "spec", member);
    if (!json_is_null(had) && json_is_null(json_path(*pod, "spec", member)))
        json_set_path(pod, json_ref(had), "spec", member);
}

bool priority_mutate(struct api_request *req, const struct json *old, struct json **doc) {
    if (req->sub || strcmp(req->resource->key, "pods") != 0)
        return true;
    if (old) {
        keep(doc, old, "priority");
        keep(doc, old, "preemptionPolicy");
        return true;
    }
    const char *name = json_str_or(json_path(*doc, "spec", "priorityClassName"), "");
    _cleanup_json_ struct json *class = *name ? class_named(req, name) : global_default(req);
    if (*name && !class) {
        _cleanup_json_ struct json *text = json_stringf("no PriorityClass with name %s was found", name);
        return refuse(req, *doc, text);
    }
    int64_t priority = json_int_or(json_get(class, "value"), 0);
    const char *policy = json_str_or(json_get(class, "preemptionPolicy"), "PreemptLowerPriority");
    if (!may_say(req, *doc, priority, policy))
        return false;
    struct json **spec = json_edit(doc, "spec");
    if (class && !*name)
        json_set(spec, "priorityClassName", json_ref(json_path(class, "metadata", "name")));
    json_set(spec, "priority", json_int(priority));
    json_set(spec, "preemptionPolicy", json_string(policy));
    return true;
}

bool priority_validate(struct api_request *req, const struct json *old, const struct json *doc) {
    if (strcmp(req->resource->key, CLASSES) != 0 || !json_bool_or(json_get(doc, "globalDefault"), false))
        return true;
    _cleanup_json_ struct json *other = global_default(req);
    const char *name = json_str_or(json_path(other, "metadata", "name"), "");
    if (!other || (old && strcmp(name, json_str_or(json_path(doc, "metadata", "name"), "")) == 0))
        return true;
    _cleanup_json_ struct json *text =
        json_stringf("PriorityClass %s is already marked as default. Only one default can exist", name);
    return refuse(req, doc, text);
}

/* Upstream: in the registry of the kind. */
bool priority_delete(struct api_request *req, const struct json *old) {
    if (strcmp(req->resource->key, CLASSES) != 0)
        return true;
    const char *name = json_str_or(json_path(old, "metadata", "name"), "");
    if (!is_system_class(name))
        return true;
    (void) api_forbidden(req, name, "this is a system priority class and cannot be deleted");
    return false;
}
