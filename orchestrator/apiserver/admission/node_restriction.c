/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NodeRestriction: what a node writes is its own. Upstream's plugin of that name; whom it concerns is in
 * authz/node_authorizer.h, which looks at verbs and names while this looks at objects.
 */
#include <stdlib.h>
#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/authz/node_authorizer.h"
#include "orchestrator/apiserver/authz/node_graph.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "podium/base/alloc.h"

#define MIRROR          "kubernetes.io/config.mirror"
#define LEASE_NAMESPACE "kube-node-lease"

#define refuse(req, doc, ...) (api_forbidden((req), name_of((req), (doc)), __VA_ARGS__), false)

static const char *name_of(const struct api_request *req, const struct json *doc) {
    return *req->name ? req->name : json_str_or(json_path(doc, "metadata", "name"), "");
}

static const char *node_of_pod(const struct json *pod) {
    return json_str_or(json_path(pod, "spec", "nodeName"), "");
}

/* --- pods --- */

static bool check_owner(struct api_request *req, const char *node, const struct json *pod) {
    const struct json *owners = json_path(pod, "metadata", "ownerReferences"), *owner = json_at(owners, 0);
    if (json_len(owners) > 1)
        return refuse(req, pod, "node \"%s\" can only create pods with a single owner reference set to itself", node);
    if (!json_get_is(owner, "apiVersion", "v1") || !json_get_is(owner, "kind", "Node") ||
        !json_get_is(owner, "name", node))
        return refuse(req, pod, "node \"%s\" can only create pods with an owner reference set to itself", node);
    if (!json_bool_or(json_get(owner, "controller"), false))
        return refuse(req, pod, "node \"%s\" can only create pods with a controller owner reference set to itself",
                      node);
    if (json_bool_or(json_get(owner, "blockOwnerDeletion"), false))
        return refuse(req, pod, "node \"%s\" must not set blockOwnerDeletion on an owner reference", node);
    _cleanup_(store_item_unrefp) struct store_item *item = store_get(req->api->store, "nodes", "", node);
    const char *uid = item ? json_str_or(json_path(store_item_doc(item), "metadata", "uid"), "") : "";
    if (!item)
        return refuse(req, pod, "nodes \"%s\" not found", node);
    if (!json_get_is(owner, "uid", uid))
        return refuse(req, pod, "node %s UID mismatch: expected %s got %s", node, json_get_str(owner, "uid"), uid);
    return true;
}

static bool create_pod(struct api_request *req, const char *node, const struct json *pod) {
    static const char *const kinds[] = {"secrets", "configmaps", "persistentvolumeclaims"};
    if (!json_path(pod, "metadata", "annotations", MIRROR))
        return refuse(req, pod, "pod does not have \"" MIRROR "\" annotation, node \"%s\" can only create mirror pods",
                      node);
    if (strcmp(node_of_pod(pod), node) != 0)
        return refuse(req, pod, "node \"%s\" can only create pods with spec.nodeName set to itself", node);
    if (!check_owner(req, node, pod))
        return false;
    if (*json_str_or(json_path(pod, "spec", "serviceAccountName"), ""))
        return refuse(req, pod, "node \"%s\" can not create pods that reference a service account", node);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (pod_refers_to(pod, kinds[i]))
            return refuse(req, pod, "node \"%s\" can not create pods that reference %s", node, kinds[i]);
    return true;
}

static bool write_pod(struct api_request *req, const char *node, const struct json *old, const struct json *pod) {
    const char *sub = req->sub ? req->sub->name : "";
    if (!*sub && !old)
        return create_pod(req, node, pod);
    if (strcmp(sub, "status") != 0)
        return refuse(req, pod, "unexpected pod subresource \"%s\", only 'status' and 'eviction' are allowed", sub);
    if (strcmp(node_of_pod(old), node) != 0)
        return refuse(req, pod, "node \"%s\" can only update pod status for pods with spec.nodeName set to itself",
                      node);
    if (!json_equal(json_path(old, "metadata", "labels"), json_path(pod, "metadata", "labels")))
        return refuse(req, pod, "node \"%s\" cannot update labels through pod status", node);
    return true;
}

bool node_restriction_evict(struct api_request *req, const struct json *pod) {
    const char *node = node_of_user(req->user);
    if (!node || strcmp(node_of_pod(pod), node) == 0)
        return true;
    return refuse(req, pod, "node %s can only evict pods with spec.nodeName set to itself", node);
}

/* --- nodes --- */

static bool of_domain(const char *prefix, size_t n, const char *domain) {
    size_t len = strlen(domain);
    return n >= len && memcmp(prefix + n - len, domain, len) == 0 && (n == len || prefix[n - len - 1] == '.');
}

/* Those of Kubernetes, also node-restriction.kubernetes.io, but for what describes the node itself. */
static bool label_is_forbidden(const char *label) {
    static const char *const fine[] = {
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/region",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
    };
    const char *slash = strchr(label, '/');
    size_t n = slash ? (size_t) (slash - label) : 0;
    if (!of_domain(label, n, "kubernetes.io") && !of_domain(label, n, "k8s.io"))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(fine); i++)
        if (strcmp(label, fine[i]) == 0)
            return false;
    return !of_domain(label, n, "kubelet.kubernetes.io") && !of_domain(label, n, "node.kubernetes.io");
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Adds the labels of `one` that `other` lacks or has another value of, and that nodes may not touch. */
static void forbidden_labels(const struct json *one, const struct json *other, char ***found) {
    for (size_t i = 0; i < json_len(one); i++) {
        const char *label = json_key_at(one, i);
        const struct json *there = json_get(other, label);
        bool counted = false;
        for (char **f = *found; *f && !counted; f++)
            counted = strcmp(*f, label) == 0;
        if (!counted && (!there || !json_equal(there, json_value_at(one, i))) && label_is_forbidden(label))
            strv_push_dup(found, label);
    }
}

