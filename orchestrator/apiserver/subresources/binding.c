/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Binding: how the scheduler says on which node a pod runs. Once, and for ever. */
#include <string.h>

#include "orchestrator/apiserver/body.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/subresources/subresources.h"
#include "orchestrator/apiserver/verbs/prepare.h"
#include "orchestrator/apiserver/write.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

static void set_scheduled(struct json **doc) {
    char now[TIMESTAMP_SIZE];
    struct json *c = json_object();
    timestamp_format(now_realtime_usec(), now);
    json_set(&c, "type", json_string("PodScheduled"));
    json_set(&c, "status", json_string("True"));
    json_set(&c, "lastProbeTime", json_null());
    json_set(&c, "lastTransitionTime", json_string(now));
    struct json **conditions = json_edit(json_edit(doc, "status"), "conditions");
    for (size_t i = 0; i < json_len(*conditions); i++) {
        if (strcmp(json_str_or(json_get(json_at(*conditions, i), "type"), ""), "PodScheduled") != 0)
            continue;
        json_remove_at(conditions, i);
        json_insert_at(conditions, i, c);
        return;
    }
    json_append(conditions, c);
}

static bool can_be_bound(struct api_request *req, const struct json *pod) {
    const char *node = json_str_or(json_path(pod, "spec", "nodeName"), "");
    const char *uid = json_str_or(json_path(req->input, "metadata", "uid"), "");
    const char *have = json_str_or(json_path(pod, "metadata", "uid"), "");
    if (*uid && strcmp(uid, have) != 0)
        (void) api_conflict(req, req->name, "Precondition failed: UID in precondition: %s, UID in object meta: %s", uid,
                            have);
    else if (!json_is_null(json_path(pod, "metadata", "deletionTimestamp")))
        (void) api_conflict(req, req->name, "pod %s is being deleted, cannot be assigned to a host", req->name);
    else if (*node)
        (void) api_conflict(req, req->name, "pod %s is already assigned to node \"%s\"", req->name, node);
    else if (json_len(json_path(pod, "spec", "schedulingGates")) > 0)
        (void) api_conflict(req, req->name, "pod %s has non-empty .spec.schedulingGates", req->name);
    else
        return true;
    return false;
}

static enum mutate_action bind_pod(struct api_request *req, const struct json *old, struct json **doc) {
    if (!old) {
        (void) api_not_found(req, req->name);
        return MUTATE_FAILED;
    }
    if (!can_be_bound(req, old))
        return MUTATE_FAILED;
    *doc = json_ref(old);
    json_set_path(doc, json_ref(json_path(req->input, "target", "name")), "spec", "nodeName");
    const struct json *annotations = json_path(req->input, "metadata", "annotations");
    for (size_t i = 0; i < json_len(annotations); i++)
        json_set_path(doc, json_ref(json_value_at(annotations, i)), "metadata", "annotations",
                      json_key_at(annotations, i));
    set_scheduled(doc);
    return MUTATE_WRITE;
}

static enum api_progress bound(struct api_request *req, struct store_item *item, enum mutate_action action) {
    return api_success(req, 201, NULL, NULL);
}

static enum api_progress bind_decoded(struct api_request *req) {
    const char *kind = json_str_or(json_path(req->input, "target", "kind"), "Node");
    const char *target = json_str_or(json_path(req->input, "target", "name"), "");
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    if (*kind && strcmp(kind, "Node") != 0) {
        _cleanup_json_ struct json *v = json_string(kind);
        field_errors_add(&errors, "FieldValueNotSupported", "target.kind", v,
                         "supported values: \"Node\", \"<empty>\"");
    }
    if (!*target)
        field_errors_add(&errors, "FieldValueRequired", "target.name", NULL, NULL);
    if (errors.n > 0)
        return api_invalid(req, "Binding", "", req->name, &errors);
    return api_mutate(req, bind_pod, bound);
}

enum api_progress binding_serve(struct api_request *req) {
    if (strcmp(req->verb, "create") != 0)
        return api_method_not_supported(req, req->verb);
    if (!body_decode(req, "v1", "Binding") || !prepare_identity(req, &req->input))
        return API_DONE;
    return bind_decoded(req);
}

enum api_progress bindings_serve(struct api_request *req) {
    if (!body_decode(req, "v1", "Binding") || !prepare_identity(req, &req->input))
        return API_DONE;
    free(req->name);
    req->name = xstrdup(json_str_or(json_path(req->input, "metadata", "name"), ""));
    req->resource = resource_by_plural("", "v1", "pods");
    return bind_decoded(req);
}
