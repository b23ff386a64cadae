/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PATCH on an object or on a subresource that is a view of the whole object. */
#include "orchestrator/object/patch.h"

#include <string.h>

#include "orchestrator/apiserver/body.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/verbs/manage.h"
#include "orchestrator/apiserver/verbs/patching.h"
#include "orchestrator/apiserver/verbs/prepare.h"
#include "orchestrator/apiserver/verbs/verbs.h"
#include "orchestrator/apiserver/write.h"
#include "podium/base/alloc.h"

static const struct {
    const char *media;
    enum patch_type type;
} patch_types[] = {
    {"application/json-patch+json", PATCH_JSON},
    {"application/merge-patch+json", PATCH_MERGE},
    {"application/strategic-merge-patch+json", PATCH_STRATEGIC},
    {"application/apply-patch+yaml", PATCH_APPLY},
};

bool patch_read(struct api_request *req) {
    if (req->body_doc) /* in-process: the type came with the call */
        return manage_check_options(req) && body_parse(req, false);
    _cleanup_free_ char *media = media_type(req->content_type);
    for (size_t i = 0; i < ARRAY_LEN(patch_types); i++) {
        if (strcmp(media, patch_types[i].media) != 0)
            continue;
        req->patch_type = patch_types[i].type;
        return manage_check_options(req) && body_parse(req, req->patch_type == PATCH_APPLY);
    }
    (void) api_fail(
        req, 415, "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, "
        "application/apply-patch+yaml");
    return false;
}

bool patch_apply(struct api_request *req, const char *api_version, const char *kind, const struct json *doc,
                 struct json **ret) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *patched = NULL;
    int r;
    if (req->patch_type == PATCH_JSON)
        r = patch_json(doc, req->input, &patched, &err);
    else if (req->patch_type == PATCH_MERGE)
        r = patch_merge(doc, req->input, &patched, &err);
    else
        r = patch_strategic(type_of_kind(api_version, kind), doc, req->input, &patched, &err);
    if (r == -E2BIG)
        (void) api_fail(req, 413, "RequestEntityTooLarge", "Request entity too large: %s", error_text(&err, r));
    else if (r == -EBADMSG)
        (void) api_fail(req, 422, "Invalid", "the server rejected our request due to an error in our request: %s",
                        error_text(&err, r));
    else if (r < 0)
        (void) api_bad_request(req, "%s", error_text(&err, r));
    if (r < 0)
        return false;
    if (!json_is_object(patched)) {
        (void) api_bad_request(req, "the patched object must be an object");
        return false;
    }
    if (!body_check_patched(req, api_version, kind, doc, &patched))
        return false;
    *ret = steal(&patched);
    return true;
}

/* What a patch or an apply made of an object that is there. */
static enum mutate_action update_patched(struct api_request *req, const struct json *old, struct json **doc) {
    uint64_t revision;
    if (!document_revision(req, *doc, &revision))
        return MUTATE_FAILED;
    /* The patch named a revision if the result's differs from, or the patch's own text sets, the stored one. */
    req->write.conditional = !json_is_null(json_path(req->input, "metadata", "resourceVersion"));
    if (revision != 0 && revision != store_item_revision(req->write.old)) {
        (void) api_conflict_modified(req, req->name);
        return MUTATE_FAILED;
    }
    return prepare_update(req, old, doc);
}

static enum mutate_action patch(struct api_request *req, const struct json *old, struct json **doc) {
    const struct resource *r = req->resource;
    if (!old) {
        (void) api_not_found(req, req->name);
        return MUTATE_FAILED;
    }
    if (!patch_apply(req, resource_api_version(r), r->kind, old, doc))
        return MUTATE_FAILED;
    return update_patched(req, old, doc);
}

/* --- server-side apply --- */

static bool may_be_made(struct api_request *req) {
    const char *uid = json_str_or(json_path(req->input, "metadata", "uid"), "");
    if (req->sub) {
        (void) api_not_found(req, req->name);
        return false;
    }
    if (!*uid)
        return prepare_may_create(req);
    (void) api_conflict(req, req->name,
                        "uid mismatch: the provided object specified uid %s, and no existing object was found", uid);
    return false;
}

static enum mutate_action apply(struct api_request *req, const struct json *old, struct json **doc) {
    const struct resource *r = req->resource;
    if (!old && !may_be_made(req))
        return MUTATE_FAILED;
    if (!manage_apply(req, old, req->input, doc) ||
        !body_check_patched(req, resource_api_version(r), r->kind, old, doc))
        return MUTATE_FAILED;
    if (!old)
        return prepare_create(req, doc) ? MUTATE_CREATE : MUTATE_FAILED;
    return update_patched(req, old, doc);
}

static enum api_progress start_apply(struct api_request *req) {
    if (!json_is_object(req->input))
        return api_bad_request(req, "error decoding YAML: the applied document must be an object");
    return prepare_identity(req, &req->input) ? api_mutate(req, apply, NULL) : API_DONE;
}

enum api_progress verb_patch(struct api_request *req) {
    if (!patch_read(req))
        return API_DONE;
    if (req->patch_type == PATCH_APPLY)
        return start_apply(req);
    return api_mutate(req, patch, NULL);
}
