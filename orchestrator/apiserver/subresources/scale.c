/* SPDX-License-Identifier: GPL-2.0-or-later */
/* autoscaling/v1 Scale of everything that has replicas: only spec.replicas can be written through it. */
#include <string.h>

#include "orchestrator/apiserver/body.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/subresources/subresources.h"
#include "orchestrator/apiserver/verbs/manage.h"
#include "orchestrator/apiserver/verbs/patching.h"
#include "orchestrator/apiserver/verbs/prepare.h"
#include "orchestrator/apiserver/write.h"
#include "orchestrator/object/selector.h"

#define SCALE_VERSION "autoscaling/v1"

static struct json *selector_text(const struct api_request *req, const struct json *doc) {
    _cleanup_(selector_freep) struct selector *s = NULL;
    const struct json *spec = json_path(doc, "spec", "selector");
    bool map = strcmp(req->resource->key, "replicationcontrollers") == 0;
    int r = map ? selector_from_map(spec, &s, NULL) : selector_from_object(spec, &s, NULL);
    if (r < 0 || !s)
        return NULL;
    _cleanup_free_ char *text = selector_to_text(s);
    return text && *text ? json_string(text) : NULL;
}

static struct json *scale_of(const struct api_request *req, const struct json *doc) {
    static const char *const copied[] = {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"};
    struct json *s = json_object(), *m = json_object(), *selector = selector_text(req, doc);
    for (size_t i = 0; i < ARRAY_LEN(copied); i++)
        if (json_path(doc, "metadata", copied[i]))
            json_set(&m, copied[i], json_ref(json_path(doc, "metadata", copied[i])));
    json_set(&s, "kind", json_string("Scale"));
    json_set(&s, "apiVersion", json_string(SCALE_VERSION));
    json_set(&s, "metadata", m);
    json_set_path(&s, json_int(json_int_or(json_path(doc, "spec", "replicas"), 0)), "spec", "replicas");
    json_set_path(&s, json_int(json_int_or(json_path(doc, "status", "replicas"), 0)), "status", "replicas");
    if (selector)
        json_set_path(&s, selector, "status", "selector");
    return s;
}

static bool scale_valid(struct api_request *req, const struct json *scale) {
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    const struct json *replicas = json_path(scale, "spec", "replicas");
    if (json_int_or(replicas, 0) >= 0)
        return true;
    field_errors_add(&errors, "FieldValueInvalid", "spec.replicas", replicas, "must be greater than or equal to 0");
    (void) api_invalid(req, "Scale", "autoscaling", req->name, &errors);
    return false;
}

/* The object's rules for a new state: for them this is an update of the object. */
static enum mutate_action prepare_scaled(struct api_request *req, const struct json *old, struct json **doc) {
    const struct subresource *sub = req->sub;
    req->sub = NULL;
    req->write.through = sub->name;
    enum mutate_action action = prepare_update(req, old, doc);
    req->sub = sub;
    return action;
}

/* Applying a Scale is applying spec.replicas to the object, as a manager of the subresource. */
static enum mutate_action apply_scale(struct api_request *req, const struct json *old, struct json **doc) {
    const struct json *replicas = json_path(req->input, "spec", "replicas");
    _cleanup_json_ struct json *config = json_object(), *checked = json_ref(req->input);
    if (!old) {
        (void) api_not_found(req, req->name);
        return MUTATE_FAILED;
    }
    if (!body_check_patched(req, SCALE_VERSION, "Scale", NULL, &checked) || !scale_valid(req, checked))
        return MUTATE_FAILED;
    json_set(&config, "apiVersion", json_string(resource_api_version(req->resource)));
    json_set(&config, "kind", json_string(req->resource->kind));
    json_set(&config, "metadata", json_ref(json_get(checked, "metadata")));
    if (replicas)
        json_set_path(&config, json_ref(replicas), "spec", "replicas");
    req->write.through = req->sub->name;
    if (!manage_apply(req, old, config, doc))
        return MUTATE_FAILED;
    return prepare_scaled(req, old, doc);
}

static enum mutate_action set_scale(struct api_request *req, const struct json *old, struct json **doc) {
    uint64_t revision;
    _cleanup_json_ struct json *scale = NULL;
    if (!old) {
        (void) api_not_found(req, req->name);
        return MUTATE_FAILED;
    }
    if (strcmp(req->verb, "patch") == 0) {
        _cleanup_json_ struct json *now = scale_of(req, old);
        if (!patch_apply(req, SCALE_VERSION, "Scale", now, &scale))
            return MUTATE_FAILED;
        req->write.conditional = !json_is_null(json_path(req->input, "metadata", "resourceVersion"));
    } else {
        scale = json_ref(req->input);
        req->write.conditional = !json_is_null(json_path(scale, "metadata", "resourceVersion"));
    }
    if (!document_revision(req, scale, &revision) || !scale_valid(req, scale))
        return MUTATE_FAILED;
    if (revision && revision != store_item_revision(req->write.old)) {
        (void) api_conflict_modified(req, req->name);
        return MUTATE_FAILED;
    }
    *doc = json_ref(old);
    json_set_path(doc, json_int(json_int_or(json_path(scale, "spec", "replicas"), 0)), "spec", "replicas");
    return prepare_scaled(req, old, doc);
}

static enum api_progress written(struct api_request *req, struct store_item *item, enum mutate_action action) {
    return api_reply_object(req, 200, scale_of(req, api_written_doc(req, item)));
}

enum api_progress scale_serve(struct api_request *req) {
    if (strcmp(req->verb, "get") == 0) {
        _cleanup_(store_item_unrefp) struct store_item *item =
            store_get(req->api->store, req->resource->key, req->ns, req->name);
        return item ? api_reply_object(req, 200, scale_of(req, store_item_doc(item))) : api_not_found(req, req->name);
    }
    if (strcmp(req->verb, "update") == 0) {
        if (!manage_check_options(req) || !body_decode(req, SCALE_VERSION, "Scale") ||
            !prepare_identity(req, &req->input))
            return API_DONE;
        return api_mutate(req, set_scale, written);
    }
    if (strcmp(req->verb, "patch") != 0)
        return api_method_not_supported(req, req->verb);
    if (!patch_read(req))
        return API_DONE;
    if (req->patch_type != PATCH_APPLY)
        return api_mutate(req, set_scale, written);
    return prepare_identity(req, &req->input) ? api_mutate(req, apply_scale, written) : API_DONE;
}
