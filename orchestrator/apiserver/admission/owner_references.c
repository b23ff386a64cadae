/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * OwnerReferencesPermissionEnforcement, upstream's plugin of that name: who changes the owners of an object must be
 * allowed to delete it (an owner that goes takes it along), and who lets it hold up its owner's deletion
 * (blockOwnerDeletion) must be allowed to update the owner's finalizers.
 *
 * Off unless asked for, as upstream: charts and operators written for its defaults set blockOwnerDeletion without the
 * right to the owner's finalizers, and would fail.
 */
#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/authz/authorize.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"

static const struct json *owners_of(const struct json *doc) {
    return json_path(doc, "metadata", "ownerReferences");
}

static bool same_owners(const struct json *a, const struct json *b) {
    return json_equal(a, b) || (json_len(a) == 0 && json_len(b) == 0);
}

static bool blocks(const struct json *owner) {
    return json_bool_or(json_get(owner, "blockOwnerDeletion"), false);
}

static bool blocked_before(const struct json *owners, const struct json *owner) {
    const char *uid = json_get_str(owner, "uid");
    for (size_t i = 0; i < json_len(owners); i++)
        if (json_get_is(json_at(owners, i), "uid", uid) && blocks(json_at(owners, i)))
            return true;
    return false;
}

static bool may_block(struct api_request *req, const struct json *doc, const struct json *owner) {
    const char *version = json_get_str(owner, "apiVersion"), *kind = json_get_str(owner, "kind");
    const struct resource *r = resource_by_api_version(version, kind);
    if (!r) {
        (void) api_forbidden(
            req, admission_name(doc),
            "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion "
            "%s Kind %s: no matches for kind \"%s\" in version \"%s\"",
            version, kind, kind, version);
        return false;
    }
    if (authorize_also(req, "update", r->group, r->plural, "finalizers", r->namespaced ? req->ns : "",
                       json_get_str(owner, "name")))
        return true;
    (void) api_forbidden(req, admission_name(doc),
                         "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set "
                         "finalizers on: , <nil>");
    return false;
}

bool owner_references_validate(struct api_request *req, const struct json *old, const struct json *doc) {
    const struct json *owners = owners_of(doc), *had = owners_of(old);
    if (!(req->api->admission & ADMISSION_OWNER_REFERENCES) || same_owners(owners, had) ||
        (req->sub && strcmp(req->resource->key, "pods") == 0 && strcmp(req->sub->name, "status") == 0))
        return true;
    if (old && !authorize_also(req, "delete", req->resource->group, req->resource->plural, "", req->ns, req->name)) {
        (void) api_forbidden(req, admission_name(doc),
                             "cannot set an ownerRef on a resource you can't delete: , <nil>");
        return false;
    }
    for (size_t i = 0; i < json_len(owners); i++) {
        const struct json *owner = json_at(owners, i);
        if (blocks(owner) && !blocked_before(had, owner) && !may_block(req, doc, owner))
            return false;
    }
    return true;
}
