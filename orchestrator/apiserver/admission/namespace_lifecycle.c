/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nothing new in namespaces that are missing or going; some namespaces stay for ever. */
#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"

static bool namespace_missing(struct api_request *req) {
    const struct resource *r = req->resource;
    req->resource = resource_by_plural("", "v1", "namespaces");
    (void) api_not_found(req, req->ns);
    req->resource = r;
    return false;
}

bool namespace_lifecycle_validate(struct api_request *req, const struct json *old, const struct json *doc) {
    if (old || !req->resource->namespaced || !*req->ns)
        return true;
    _cleanup_(store_item_unrefp) struct store_item *ns = store_get(req->api->store, "namespaces", "", req->ns);
    if (!ns)
        return namespace_missing(req);
    const struct json *d = store_item_doc(ns);
    if (json_is_null(json_path(d, "metadata", "deletionTimestamp")) &&
        strcmp(json_str_or(json_path(d, "status", "phase"), ""), "Terminating") != 0)
        return true;
    (void) api_forbidden(req, json_str_or(json_path(doc, "metadata", "name"), ""),
                         "unable to create new content in namespace %s because it is being terminated", req->ns);
    _cleanup_json_ struct json *text = json_stringf("namespace %s is being terminated", req->ns);
    api_status_add_cause(req, "NamespaceTerminating", json_str(text), "metadata.namespace");
    return false;
}

bool namespace_lifecycle_delete(struct api_request *req, const struct json *old) {
    static const char *const immortal[] = {"default", "kube-system", "kube-public"};
    if (strcmp(req->resource->key, "namespaces") != 0)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(immortal); i++) {
        if (strcmp(req->name, immortal[i]) != 0)
            continue;
        (void) api_forbidden(req, req->name, "this namespace may not be deleted");
        return false;
    }
    return true;
}