static bool check_labels(struct api_request *req, const char *node, const struct json *old, const struct json *doc) {
    const struct json *had = json_path(old, "metadata", "labels"), *has = json_path(doc, "metadata", "labels");
    _cleanup_strv_ char **found = strv_new();
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    forbidden_labels(has, had, &found);
    forbidden_labels(had, has, &found);
    if (!*found)
        return true;
    qsort(found, strv_len(found), sizeof(*found), by_text);
    for (char **f = found; *f; f++)
        strbuf_addf(&text, "%s%s", f == found ? "" : ", ", *f);
    if (old)
        return refuse(req, doc, "is not allowed to modify labels: %s", strbuf_str(&text));
    return refuse(req, doc, "node \"%s\" is not allowed to set the following labels: %s", node, strbuf_str(&text));
}

static bool write_node(struct api_request *req, const char *node, const struct json *old, const struct json *doc) {
    if (strcmp(name_of(req, doc), node) != 0)
        return refuse(req, doc, "node \"%s\" is not allowed to modify node \"%s\"", node, name_of(req, doc));
    if (old && !json_equal(json_path(old, "spec", "taints"), json_path(doc, "spec", "taints")))
        return refuse(req, doc, "node \"%s\" is not allowed to modify taints", node);
    if (old &&
        !json_equal(json_path(old, "metadata", "ownerReferences"), json_path(doc, "metadata", "ownerReferences")))
        return refuse(req, doc, "node \"%s\" is not allowed to modify ownerReferences", node);
    return check_labels(req, node, old, doc);
}

/* --- the rest --- */

static bool write_claim(struct api_request *req, const char *node, const struct json *old, const struct json *doc) {
    return (req->sub && strcmp(req->sub->name, "status") == 0) || refuse(req, doc, "may only update PVC status");
}

static bool write_lease(struct api_request *req, const char *node, const struct json *old, const struct json *doc) {
    if (strcmp(req->ns, LEASE_NAMESPACE) != 0)
        return refuse(req, doc, "can only access leases in the \"" LEASE_NAMESPACE "\" system namespace");
    return strcmp(name_of(req, doc), node) == 0 ||
           refuse(req, doc, "can only access node lease with the same name as the requesting node");
}

static bool write_csi_node(struct api_request *req, const char *node, const struct json *old, const struct json *doc) {
    return strcmp(name_of(req, doc), node) == 0 ||
           refuse(req, doc, "can only access CSINode with the same name as the requesting node");
}

bool node_restriction_token(struct api_request *req, const struct json *token_request) {
    const char *node = node_of_user(req->user);
    const struct json *ref = json_path(token_request, "spec", "boundObjectRef");
    const char *name = json_get_str(ref, "name"), *uid = json_get_str(ref, "uid");
    if (!node)
        return true;
    if (!json_get_is(ref, "apiVersion", "v1") || !json_get_is(ref, "kind", "Pod") || !*name)
        return refuse(req, NULL, "node requested token not bound to a pod");
    if (!*uid)
        return refuse(req, NULL, "node requested token with a pod binding without a uid");
    _cleanup_(store_item_unrefp) struct store_item *pod = store_get(req->api->store, "pods", req->ns, name);
    if (!pod)
        return refuse(req, NULL, "pods \"%s\" not found", name);
    const struct json *doc = store_item_doc(pod);
    if (strcmp(json_str_or(json_path(doc, "metadata", "uid"), ""), uid) != 0)
        return refuse(req, NULL,
                      "the UID in the bound object reference (%s) does not match the UID in record. The object might "
                      "have been deleted and then recreated",
                      uid);
    return strcmp(node_of_pod(doc), node) == 0 ||
           refuse(req, NULL, "node requested token bound to a pod scheduled on a different node");
}

static const struct {
    const char *key;
    bool (*check)(struct api_request *req, const char *node, const struct json *old, const struct json *doc);
} kinds[] = {
    {"pods", write_pod},
    {"nodes", write_node},
    {"persistentvolumeclaims", write_claim},
    {"leases.coordination.k8s.io", write_lease},
    {"csinodes.storage.k8s.io", write_csi_node},
};

bool node_restriction_mutate(struct api_request *req, const struct json *old, struct json **doc) {
    const char *node = node_of_user(req->user);
    for (size_t i = 0; node && i < ARRAY_LEN(kinds); i++)
        if (strcmp(req->resource->key, kinds[i].key) == 0)
            return kinds[i].check(req, node, old, *doc);
    return true;
}

bool node_restriction_delete(struct api_request *req, const struct json *old) {
    const char *node = node_of_user(req->user), *key = req->resource->key;
    if (!node)
        return true;
    if (strcmp(key, "pods") == 0)
        return strcmp(node_of_pod(old), node) == 0 ||
               refuse(req, old, "node \"%s\" can only delete pods with spec.nodeName set to itself", node);
    if (strcmp(key, "leases.coordination.k8s.io") == 0)
        return write_lease(req, node, old, old);
    if (strcmp(key, "csinodes.storage.k8s.io") == 0)
        return write_csi_node(req, node, old, old);
    return true;
}
