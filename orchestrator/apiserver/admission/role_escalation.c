/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nobody gives what he has not: who writes a Role or ClusterRole must hold all its rules, or have the verb "escalate"
 * on it; who writes a binding must hold the rules of its role, or have the verb "bind" on the role. As upstream's
 * storage of these kinds does; system:masters may everything.
 */
#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/authz/authorize.h"
#include "orchestrator/apiserver/authz/rbac.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "podium/base/alloc.h"

#define RBAC_GROUP "rbac.authorization.k8s.io"

static const char *name_of(const struct api_request *req, const struct json *doc) {
    return *req->name ? req->name : json_str_or(json_path(doc, "metadata", "name"), "");
}

/* Only owners and finalizers differ, which the garbage collector takes away: it need not hold the role. */
static bool only_for_collection(const struct json *old, const struct json *doc) {
    static const char *const members[] = {"ownerReferences", "finalizers", "managedFields"};
    if (!old)
        return false;
    _cleanup_json_ struct json *a = json_ref(old), *b = json_ref(doc);
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        json_del(json_edit(&a, "metadata"), members[i]);
        json_del(json_edit(&b, "metadata"), members[i]);
    }
    return json_equal(a, b);
}

static char *groups_text(const struct api_user *u) {
    struct strbuf b = STRBUF_INIT;
    for (char **g = u->groups; g && *g; g++)
        strbuf_addf(&b, "%s\"%s\"", g == u->groups ? "" : " ", *g);
    return strbuf_steal(&b);
}

/* True: the user holds these rules in the namespace. */
static bool holds(struct api_request *req, const struct json *doc, const struct json *rules) {
    _cleanup_json_ struct json *missing = rbac_missing(req->api->rbac, req->user, req->ns, rules);
    if (!missing)
        return true;
    _cleanup_free_ char *text = access_rules_describe(missing), *groups = groups_text(req->user);
    (void) api_forbidden(req, name_of(req, doc),
                         "user \"%s\" (groups=[%s]) is attempting to grant RBAC permissions not currently held:\n%s",
                         req->user->name, groups, text);
    return false;
}

static struct json *everything(void) {
    static const char *const members[2][4] = {{"apiGroups", "resources", "verbs", NULL},
                                              {"nonResourceURLs", "verbs", NULL, NULL}};
    struct json *rules = json_array();
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        struct json *rule = json_object();
        for (size_t k = 0; members[i][k]; k++)
            json_append(json_edit(&rule, members[i][k]), json_string("*"));
        json_append(&rules, rule);
    }
    return rules;
}

/* An aggregated role may come to hold anything: only for who holds everything. */
static bool may_aggregate(struct api_request *req, const struct json *old, const struct json *doc) {
    if (json_is_null(json_get(doc, "aggregationRule")) && json_is_null(json_get(old, "aggregationRule")))
        return true;
    _cleanup_json_ struct json *all = everything(), *missing = rbac_missing(req->api->rbac, req->user, req->ns, all);
    if (!missing)
        return true;
    (void) api_forbidden(req, name_of(req, doc), "must have cluster-admin privileges to use the aggregationRule");
    return false;
}

static bool may_write_role(struct api_request *req, const struct json *old, const struct json *doc) {
    /* A creation has no name in its URL: "escalate" must hold for all then. */
    const char *name = strcmp(req->verb, "create") == 0 ? "" : req->name;
    if (authorize_also(req, "escalate", RBAC_GROUP, req->resource->plural, "", req->ns, name) ||
        only_for_collection(old, doc))
        return true;
    return holds(req, doc, json_get(doc, "rules")) && may_aggregate(req, old, doc);
}

static bool may_bind(struct api_request *req, const struct json *old, const struct json *doc) {
    const struct json *ref = json_get(doc, "roleRef");
    bool cluster = json_get_is(ref, "kind", "ClusterRole");
    const char *name = json_get_str(ref, "name"), *plural = cluster ? "clusterroles" : "roles";
    if ((!cluster && !json_get_is(ref, "kind", "Role")) || !*name || only_for_collection(old, doc))
        return true; /* validation's business; nothing new */
    if (authorize_also(req, "bind", json_get_str(ref, "apiGroup"), plural, "", req->ns, name))
        return true;
    const struct resource *own = req->resource, *role = resource_by_plural(RBAC_GROUP, "v1", plural);
    _cleanup_(store_item_unrefp) struct store_item *item =
        store_get(req->api->store, role->key, cluster ? "" : req->ns, name);
    if (item)
        return holds(req, doc, json_get(store_item_doc(item), "rules"));
    req->resource = role; /* for the words of the answer */
    (void) api_not_found(req, name);
    req->resource = own;
    return false;
}

bool role_escalation_mutate(struct api_request *req, const struct json *old, struct json **doc) {
    if (strcmp(req->resource->group, RBAC_GROUP) != 0 || user_in_group(req->user, MASTERS_GROUP))
        return true;
    bool role = strcmp(req->resource->kind, "Role") == 0 || strcmp(req->resource->kind, "ClusterRole") == 0;
    return role ? may_write_role(req, old, *doc) : may_bind(req, old, *doc);
}
