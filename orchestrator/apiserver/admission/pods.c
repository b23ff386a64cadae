/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What new pods get: a priority, and how long they stand an ailing node. */
#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"

static bool is_new_pod(const struct api_request *req, const struct json *old) {
    return !old && strcmp(req->resource->key, "pods") == 0;
}

bool priority_mutate(struct api_request *req, const struct json *old, struct json **doc) {
    if (!is_new_pod(req, old))
        return true;
    struct json **spec = json_edit(doc, "spec");
    const char *class = json_str_or(json_get(*spec, "priorityClassName"), "");
    int64_t priority = 0;
    if (strcmp(class, "system-node-critical") == 0)
        priority = 2000001000;
    else if (strcmp(class, "system-cluster-critical") == 0)
        priority = 2000000000;
    else if (*class) {
        _cleanup_(store_item_unrefp) struct store_item *pc =
            store_get(req->api->store, "priorityclasses.scheduling.k8s.io", "", class);
        if (!pc) {
            (void) api_forbidden(req, json_str_or(json_path(*doc, "metadata", "name"), ""),
                                 "no PriorityClass with name %s was found", class);
            return false;
        }
        priority = json_int_or(json_get(store_item_doc(pc), "value"), 0);
    }
    json_set(spec, "priority", json_int(priority));
    if (json_is_null(json_get(*spec, "preemptionPolicy")))
        json_set(spec, "preemptionPolicy", json_string("PreemptLowerPriority"));
    return true;
}

static bool tolerates(const struct json *tolerations, const char *key) {
    for (size_t i = 0; i < json_len(tolerations); i++) {
        const struct json *t = json_at(tolerations, i);
        const char *k = json_str_or(json_get(t, "key"), ""), *effect = json_str_or(json_get(t, "effect"), "");
        if ((!*k || strcmp(k, key) == 0) && (!*effect || strcmp(effect, "NoExecute") == 0))
            return true;
    }
    return false;
}

bool default_tolerations_mutate(struct api_request *req, const struct json *old, struct json **doc) {
    static const char *const keys[] = {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"};
    if (!is_new_pod(req, old))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (tolerates(json_path(*doc, "spec", "tolerations"), keys[i]))
            continue;
        struct json *t = json_object();
        json_set(&t, "key", json_string(keys[i]));
        json_set(&t, "operator", json_string("Exists"));
        json_set(&t, "effect", json_string("NoExecute"));
        json_set(&t, "tolerationSeconds", json_int(req->api->toleration_seconds));
        json_append(json_edit(json_edit(doc, "spec"), "tolerations"), t);
    }
    return true;
}
