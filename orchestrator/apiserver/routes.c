/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/routes.h"

#include <string.h>

#include "orchestrator/apiserver/audit/annotate.h"
#include "orchestrator/apiserver/authn/openid.h"
#include "orchestrator/apiserver/authz/authorize.h"
#include "orchestrator/apiserver/backup.h"
#include "orchestrator/apiserver/discovery.h"
#include "orchestrator/apiserver/health.h"
#include "orchestrator/apiserver/key_rotation.h"
#include "orchestrator/apiserver/metrics.h"
#include "orchestrator/apiserver/openapi_routes.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/subresources/subresources.h"
#include "orchestrator/apiserver/verbs/manage.h"
#include "orchestrator/apiserver/verbs/verbs.h"
#include "podium/base/alloc.h"

static enum api_progress serve_resource(struct api_request *req);

static const struct route routes[] = {
    {"/healthz", MATCH_TREE, PERMIT_ANYONE, "GET HEAD", health_serve},
    {"/livez", MATCH_TREE, PERMIT_ANYONE, "GET HEAD", health_serve},
    {"/readyz", MATCH_TREE, PERMIT_ANYONE, "GET HEAD", health_serve},
    {"/version", MATCH_EXACT, PERMIT_ANYONE, "GET HEAD", version_serve},
    {"/", MATCH_EXACT, PERMIT_PATH, "GET HEAD", discovery_paths},
    {"/api", MATCH_EXACT, PERMIT_PATH, "GET HEAD", discovery_core},
    {"/apis", MATCH_EXACT, PERMIT_PATH, "GET HEAD", discovery_groups},
    {"/.well-known/openid-configuration", MATCH_EXACT, PERMIT_PATH, "GET HEAD", openid_configuration_serve},
    {"/openid/v1/jwks", MATCH_EXACT, PERMIT_PATH, "GET HEAD", openid_keys_serve},
    {"/openapi/v2", MATCH_EXACT, PERMIT_PATH, "GET HEAD", openapi_v2_serve},
    {"/openapi/v3", MATCH_TREE, PERMIT_PATH, "GET HEAD", openapi_v3_serve},
    {"/metrics", MATCH_EXACT, PERMIT_PATH, "GET HEAD", metrics_serve},
    {"/podium/v1/backup", MATCH_EXACT, PERMIT_PATH, "GET", backup_serve},
    {"/podium/v1/rotate-key", MATCH_EXACT, PERMIT_PATH, "POST", key_rotation_serve},
};
/* Paths below /api and /apis: with a resource in them, and without. */
static const struct route resource_route = {"/", MATCH_TREE, PERMIT_RESOURCE, NULL, serve_resource};
static const struct route group_route = {"/apis", MATCH_TREE, PERMIT_PATH, "GET HEAD", discovery_group};

static bool method_listed(const char *methods, const char *method) {
    size_t n = strlen(method);
    for (const char *p = methods; n > 0 && (p = strstr(p, method)); p += n)
        if ((p == methods || p[-1] == ' ') && (p[n] == ' ' || !p[n]))
            return true;
    return false;
}

static bool route_matches(const struct route *r, const char *path) {
    size_t n = strlen(r->path), len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len == n && memcmp(path, r->path, n) == 0)
        return true;
    return r->match == MATCH_TREE && strncmp(path, r->path, n) == 0 && path[n] == '/';
}

static char **split_path(const char *path) {
    char **parts = strv_new();
    while (*path) {
        size_t n = strcspn(path, "/");
        if (n > 0)
            strv_push(&parts, xstrndup(path, n));
        path += n;
        if (*path == '/')
            path++;
    }
    return parts;
}

static bool is_namespace_subresource(const char *s) {
    return strcmp(s, "status") == 0 || strcmp(s, "finalize") == 0;
}

static void set_str(char **slot, const char *value) {
    free(*slot);
    *slot = xstrdup(value ? value : "");
}

