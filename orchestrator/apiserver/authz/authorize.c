/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/authz/authorize.h"

#include <string.h>

#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "podium/base/alloc.h"

bool user_in_group(const struct api_user *u, const char *group) {
    for (char **g = u->groups; g && *g; g++)
        if (strcmp(*g, group) == 0)
            return true;
    return false;
}

bool authorize_resource(struct api_request *req) {
    if (!req->user) {
        (void) api_fail(req, 401, "Unauthorized", "Unauthorized");
        return false;
    }
    struct authz_question q = {
        .user = req->user,
        .verb = req->verb,
        .group = req->resource->group,
        .plural = req->resource->plural,
        .subname = req->sub ? req->sub->name : "",
        .ns = strcmp(req->resource->key, "namespaces") == 0 && *req->name ? req->name : req->ns,
        .name = req->name,
    };
    if (rbac_allows(req->api->rbac, &q))
        return true;
    _cleanup_free_ char *where = *q.ns ? xasprintf("in the namespace \"%s\"", q.ns) : xstrdup("at the cluster scope");
    (void) api_forbidden(req, req->name, "User \"%s\" cannot %s resource \"%s%s%s\" in API group \"%s\" %s",
                         req->user->name, req->verb, req->resource->plural, *q.subname ? "/" : "", q.subname,
                         req->resource->group, where);
    return false;
}

bool authorize_path(struct api_request *req) {
    if (!req->user) {
        (void) api_fail(req, 401, "Unauthorized", "Unauthorized");
        return false;
    }
    _cleanup_free_ char *verb = xstrdup(req->method);
    for (char *p = verb; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char) (*p - 'A' + 'a');
    struct authz_question q = {.user = req->user, .verb = verb, .path = req->path};
    if (rbac_allows(req->api->rbac, &q))
        return true;
    (void) api_fail(req, 403, "Forbidden", "forbidden: User \"%s\" cannot %s path \"%s\"", req->user->name, verb,
                    req->path);
    json_set(&req->out.object, "details", json_object());
    return false;
}
