/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/body.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/service_pool.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/verbs/manage.h"
#include "orchestrator/apiserver/verbs/prepare.h"
#include "orchestrator/apiserver/verbs/verbs.h"
#include "orchestrator/apiserver/versions.h"
#include "orchestrator/apiserver/write.h"
#include "podium/base/alloc.h"

/* upstream's RetryGenerateName */
#define GENERATE_ATTEMPTS 8

static enum api_progress create_step(struct api_request *req);

static bool name_is_generated(const struct api_request *req) {
    return !*json_str_or(json_path(req->input, "metadata", "name"), "") &&
           *json_str_or(json_path(req->input, "metadata", "generateName"), "");
}

static enum api_progress name_taken(struct api_request *req) {
    if (!name_is_generated(req)) {
        (void) api_already_exists(req, req->name);
        return api_settle(req, create_step);
    }
    if (++req->write.attempts < GENERATE_ATTEMPTS)
        return create_step(req);
    (void) api_already_exists(req, req->name);
    json_set(&req->out.object, "message",
             json_stringf("%s \"%s\" already exists, the server was not able to generate a unique name for the object",
                          resource_display_name(req->resource), req->name));
    json_set_path(&req->out.object, json_int(1), "details", "retryAfterSeconds");
    req->out.retry_after = 1;
    return API_DONE;
}

static enum api_progress created(struct api_request *req) {
    service_pool_settle(req);
    resource_quota_settle(req);
    if (req->write.result == -EEXIST)
        return name_taken(req);
    if (req->write.result == -ECANCELED && ++req->write.attempts < WRITE_ATTEMPTS_MAX)
        return create_step(req);
    if (req->write.result < 0)
        return api_store_failure(req, req->name, req->write.result);
    return api_reply_item(req, 201, req->write.item);
}

static enum api_progress create_step(struct api_request *req) {
    _cleanup_json_ struct json *doc = json_ref(req->input);
    free(req->name);
    req->name = xstrdup("");
    if (!prepare_create(req, &doc))
        return API_DONE;
    if (req->dry_run) {
        _cleanup_(store_item_unrefp) struct store_item *there =
            store_get(req->api->store, req->resource->key, req->ns, req->name);
        if (there)
            return api_already_exists(req, req->name);
        return api_reply_object(req, 201, steal(&doc));
    }
    _cleanup_json_ struct json *stored = version_stored(req->resource, doc);
    struct store_write w = {
        .op = STORE_CREATE, .resource = req->resource->key, .ns = req->ns, .name = req->name, .doc = stored};
    req->next = created;
    req->write.failures = store_failures(req->api->store);
    int r = api_submit(req, &w);
    if (r == 0)
        return API_PENDING;
    req->write.result = r;
    return created(req);
}

enum api_progress verb_create(struct api_request *req) {
    if (*req->name) /* POST names an object only together with a subresource */
        return api_method_not_supported(req, "create");
    if (!manage_check_options(req) || !body_decode(req, resource_api_version(req->resource), req->resource->kind))
        return API_DONE;
    return create_step(req);
}
