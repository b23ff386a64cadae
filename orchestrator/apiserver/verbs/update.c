/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PUT on an object or on a subresource that is a view of the whole object. */
#include <string.h>

#include "orchestrator/apiserver/body.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/verbs/manage.h"
#include "orchestrator/apiserver/verbs/prepare.h"
#include "orchestrator/apiserver/verbs/verbs.h"
#include "orchestrator/apiserver/write.h"

static enum mutate_action create_by_put(struct api_request *req, struct json **doc) {
    if (!req->resource->create_on_put || req->sub) {
        (void) api_not_found(req, req->name);
        return MUTATE_FAILED;
    }
    if (!prepare_may_create(req))
        return MUTATE_FAILED;
    *doc = json_ref(req->input);
    if (!*json_str_or(json_path(*doc, "metadata", "name"), ""))
        json_set_path(doc, json_string(req->name), "metadata", "name");
    json_del(json_edit(doc, "metadata"), "resourceVersion");
    return prepare_create(req, doc) ? MUTATE_CREATE : MUTATE_FAILED;
}

static bool revision_required(struct api_request *req) {
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    /* the number as upstream prints it */
    field_errors_add(&errors, "FieldValueInvalid", "metadata.resourceVersion", NULL,
                     "0x0: must be specified for an update");
    (void) api_invalid(req, req->resource->kind, req->resource->group, req->name, &errors);
    return false;
}

static bool revision_fits(struct api_request *req) {
    uint64_t revision;
    if (!document_revision(req, req->input, &revision))
        return false;
    if (revision == 0)
        return req->resource->unconditional_put || revision_required(req);
    req->write.conditional = true;
    if (revision == store_item_revision(req->write.old))
        return true;
    (void) api_conflict_modified(req, req->name);
    return false;
}

static enum mutate_action update(struct api_request *req, const struct json *old, struct json **doc) {
    if (!old)
        return create_by_put(req, doc);
    if (!revision_fits(req))
        return MUTATE_FAILED;
    *doc = json_ref(req->input);
    return prepare_update(req, old, doc);
}

enum api_progress verb_update(struct api_request *req) {
    const struct resource *r = req->resource;
    if (!manage_check_options(req) || !body_decode(req, resource_api_version(r), r->kind))
        return API_DONE;
    if (!prepare_identity(req, &req->input))
        return API_DONE;
    return api_mutate(req, update, NULL);
}
