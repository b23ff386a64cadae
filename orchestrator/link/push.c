/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "orchestrator/link/peer.h"
#include "orchestrator/link/pod_conditions.h"
#include "orchestrator/link/pod_refs.h"
#include "orchestrator/link/push_network.h"
#include "orchestrator/link/push_services.h"
#include "podium/base/alloc.h"

#define INDEX_NODE "spec.nodeName"

static struct link_peer *peer_of_pod(const struct link_server *s, const struct json *pod) {
    const char *node = json_str(json_path(pod, "spec", "nodeName"));

    return node && *node ? hashmap_get(s->by_node, node) : NULL;
}

static void send_document(struct link_peer *p, const char *member, const struct json *doc) {
    _cleanup_json_ struct json *sent = json_ref(doc);

    if (json_path(sent, "metadata", "managedFields")) /* who wrote what is nothing to a node: half of a small pod */
        json_del(json_edit(&sent, "metadata"), "managedFields");
    _cleanup_free_ char *text = json_to_text(sent);
    link_peer_call(p, member, "s", text);
}

static const struct json *find_object(const struct link_server *s, const char *kind, const char *ns, const char *name) {
    return informer_get(strcmp(kind, "Secret") == 0 ? s->secrets : s->config_maps, ns, name);
}

/* --- objects pods refer to --- */

struct need {
    struct link_peer *peer;
    const char *ns;
};

static void send_needed(void *userdata, const char *kind, const char *name) {
    const struct need *n = userdata;
    _cleanup_free_ char *key = xasprintf("%s/%s/%s", kind, n->ns, name);

    if (hashmap_has(n->peer->needs, key))
        return;
    hashmap_put(n->peer->needs, key, NULL);
    const struct json *object = find_object(n->peer->server, kind, n->ns, name);
    if (object)
        send_document(n->peer, "ApplyObject", object);
}

static void note_needed(void *userdata, const char *kind, const char *name) {
    const struct need *n = userdata;
    _cleanup_free_ char *key = xasprintf("%s/%s/%s", kind, n->ns, name);

    hashmap_put(n->peer->needs, key, NULL);
}

static void apply_pod(struct link_peer *p, const struct json *pod) {
    struct need n = {p, json_str_or(json_path(pod, "metadata", "namespace"), "")};

    pod_references(pod, send_needed, &n); /* before the pod, so that it need not wait for them */
    send_document(p, "ApplyPod", pod);
}

static void remove_object(struct link_peer *p, const char *key) {
    _cleanup_free_ char *copy = xstrdup(key);
    char *ns = strchr(copy, '/'), *name = ns ? strchr(ns + 1, '/') : NULL;

    if (!name)
        return;
    *ns++ = 0;
    *name++ = 0;
    link_peer_call(p, "RemoveObject", "sss", copy, ns, name);
}

/* A pod left: objects nobody on the node needs any more go, secrets above all. */
static void forget_needs(struct link_peer *p) {
    struct hashmap *old = p->needs;
    size_t n;
    _cleanup_free_ struct json **pods = informer_list(p->server->pods, INDEX_NODE, p->node, &n);

    p->needs = hashmap_new(NULL);
    for (size_t i = 0; i < n; i++) {
        struct need need = {p, json_str_or(json_path(pods[i], "metadata", "namespace"), "")};
        pod_references(pods[i], note_needed, &need);
    }
    struct hashmap_iter it = {0};
    while (hashmap_next(old, &it))
        if (!hashmap_has(p->needs, it.key))
            remove_object(p, it.key);
    hashmap_free(old);
}

/* --- changes --- */

static void on_pod(void *userdata, struct json *old, struct json *pod) {
    struct link_server *s = userdata;
    struct link_peer *p = pod ? peer_of_pod(s, pod) : NULL, *before = old ? peer_of_pod(s, old) : NULL;
    const char *old_uid = json_str_or(json_path(old, "metadata", "uid"), "");
    bool replaced = pod && old && strcmp(old_uid, json_str_or(json_path(pod, "metadata", "uid"), "")) != 0;

    /* a new pod of the old one's name may be on another node */
    if (before && before->synced && (!pod || replaced)) {
        link_peer_call(before, "RemovePod", "s", old_uid);
        forget_needs(before);
    }
    if (!p || !p->synced)
        return;
    /* a change of status alone is mostly the node's own news */
    if (old && !replaced && json_equal(json_get(old, "spec"), json_get(pod, "spec"))) {
        _cleanup_json_ struct json *a = json_ref(json_get(old, "metadata")), *b = json_ref(json_get(pod, "metadata"));
        static const char *const ignored[] = {"resourceVersion", "managedFields"};
        for (size_t i = 0; i < ARRAY_LEN(ignored); i++) {
            json_del(&a, ignored[i]);
            json_del(&b, ignored[i]);
        }
        if (json_equal(a, b) && !pod_status_is_news(old, pod))
            return;
    }
    apply_pod(p, pod);
}