/* Takes the path apart: /api/v1/…, /apis/G/V/…. False when it names no resource (group and version may be set). */
static bool parse_resource_path(struct api_request *req) {
    _cleanup_strv_ char **parts = split_path(req->path);
    size_t n = strv_len(parts), i = 0;
    if (n >= 2 && strcmp(parts[0], "api") == 0) {
        set_str(&req->group, "");
        set_str(&req->version, parts[1]);
        i = 2;
    } else if (n >= 2 && strcmp(parts[0], "apis") == 0) {
        set_str(&req->group, parts[1]);
        set_str(&req->version, n >= 3 ? parts[2] : "");
        i = 3;
    } else {
        return false;
    }
    if (i < n && strcmp(parts[i], "watch") == 0) { /* the old form of ?watch=true */
        api_param_set(req, "watch", "true");
        i++;
    }
    if (i >= n)
        return false;
    if (strcmp(parts[i], "namespaces") == 0 && n - i >= 3 && !is_namespace_subresource(parts[i + 2])) {
        set_str(&req->ns, parts[i + 1]);
        i += 2;
    }
    set_str(&req->plural, parts[i]);
    set_str(&req->name, i + 1 < n ? parts[i + 1] : "");
    set_str(&req->subname, i + 2 < n ? parts[i + 2] : "");
    return true;
}

static const struct {
    const char *method, *verb_named, *verb_collection;
} method_verbs[] = {
    {"GET", "get", "list"},  {"HEAD", "get", "list"},  {"POST", "create", "create"},
    {"PUT", "update", NULL}, {"PATCH", "patch", NULL}, {"DELETE", "delete", "deletecollection"},
};

static const char *verb_of(const struct api_request *req) {
    for (size_t i = 0; i < ARRAY_LEN(method_verbs); i++) {
        if (strcmp(method_verbs[i].method, req->method) != 0)
            continue;
        if (*req->name && !(strcmp(req->method, "GET") == 0 && api_param_bool(req, "watch") && !*req->subname))
            return method_verbs[i].verb_named;
        if (strcmp(req->method, "GET") == 0 && api_param_bool(req, "watch"))
            return "watch";
        return method_verbs[i].verb_collection;
    }
    return NULL;
}

static const struct {
    const char *verb;
    unsigned bit;
    api_step_fn serve;
} verbs[] = {
    {"get", VERB_GET, verb_get},          {"list", VERB_LIST, verb_list},
    {"watch", VERB_WATCH, verb_watch},    {"create", VERB_CREATE, verb_create},
    {"update", VERB_UPDATE, verb_update}, {"patch", VERB_PATCH, verb_patch},
    {"delete", VERB_DELETE, verb_delete}, {"deletecollection", VERB_DELETECOLLECTION, verb_deletecollection},
};

static enum api_progress check_dry_run(struct api_request *req, bool *ret_ok) {
    const char *dry_run = api_param(req, "dryRun");
    *ret_ok = !dry_run || !*dry_run || strcmp(dry_run, "All") == 0;
    if (!*ret_ok) {
        _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
        _cleanup_json_ struct json *value = json_array();
        json_append(&value, json_string(dry_run));
        field_errors_add(&errors, "FieldValueNotSupported", "dryRun", value, "supported values: \"All\"");
        return api_invalid(req, manage_options_kind(req), "meta.k8s.io", "", &errors);
    }
    req->dry_run = req->dry_run || (dry_run && *dry_run);
    return API_DONE;
}

/* Kinds somebody else computes (component statuses, metrics) when there is nobody: empty lists. */
static enum api_progress serve_nothing(struct api_request *req) {
    if (strcmp(req->verb, "get") == 0)
        return api_not_found(req, req->name);
    if (strcmp(req->verb, "list") != 0)
        return api_method_not_supported(req, req->verb);
    req->out.kind = API_OUT_LIST;
    req->out.code = 200;
    return API_DONE;
}

static enum api_progress serve_resource(struct api_request *req) {
    bool ok;
    (void) check_dry_run(req, &ok);
    if (!ok)
        return API_DONE;
    if (req->sub) {
        api_step_fn special = subresource_handler(req);
        if (special)
            return special(req);
    } else if (!req->resource->stored) {
        api_step_fn special = review_handler(req);
        return special ? special(req) : serve_nothing(req);
    }
    unsigned allowed = req->sub ? req->sub->verbs : req->resource->verbs;
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i].verb, req->verb) == 0)
            return allowed & verbs[i].bit ? verbs[i].serve(req) : api_method_not_supported(req, req->verb);
    return api_method_not_supported(req, req->verb);
}

