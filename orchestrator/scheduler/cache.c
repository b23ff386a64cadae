/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/scheduler/cache.h"

#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"

struct cached_pod {
    struct pod_demand demand;
    struct node_info *node;
    char *uid;
    bool assumed;
};

struct sched_cache {
    struct hashmap *nodes; /* name → node_info, placeholders too */
    struct hashmap *pods;  /* "ns/name" → cached_pod */
    struct node_info **array;
    size_t n, cap;
};

static void free_node(void *p) {
    node_info_free(p);
}

static void free_pod(void *p) {
    struct cached_pod *cp = p;

    pod_demand_finish(&cp->demand);
    free(cp->uid);
    free(cp);
}

struct sched_cache *sched_cache_new(void) {
    struct sched_cache *c = xnew0(struct sched_cache);

    c->nodes = hashmap_new(free_node);
    c->pods = hashmap_new(free_pod);
    return c;
}

void sched_cache_free(struct sched_cache *c) {
    if (!c)
        return;
    hashmap_free(c->pods);
    hashmap_free(c->nodes);
    free(c->array);
    free(c);
}

struct node_info *const *sched_cache_nodes(const struct sched_cache *c, size_t *ret_n) {
    *ret_n = c->n;
    return c->array;
}

struct node_info *sched_cache_node(const struct sched_cache *c, const char *name) {
    struct node_info *n = hashmap_get(c->nodes, name);

    return n && n->exists ? n : NULL;
}

static struct node_info *node_or_placeholder(struct sched_cache *c, const char *name) {
    struct node_info *n = hashmap_get(c->nodes, name);

    if (!n) {
        n = node_info_new(name);
        hashmap_put(c->nodes, name, n);
    }
    return n;
}

unsigned sched_cache_set_node(struct sched_cache *c, struct json *node) {
    struct node_info *n = node_or_placeholder(c, json_str_or(json_path(node, "metadata", "name"), ""));

    if (!n->exists) {
        xgrow(&c->array, c->n, &c->cap);
        n->index = c->n;
        c->array[c->n++] = n;
    }
    return node_info_set_object(n, node);
}

static void drop_if_unused(struct sched_cache *c, struct node_info *n) {
    if (!n->exists && n->n_pods == 0)
        hashmap_remove(c->nodes, n->name);
}

void sched_cache_remove_node(struct sched_cache *c, const char *name) {
    struct node_info *n = hashmap_get(c->nodes, name);

    if (!n || !n->exists)
        return;
    c->array[n->index] = c->array[--c->n];
    c->array[n->index]->index = n->index;
    n->exists = false;
    drop_if_unused(c, n);
}

static void put_pod(struct sched_cache *c, const struct pod_info *p, const char *node_name, bool assumed) {
    struct cached_pod *cp = xnew0(struct cached_pod);

    pod_demand_copy(&cp->demand, &p->demand);
    cp->uid = xstrdup(p->uid);
    cp->assumed = assumed;
    cp->node = node_or_placeholder(c, node_name);
    node_info_add_pod(cp->node, &cp->demand);
    hashmap_put(c->pods, p->key, cp);
}

void sched_cache_assume(struct sched_cache *c, const struct pod_info *p, const char *node_name) {
    (void) sched_cache_remove_pod(c, p->key);
    put_pod(c, p, node_name, true);
}

bool sched_cache_is_assumed(const struct sched_cache *c, const char *key) {
    const struct cached_pod *cp = hashmap_get(c->pods, key);

    return cp && cp->assumed;
}

struct node_info *sched_cache_forget(struct sched_cache *c, const char *key, const char *uid) {
    const struct cached_pod *cp = hashmap_get(c->pods, key);

    return cp && cp->assumed && strcmp(cp->uid, uid) == 0 ? sched_cache_remove_pod(c, key) : NULL;
}

static bool same_demand(const struct pod_demand *a, const struct pod_demand *b) {
    if (memcmp(a->request, b->request, sizeof(a->request)) != 0 ||
        memcmp(a->assumed, b->assumed, sizeof(a->assumed)) != 0 || a->owner != b->owner || a->n_ports != b->n_ports ||
        a->n_extended != b->n_extended)
        return false;
    for (size_t i = 0; i < a->n_ports; i++)
        if (!host_port_equal(&a->ports[i], &b->ports[i]))
            return false;
    for (size_t i = 0; i < a->n_extended; i++)
        if (strcmp(a->extended[i].name, b->extended[i].name) != 0 || a->extended[i].amount != b->extended[i].amount)
            return false;
    return true;
}

struct node_info *sched_cache_set_pod(struct sched_cache *c, const struct pod_info *p) {
    struct cached_pod *cp = hashmap_get(c->pods, p->key);

    if (cp && strcmp(cp->uid, p->uid) == 0 && strcmp(cp->node->name, p->node_name) == 0 &&
        same_demand(&cp->demand, &p->demand)) {
        cp->assumed = false; /* the usual case: nothing that matters here has changed */
        return NULL;
    }
    struct node_info *left = sched_cache_remove_pod(c, p->key);
    put_pod(c, p, p->node_name, false);
    return left;
}

struct node_info *sched_cache_remove_pod(struct sched_cache *c, const char *key) {
    struct cached_pod *cp = hashmap_steal(c->pods, key);

    if (!cp)
        return NULL;
    struct node_info *n = cp->node;
    node_info_remove_pod(n, &cp->demand);
    free_pod(cp);
    bool exists = n->exists;
    drop_if_unused(c, n);
    return exists ? n : NULL;
}

size_t sched_cache_pods(const struct sched_cache *c) {
    return hashmap_len(c->pods);
}
