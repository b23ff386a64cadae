/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/authz/authorize.h"

#include <string.h>

#include "orchestrator/apiserver/audit/annotate.h"
#include "orchestrator/apiserver/authz/node_authorizer.h"
#include "orchestrator/apiserver/authz/rbac.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/object/selector.h"
#include "podium/base/alloc.h"

bool user_in_group(const struct api_user *u, const char *group) {
    for (char **g = u->groups; g && *g; g++)
        if (strcmp(*g, group) == 0)
            return true;
    return false;
}

bool authz_allows(struct apiserver *api, const struct authz_question *q, char **reason) {
    _cleanup_free_ char *of_node = NULL;
    if (reason)
        *reason = NULL;
    if (user_in_group(q->user, MASTERS_GROUP) || node_decide(api->nodes, q, reason ? &of_node : NULL)) {
        if (reason)
            *reason = xstrdup("");
        return true;
    }
    bool ok = rbac_decide(api->rbac, q, reason);
    if (reason && !ok && of_node) {
        char *both = **reason ? xasprintf("%s, %s", of_node, *reason) : steal(&of_node);
        free(*reason);
        *reason = both;
    }
    return ok;
}

/* --- requests --- */

static bool no_user(struct api_request *req) {
    if (req->user)
        return false;
    (void) api_fail(req, 401, "Unauthorized", "Unauthorized");
    return true;
}

static size_t memo_slot(const struct api_request *req) {
    uintptr_t h = (uintptr_t) req->verb * 31 + (uintptr_t) req->resource / sizeof(*req->resource) * 7 +
                  (uintptr_t) req->sub / sizeof(void *);
    return (h ^ h >> 8) % AUTHZ_MEMO_SLOTS;
}

static bool memo_knows(const struct api_request *req, size_t slot) {
    const struct authz_memo *m = req->memo;
    return m->slots[slot].verb == req->verb && m->slots[slot].resource == req->resource &&
           m->slots[slot].sub == req->sub && m->generation == rbac_generation(req->api->rbac);
}

/* Remembers what is allowed for every name in every namespace. */
static void memo_learn(struct api_request *req, size_t slot, const struct authz_question *q, uint64_t generation) {
    struct authz_memo *m = req->memo;
    struct authz_question anywhere = *q;
    anywhere.ns = anywhere.name = "";
    if (!rbac_decide(req->api->rbac, &anywhere, NULL))
        return;
    if (m->generation != generation)
        *m = (struct authz_memo){.generation = generation};
    m->slots[slot].verb = req->verb;
    m->slots[slot].resource = req->resource;
    m->slots[slot].sub = req->sub;
}

static bool refuse(struct api_request *req, const struct authz_question *q, const char *why) {
    if (q->path) {
        (void) api_fail(req, 403, "Forbidden", "forbidden: User \"%s\" cannot %s path \"%s\"%s%s", q->user->name,
                        q->verb, q->path, *why ? ": " : "", why);
        json_set(&req->out.object, "details", json_object());
        return false;
    }
    _cleanup_free_ char *where = *q->ns ? xasprintf("in the namespace \"%s\"", q->ns) : xstrdup("at the cluster scope");
    _cleanup_free_ char *text =
        xasprintf("User \"%s\" cannot %s resource \"%s%s%s\" in API group \"%s\" %s%s%s", q->user->name, q->verb,
                  q->plural, *q->subname ? "/" : "", q->subname, q->group, where, *why ? ": " : "", why);
    if (req->resource) {
        (void) api_forbidden(req, q->name, "%s", text);
        return false;
    }
    (void) api_fail(req, 403, "Forbidden", "%s%s%s%s%s%s is forbidden: %s", q->plural, *q->group ? "." : "", q->group,
                    *q->name ? " \"" : "", q->name, *q->name ? "\"" : "", text);
    struct json *details = json_object();
    if (*q->name)
        json_set(&details, "name", json_string(q->name));
    if (*q->group)
        json_set(&details, "group", json_string(q->group));
    json_set(&details, "kind", json_string(q->plural));
    json_set(&req->out.object, "details", details);
    return false;
}

/* Decides; a reason costs, and is made for the audit log and for who is refused. */
static bool ask(struct api_request *req, const struct authz_question *q) {
    _cleanup_free_ char *reason = NULL;
    if (!req->audit && authz_allows(req->api, q, NULL))
        return true;
    bool ok = authz_allows(req->api, q, &reason);
    if (req->audit)
        api_audit_annotate(req, "authorization.k8s.io/reason", reason);
    return ok || refuse(req, q, reason);
}

/* Who lists or watches one object by its name asks for that object. */
static const char *selected_name(const struct api_request *req, const char *text, struct field_selector **selector) {
    const struct resource *r = req->resource;
    if ((strcmp(req->verb, "list") != 0 && strcmp(req->verb, "watch") != 0) ||
        field_selector_parse(text, r->group, r->version, r->kind, selector, NULL) < 0)
        return "";
    const char *name = field_selector_exact(*selector, "metadata.name");
    return name ? name : "";
}

bool authorize_resource(struct api_request *req) {
    if (no_user(req))
        return false;
    size_t slot = req->memo ? memo_slot(req) : 0;
    if (req->memo && !req->audit && memo_knows(req, slot))
        return true;
    struct authz_question q = {
        .user = req->user,
        .verb = req->verb,
        .group = req->resource->group,
        .plural = req->resource->plural,
        .subname = req->sub ? req->sub->name : "",
        .ns = strcmp(req->resource->key, "namespaces") == 0 && *req->name ? req->name : req->ns,
        .name = req->name,
        .field_selector = api_param(req, "fieldSelector"),
    };
    if (user_in_group(q.user, MASTERS_GROUP))
        return true;
    _cleanup_(field_selector_freep) struct field_selector *selector = NULL;
    if (q.field_selector && !*q.name)
        q.name = selected_name(req, q.field_selector, &selector);
    uint64_t generation = req->memo ? rbac_generation(req->api->rbac) : 0;
    if (!ask(req, &q))
        return false;
    if (req->memo && !req->audit)
        memo_learn(req, slot, &q, generation);
    return true;
}

bool authorize_unknown(struct api_request *req, const char *verb) {
    if (no_user(req))
        return false;
    struct authz_question q = {
        .user = req->user,
        .verb = verb,
        .group = req->group,
        .plural = req->plural,
        .subname = req->subname,
        .ns = req->ns,
        .name = req->name,
    };
    return ask(req, &q);
}

bool authorize_path(struct api_request *req) {
    if (no_user(req))
        return false;
    _cleanup_free_ char *verb = xstrdup(req->method);
    for (char *p = verb; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char) (*p - 'A' + 'a');
    struct authz_question q = {.user = req->user, .verb = verb, .path = req->path};
    return ask(req, &q);
}

bool authorize_also(struct api_request *req, const char *verb, const char *group, const char *plural,
                    const char *subname, const char *ns, const char *name) {
    struct authz_question q = {
        .user = req->user, .verb = verb, .group = group, .plural = plural, .subname = subname, .ns = ns, .name = name};
    return authz_allows(req->api, &q, NULL);
}
