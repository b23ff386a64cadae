/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/authz/node_graph.h"

#include <pthread.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"

#define MIRROR "kubernetes.io/config.mirror"

struct pod {
    char *node, *uid;
    size_t n_ephemeral; /* containers that may come later, with references of their own */
    char **refs;        /* "secrets/ns/name" */
};

struct node_graph {
    struct store *store;
    pthread_mutex_t lock;       /* guards the rest */
    struct store_watch *watch;  /* of pods; NULL: never asked */
    struct hashmap *pods;       /* "ns/name": struct pod, bound ones */
    struct hashmap *references; /* "node/secrets/ns/name": how many, as a pointer */
};

/* --- what a pod refers to --- */

struct references {
    const char *ns;
    char ***out;
};

static void refer(struct references *r, const char *kind, const char *name) {
    if (name && *name)
        strv_push(r->out, xasprintf("%s/%s/%s", kind, r->ns, name));
}

static const char *name_in(const struct json *object, const char *member) {
    return json_str(json_path(object, member, "name"));
}

static void refer_sources(struct references *r, const struct json *sources) {
    for (size_t i = 0; i < json_len(sources); i++) {
        refer(r, "secrets", name_in(json_at(sources, i), "secret"));
        refer(r, "configmaps", name_in(json_at(sources, i), "configMap"));
    }
}

static void refer_volume(struct references *r, const struct json *pod, const struct json *volume) {
    static const char *const secret_refs[] = {"secretRef", "nodePublishSecretRef"};
    if (json_get(volume, "ephemeral")) {
        _cleanup_free_ char *claim =
            xasprintf("%s-%s", json_str_or(json_path(pod, "metadata", "name"), ""), json_get_str(volume, "name"));
        refer(r, "persistentvolumeclaims", claim);
    }
    refer(r, "persistentvolumeclaims", json_str(json_path(volume, "persistentVolumeClaim", "claimName")));
    refer(r, "configmaps", name_in(volume, "configMap"));
    refer_sources(r, json_path(volume, "projected", "sources"));
    /* The sources that name a Secret do so in one of three ways. */
    for (size_t i = 0; i < json_len(volume); i++) {
        const struct json *source = json_value_at(volume, i);
        refer(r, "secrets", json_str(json_get(source, "secretName")));
        for (size_t k = 0; k < ARRAY_LEN(secret_refs); k++)
            refer(r, "secrets", name_in(source, secret_refs[k]));
    }
}

static void refer_container(struct references *r, const struct json *container) {
    const struct json *env = json_get(container, "env"), *from = json_get(container, "envFrom");
    for (size_t i = 0; i < json_len(env); i++) {
        const struct json *value = json_get(json_at(env, i), "valueFrom");
        refer(r, "secrets", name_in(value, "secretKeyRef"));
        refer(r, "configmaps", name_in(value, "configMapKeyRef"));
    }
    for (size_t i = 0; i < json_len(from); i++) {
        refer(r, "secrets", name_in(json_at(from, i), "secretRef"));
        refer(r, "configmaps", name_in(json_at(from, i), "configMapRef"));
    }
}

static char **references_of(const struct json *pod) {
    static const char *const containers[] = {"initContainers", "containers", "ephemeralContainers"};
    const struct json *spec = json_get(pod, "spec"), *pulls = json_get(spec, "imagePullSecrets");
    const struct json *volumes = json_get(spec, "volumes");
    char **out = strv_new();
    struct references r = {.ns = json_str_or(json_path(pod, "metadata", "namespace"), ""), .out = &out};
    refer(&r, "serviceaccounts", json_str(json_get(spec, "serviceAccountName")));
    for (size_t i = 0; i < json_len(pulls); i++)
        refer(&r, "secrets", json_str(json_get(json_at(pulls, i), "name")));
    for (size_t i = 0; i < json_len(volumes); i++)
        refer_volume(&r, pod, json_at(volumes, i));
    for (size_t k = 0; k < ARRAY_LEN(containers); k++)
        for (size_t i = 0; i < json_len(json_get(spec, containers[k])); i++)
            refer_container(&r, json_at(json_get(spec, containers[k]), i));
    return out;
}