static unsigned verb_bit(const char *verb) {
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i].verb, verb) == 0)
            return verbs[i].bit;
    return 0;
}

/* Finds resource and subresource of a parsed path. */
static bool find_resource(struct api_request *req) {
    req->resource = resource_by_plural(req->group, req->version, req->plural);
    if (!req->resource)
        return false;
    if (*req->subname) {
        req->sub = resource_subresource(req->resource, req->subname);
        if (!req->sub)
            return false;
    }
    return true;
}

static bool scope_fits(const struct api_request *req) {
    if (!req->resource->namespaced)
        return !*req->ns;
    /* All-namespace paths exist for lists and watches, and for reviews that carry the namespace in the body. */
    return *req->ns || strcmp(req->verb, "list") == 0 || strcmp(req->verb, "watch") == 0 ||
           (strcmp(req->verb, "create") == 0 && !req->resource->stored);
}

/* Upstream's notes for the audit log. Who is nobody has been decided nothing about. */
static bool noted(struct api_request *req, bool allowed) {
    if (!req->audit || !req->user)
        return allowed;
    api_audit_annotate(req, "authorization.k8s.io/decision", allowed ? "allow" : "forbid");
    api_audit_annotate(req, "authorization.k8s.io/reason", ""); /* unless the authorizer has said one */
    return allowed;
}

enum api_progress route_resource(struct api_request *req) {
    req->route = &resource_route;
    if (!req->ns)
        req->ns = xstrdup("");
    if (!req->name)
        req->name = xstrdup("");
    if (!req->subname)
        req->subname = xstrdup(req->sub ? req->sub->name : "");
    if (!scope_fits(req))
        return api_unknown_path(req);
    if (!noted(req, authorize_resource(req)))
        return API_DONE;
    return serve_resource(req);
}

static enum api_progress route_fixed(struct api_request *req) {
    if (req->route->permission != PERMIT_ANYONE && !noted(req, authorize_path(req)))
        return API_DONE;
    if (!method_listed(req->route->methods, req->method))
        return api_fail(req, 405, "MethodNotAllowed",
                        "the server does not allow this method on the requested resource");
    return req->route->serve(req);
}

/* Who may not look must not learn what exists. */
static enum api_progress serve_unknown(struct api_request *req) {
    const char *verb = req->plural ? verb_of(req) : NULL;
    if (!noted(req, req->plural ? authorize_unknown(req, verb ? verb : "") : authorize_path(req)))
        return API_DONE;
    return api_unknown_path(req);
}

static const struct route unknown_route = {"", MATCH_EXACT, PERMIT_RESOURCE, NULL, serve_unknown};

static void find_verb(struct api_request *req) {
    req->verb = verb_of(req);
    if (req->verb && strcmp(req->verb, "list") == 0 && !(req->resource->verbs & VERB_LIST))
        req->verb = NULL;
}

static const struct route *find_fixed(const struct api_request *req) {
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        if (route_matches(&routes[i], req->path))
            return &routes[i];
    return NULL;
}

void route_find(struct api_request *req) {
    if (req->route)
        return;
    if (req->resource && req->verb) { /* an in-process client has done the routing */
        req->route = &resource_route;
        return;
    }
    req->route = find_fixed(req);
    if (req->route)
        return;
    if (!parse_resource_path(req)) {
        req->route = req->group ? &group_route : &unknown_route;
        return;
    }
    if (!req->ns)
        set_str(&req->ns, "");
    req->route = find_resource(req) ? &resource_route : &unknown_route;
    if (req->resource)
        find_verb(req);
}

/* A verb the resource does not have: nobody learns even that without the right to it. */
static enum api_progress serve_unsupported(struct api_request *req) {
    const char *verb = verb_of(req);
    if (!noted(req, authorize_unknown(req, verb ? verb : "")))
        return API_DONE;
    return api_fail(req, 405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
}

enum api_progress route_request(struct api_request *req) {
    route_find(req);
    if (req->route == &unknown_route)
        return serve_unknown(req);
    if (req->route != &resource_route)
        return route_fixed(req);
    if (!req->verb || (req->sub ? 0 : !(verb_bit(req->verb) & req->resource->verbs)))
        return serve_unsupported(req);
    return route_resource(req);
}
