/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/authz/node_authorizer.h"

#include <string.h>

#include "orchestrator/apiserver/authz/node_graph.h"
#include "orchestrator/object/selector.h"
#include "podium/base/alloc.h"

#define USER_PREFIX     "system:node:"
#define LEASE_NAMESPACE "kube-node-lease"

/* What a rule says: NULL allowed, else why not. */
typedef const char *(*rule_fn)(struct node_graph *g, const char *node, const struct authz_question *q);

const char *node_of_user(const struct api_user *u) {
    if (strncmp(u->name, USER_PREFIX, strlen(USER_PREFIX)) != 0 || !u->name[strlen(USER_PREFIX)])
        return NULL;
    return user_in_group(u, "system:nodes") ? u->name + strlen(USER_PREFIX) : NULL;
}

static bool in_words(const char *words, const char *word) {
    size_t n = strlen(word);
    for (const char *p = words; n > 0 && (p = strstr(p, word)); p += n)
        if ((p == words || p[-1] == ' ') && (p[n] == ' ' || !p[n]))
            return true;
    return false;
}

static bool is_read(const char *verb) {
    return in_words("get list watch", verb);
}

static const char *related(struct node_graph *g, const char *node, const struct authz_question *q) {
    if (!*q->name)
        return "No Object name found";
    return node_graph_reaches(g, node, q->plural, q->ns, q->name) ? NULL : "no relationship found";
}

static const char *read_namespaced(struct node_graph *g, const char *node, const struct authz_question *q) {
    if (!is_read(q->verb))
        return "can only read resources of this type";
    if (*q->subname)
        return "cannot read subresource";
    if (!*q->ns)
        return "can only read namespaced object of this type";
    return related(g, node, q);
}

static const char *get_related(struct node_graph *g, const char *node, const struct authz_question *q) {
    if (strcmp(q->verb, "get") != 0)
        return "can only get individual resources of this type";
    if (*q->subname)
        return "cannot get subresource";
    return related(g, node, q);
}

static const char *claim(struct node_graph *g, const char *node, const struct authz_question *q) {
    if (strcmp(q->subname, "status") != 0)
        return get_related(g, node, q);
    return in_words("get update patch", q->verb) ? related(g, node, q) : "can only get/update/patch this type";
}

static const char *create_token(struct node_graph *g, const char *node, const struct authz_question *q) {
    if (strcmp(q->verb, "create") != 0 || !*q->name)
        return "can only create tokens for individual service accounts";
    if (strcmp(q->subname, "token") != 0)
        return "can only create token subresource of service account";
    return related(g, node, q);
}

static bool names_itself(const char *node, const struct authz_question *q) {
    return strcmp(q->name, node) == 0 || (!*q->name && strcmp(q->verb, "create") == 0);
}

static const char *lease(struct node_graph *g, const char *node, const struct authz_question *q) {
    if (!in_words("get create update patch delete", q->verb))
        return "can only get, create, update, patch, or delete a node lease";
    if (strcmp(q->ns, LEASE_NAMESPACE) != 0)
        return "can only access leases in the \"" LEASE_NAMESPACE "\" system namespace";
    return names_itself(node, q) ? NULL : "can only access node lease with the same name as the requesting node";
}

static const char *csi_node(struct node_graph *g, const char *node, const struct authz_question *q) {
    if (*q->subname)
        return "cannot authorize CSINode subresources";
    if (!in_words("get create update patch delete", q->verb))
        return "can only get, create, update, patch, or delete a CSINode";
    return names_itself(node, q) ? NULL : "can only access CSINode with the same name as the requesting node";
}

/* Does the field selector pin the field to this node? */
static bool selects(const struct authz_question *q, const char *kind, const char *field, const char *node) {
    _cleanup_(field_selector_freep) struct field_selector *s = NULL;
    if (!q->field_selector || field_selector_parse(q->field_selector, "", "v1", kind, &s, NULL) < 0)
        return false;
    const char *value = field_selector_exact(s, field);
    return value && strcmp(value, node) == 0;
}

static const char *node_object(struct node_graph *g, const char *node, const struct authz_question *q) {
    if (strcmp(q->subname, "status") == 0)
        return in_words("update patch", q->verb) ? NULL : "can only update/patch node status";
    if (*q->subname)
        return "cannot access this subresource of nodes";
    if (in_words("create update patch", q->verb))
        return NULL; /* which one: NodeRestriction looks */
    if (!is_read(q->verb))
        return "cannot delete nodes";
    if (strcmp(q->name, node) == 0 || (!*q->name && selects(q, "Node", "metadata.name", node)))
        return NULL;
    return "cannot read this node, only its own Node object";
}

static const char *own_pod(struct node_graph *g, const char *node, const struct authz_question *q) {
    if (strcmp(q->subname, "status") == 0)
        return in_words("update patch", q->verb) ? NULL : "can only update/patch pod status";
    if (strcmp(q->subname, "eviction") == 0)
        return strcmp(q->verb, "create") == 0 ? NULL : "can only create evictions";
    if (*q->subname)
        return "cannot access this subresource of pods";
    if (in_words("create delete", q->verb))
        return NULL; /* which ones: NodeRestriction looks */
    if (in_words("list watch", q->verb))
        return selects(q, "Pod", "spec.nodeName", node) ? NULL
                                                        : "can only list/watch pods with spec.nodeName field selector";
    return strcmp(q->verb, "get") == 0 ? related(g, node, q) : "can only get, list, watch, create or delete pods";
}

static const struct {
    const char *group, *plural;
    rule_fn rule;
} rules[] = {
    {"", "secrets", read_namespaced},
    {"", "configmaps", read_namespaced},
    {"", "persistentvolumeclaims", claim},
    {"", "persistentvolumes", get_related},
    {"", "serviceaccounts", create_token},
    {"", "nodes", node_object},
    {"", "pods", own_pod},
    {"coordination.k8s.io", "leases", lease},
    {"storage.k8s.io", "csinodes", csi_node},
};

/* What belongs to no node in particular. */
static const struct {
    const char *group, *plural, *verbs;
} common[] = {
    {"authentication.k8s.io", "tokenreviews", "create"},
    {"authorization.k8s.io", "subjectaccessreviews", "create"},
    {"authorization.k8s.io", "localsubjectaccessreviews", "create"},
    {"", "services", "get list watch"},
    {"", "endpoints", "get"},
    {"", "events", "create patch update"},
    {"certificates.k8s.io", "certificatesigningrequests", "create get list watch"},
    {"storage.k8s.io", "volumeattachments", "get"},
    {"storage.k8s.io", "csidrivers", "get list watch"},
    {"node.k8s.io", "runtimeclasses", "get list watch"},
};

bool node_decide(struct node_graph *graph, const struct authz_question *q, char **reason) {
    const char *node = node_of_user(q->user);
    if (!node || q->path)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (strcmp(rules[i].plural, q->plural) != 0 || strcmp(rules[i].group, q->group) != 0)
            continue;
        const char *why = rules[i].rule(graph, node, q);
        if (why && reason)
            *reason = strcmp(why, "no relationship found") == 0
                          ? xasprintf("no relationship found between node '%s' and this object", node)
                          : xstrdup(why);
        return !why;
    }
    for (size_t i = 0; i < ARRAY_LEN(common); i++)
        if (strcmp(common[i].plural, q->plural) == 0 && strcmp(common[i].group, q->group) == 0)
            return !*q->subname && in_words(common[i].verbs, q->verb);
    return false;
}