static void object_changed(struct link_server *s, const char *kind, const struct json *old, const struct json *object) {
    const struct json *meta = json_get(object ? object : old, "metadata");
    _cleanup_free_ char *key = xasprintf("%s/%s/%s", kind, json_str_or(json_get(meta, "namespace"), ""),
                                         json_str_or(json_get(meta, "name"), ""));
    struct link_peer *p;

    list_foreach(p, &s->peers, link) {
        if (!p->synced || !hashmap_has(p->needs, key))
            continue;
        if (object)
            send_document(p, "ApplyObject", object);
        else
            remove_object(p, key);
    }
}

static void on_config_map(void *userdata, struct json *old, struct json *object) {
    object_changed(userdata, "ConfigMap", old, object);
}

static void on_secret(void *userdata, struct json *old, struct json *object) {
    object_changed(userdata, "Secret", old, object);
}

/* --- networks --- */

static const char *internal_address(const struct json *node) {
    const struct json *addresses = json_path(node, "status", "addresses");

    for (size_t i = 0; i < json_len(addresses); i++)
        if (strcmp(json_str_or(json_get(json_at(addresses, i), "type"), ""), "InternalIP") == 0)
            return json_str(json_get(json_at(addresses, i), "address"));
    return NULL;
}

static bool ready_is_unknown(const struct json *node) {
    const struct json *conditions = json_path(node, "status", "conditions");

    for (size_t i = 0; i < json_len(conditions); i++)
        if (strcmp(json_str_or(json_get(json_at(conditions, i), "type"), ""), "Ready") == 0)
            return strcmp(json_str_or(json_get(json_at(conditions, i), "status"), ""), "Unknown") == 0;
    return false;
}

/* A node was given up and is back: the node lifecycle controller has meanwhile said of its pods that they are not
 * ready. What they are is the node's to say, once. */
static void ask_to_retell(struct link_server *s, const struct json *old, const struct json *node) {
    struct link_peer *p = hashmap_get(s->by_node, json_str_or(json_path(node, "metadata", "name"), ""));

    if (p && p->synced && ready_is_unknown(old) && !ready_is_unknown(node))
        link_peer_call(p, "Retell", "");
}

static void on_node(void *userdata, struct json *old, struct json *node) {
    struct link_server *s = userdata;
    const char *name = json_str_or(json_path(node ? node : old, "metadata", "name"), "");
    struct link_peer *p = hashmap_get(s->by_node, name);

    if (old && node)
        ask_to_retell(s, old, node);
    network_routes_put(s->routes, name, json_str(json_path(node, "spec", "podCIDR")), internal_address(node));
    if (p)
        push_network(p);
}

/* --- everything --- */

void push_full(struct link_peer *p) {
    struct link_server *s = p->server;
    size_t n;

    if (!p->node || p->synced || !informer_synced(s->pods) || !informer_synced(s->config_maps) ||
        !informer_synced(s->secrets) || !informer_synced(s->nodes) || !push_services_synced(s))
        return;
    p->synced = true;
    push_network(p);
    link_peer_call(p, "SyncBegin", "");
    push_services_full(p); /* before the pods, which may ask for them at once */
    _cleanup_free_ struct json **pods = informer_list(s->pods, INDEX_NODE, p->node, &n);
    for (size_t i = 0; i < n; i++)
        apply_pod(p, pods[i]);
    link_peer_call(p, "SyncEnd", "");
}

static void on_synced(void *userdata) {
    struct link_server *s = userdata;
    struct link_peer *p;

    list_foreach(p, &s->peers, link) push_full(p);
}

static void node_of_pod(const struct json *pod, char ***keys) {
    const char *node = json_str(json_path(pod, "spec", "nodeName"));

    if (node && *node)
        strv_push_dup(keys, node);
}

void push_register_informers(struct link_server *s, struct informer_set *informers) {
    s->nodes = informer_set_get(informers, resource_by_plural("", "v1", "nodes"));
    s->pods = informer_set_get(informers, resource_by_plural("", "v1", "pods"));
    s->config_maps = informer_set_get(informers, resource_by_plural("", "v1", "configmaps"));
    s->secrets = informer_set_get(informers, resource_by_plural("", "v1", "secrets"));
    informer_add_index(s->pods, INDEX_NODE, node_of_pod);
    const struct {
        struct informer *informer;
        struct informer_handlers handlers;
    } all[] = {
        {s->nodes, {.changed = on_node, .synced = on_synced, .userdata = s}},
        {s->pods, {.changed = on_pod, .synced = on_synced, .userdata = s}},
        {s->config_maps, {.changed = on_config_map, .synced = on_synced, .userdata = s}},
        {s->secrets, {.changed = on_secret, .synced = on_synced, .userdata = s}},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        informer_add_handlers(all[i].informer, &all[i].handlers);
    push_services_register(s, informers, on_synced);
}

void push_remove_informers(struct link_server *s) {
    struct informer *const all[] = {s->nodes, s->pods, s->config_maps, s->secrets};

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (all[i])
            informer_remove_handlers(all[i], s);
    push_services_remove(s);
}