bool pod_refers_to(const struct json *pod, const char *kind) {
    _cleanup_strv_ char **refs = references_of(pod);
    size_t n = strlen(kind);
    for (char **ref = refs; *ref; ref++)
        if (strncmp(*ref, kind, n) == 0 && (*ref)[n] == '/')
            return true;
    return false;
}

/* --- the graph; with the lock held --- */

static void pod_free(void *p) {
    struct pod *pod = p;
    free(pod->node);
    free(pod->uid);
    strv_free(pod->refs);
    free(pod);
}

static void count(struct node_graph *g, const struct pod *pod, int by) {
    for (char **ref = pod->refs; *ref; ref++) {
        _cleanup_free_ char *key = xasprintf("%s/%s", pod->node, *ref);
        uintptr_t n = (uintptr_t) hashmap_get(g->references, key) + (uintptr_t) by;
        if (n > 0)
            hashmap_put(g->references, key, (void *) n);
        else
            (void) hashmap_remove(g->references, key);
    }
}

static void forget(struct node_graph *g, const char *key) {
    const struct pod *pod = hashmap_get(g->pods, key);
    if (!pod)
        return;
    count(g, pod, -1);
    (void) hashmap_remove(g->pods, key);
}

static void see(struct node_graph *g, struct store_item *item, bool gone) {
    _cleanup_free_ char *key = xasprintf("%s/%s", store_item_namespace(item), store_item_name(item));
    const struct json *doc = gone ? NULL : store_item_doc(item), *spec = json_get(doc, "spec");
    const char *node = json_get_str(spec, "nodeName"), *uid = json_str_or(json_path(doc, "metadata", "uid"), "");
    size_t n_ephemeral = json_len(json_get(spec, "ephemeralContainers"));
    const struct pod *known = hashmap_get(g->pods, key);
    if (known && *node && strcmp(known->node, node) == 0 && strcmp(known->uid, uid) == 0 &&
        known->n_ephemeral == n_ephemeral)
        return; /* what it refers to cannot change */
    forget(g, key);
    /* A mirror pod gives its node no right to anything: it came from there. */
    if (!*node || json_path(doc, "metadata", "annotations", MIRROR))
        return;
    struct pod *pod = xnew0(struct pod);
    pod->node = xstrdup(node);
    pod->uid = xstrdup(uid);
    pod->n_ephemeral = n_ephemeral;
    pod->refs = references_of(doc);
    hashmap_put(g->pods, key, pod);
    count(g, pod, 1);
}

static void woken(void *userdata) {
    /* the watch is read when somebody asks */
}

static void load(struct node_graph *g) {
    struct store_list list = {0};
    hashmap_clear(g->references);
    hashmap_clear(g->pods);
    if (g->watch)
        store_watch_close(steal(&g->watch));
    if (store_watch_open(g->store, "pods", NULL, store_revision(g->store), woken, g, &g->watch) < 0 ||
        store_list(g->store, "pods", NULL, NULL, NULL, 0, 0, &list) < 0)
        return;
    for (size_t i = 0; i < list.n; i++)
        see(g, list.items[i], false);
    store_list_finish(&list);
}

static void refresh(struct node_graph *g) {
    for (unsigned attempt = 0; attempt < 2; attempt++) {
        struct store_event e;
        int n = g->watch ? 1 : -ESTALE;
        while (n > 0 && (n = store_watch_next(g->watch, &e)) > 0)
            see(g, e.item, e.type == STORE_EVENT_DELETED);
        if (n == 0)
            return;
        load(g);
    }
}

static bool refers(const struct node_graph *g, const char *node, const char *kind, const char *ns, const char *name) {
    _cleanup_free_ char *key = xasprintf("%s/%s/%s/%s", node, kind, ns, name);
    return hashmap_has(g->references, key);
}

/* --- volumes --- */

static bool is_secret(const struct json *ref, const char *default_ns, const char *ns, const char *name) {
    const char *of = json_get_str(ref, "namespace");
    return json_get_is(ref, "name", name) && strcmp(*of ? of : default_ns, ns) == 0;
}

/* The Secrets a node needs of a volume; those for controllers are none of its business. */
static bool volume_refers(const struct json *volume, const char *ns, const char *name) {
    static const char *const refs[] = {"secretRef", "nodePublishSecretRef", "nodeStageSecretRef",
                                       "nodeExpandSecretRef"};
    const struct json *spec = json_get(volume, "spec");
    const char *claim_ns = json_str_or(json_path(spec, "claimRef", "namespace"), "");
    for (size_t i = 0; i < json_len(spec); i++) {
        const struct json *source = json_value_at(spec, i);
        const char *of = json_get_str(source, "secretNamespace");
        if (json_get_is(source, "secretName", name) && strcmp(*of ? of : claim_ns, ns) == 0)
            return true;
        for (size_t k = 0; k < ARRAY_LEN(refs); k++)
            if (is_secret(json_get(source, refs[k]), claim_ns, ns, name))
                return true;
    }
    return false;
}

static bool volume_reached(struct node_graph *g, const char *node, const struct json *volume) {
    const struct json *claim = json_path(volume, "spec", "claimRef");
    return claim &&
           refers(g, node, "persistentvolumeclaims", json_get_str(claim, "namespace"), json_get_str(claim, "name"));
}

static bool secret_by_volume(struct node_graph *g, const char *node, const char *ns, const char *name) {
    struct store_list list = {0};
    bool found = false;
    if (store_list(g->store, "persistentvolumes", NULL, NULL, NULL, 0, 0, &list) < 0)
        return false;
    for (size_t i = 0; i < list.n && !found; i++) {
        const struct json *volume = store_item_doc(list.items[i]);
        found = volume_refers(volume, ns, name) && volume_reached(g, node, volume);
    }
    store_list_finish(&list);
    return found;
}

static bool reaches(struct node_graph *g, const char *node, const char *kind, const char *ns, const char *name) {
    if (strcmp(kind, "pods") == 0) {
        _cleanup_(store_item_unrefp) struct store_item *pod = store_get(g->store, kind, ns, name);
        return pod && strcmp(json_str_or(json_path(store_item_doc(pod), "spec", "nodeName"), ""), node) == 0;
    }
    if (strcmp(kind, "persistentvolumes") == 0) {
        _cleanup_(store_item_unrefp) struct store_item *volume = store_get(g->store, kind, "", name);
        return volume && volume_reached(g, node, store_item_doc(volume));
    }
    return refers(g, node, kind, ns, name) || (strcmp(kind, "secrets") == 0 && secret_by_volume(g, node, ns, name));
}

bool node_graph_reaches(struct node_graph *g, const char *node, const char *kind, const char *ns, const char *name) {
    (void) pthread_mutex_lock(&g->lock);
    refresh(g);
    bool ok = reaches(g, node, kind, ns, name);
    (void) pthread_mutex_unlock(&g->lock);
    return ok;
}

struct node_graph *node_graph_new(struct store *store) {
    struct node_graph *g = xnew0(struct node_graph);
    g->store = store;
    g->pods = hashmap_new(pod_free);
    g->references = hashmap_new(NULL);
    (void) pthread_mutex_init(&g->lock, NULL);
    return g;
}

void node_graph_free(struct node_graph *g) {
    if (!g)
        return;
    if (g->watch)
        store_watch_close(g->watch);
    hashmap_free(g->references);
    hashmap_free(g->pods);
    (void) pthread_mutex_destroy(&g->lock);
    free(g);
}
