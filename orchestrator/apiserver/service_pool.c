/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/service_pool.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <string.h>

#include "orchestrator/apiserver/server.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"
#include "podium/base/random.h"

#define NODE_PORT_FIRST 30000
#define NODE_PORT_LAST  32767
/* For requests that never come to a write; others are settled when it ends. */
#define GRANT_USEC (60 * USEC_PER_SEC)

struct grant {
    char *owner;
    uint64_t until;
};

struct service_pool {
    struct store *store;
    pthread_mutex_t lock;
    struct hashmap *grants; /* "10.96.0.7" or "tcp/30080" → struct grant */
    uint32_t first, count;  /* usable addresses, host order */
};

/* What Services hold: same keys as grants, values are owners ("ns/name"). */
struct taken {
    struct hashmap *map;
};

static void grant_free(void *p) {
    struct grant *g = p;
    free(g->owner);
    free(g);
}

int service_pool_new(struct store *store, const char *cidr, struct service_pool **ret, struct error *err) {
    const char *slash = strchr(cidr, '/');
    _cleanup_free_ char *base = slash ? xstrndup(cidr, (size_t) (slash - cidr)) : NULL;
    char *end = NULL;
    unsigned long bits = slash ? strtoul(slash + 1, &end, 10) : 0;
    struct in_addr a;
    if (!base || inet_pton(AF_INET, base, &a) != 1 || *end || bits < 8 || bits > 29)
        return error_set(err, -EINVAL, "\"%s\" is no IPv4 range for services (like 10.96.0.0/16)", cidr);
    struct service_pool *p = xnew0(struct service_pool);
    uint32_t size = 1u << (32 - bits);
    p->store = store;
    /* The first address belongs to the API itself (the kubernetes Service); network and broadcast to nobody. */
    p->first = (ntohl(a.s_addr) & ~(size - 1)) + 2;
    p->count = size - 3;
    p->grants = hashmap_new(grant_free);
    (void) pthread_mutex_init(&p->lock, NULL);
    *ret = p;
    return 0;
}

void service_pool_free(struct service_pool *p) {
    if (!p)
        return;
    hashmap_free(p->grants);
    (void) pthread_mutex_destroy(&p->lock);
    free(p);
}

static char *port_key(const struct json *port, int64_t number) {
    return xasprintf("%s/%lld", json_str_or(json_get(port, "protocol"), "TCP"), (long long) number);
}

static void note_service(struct hashmap *taken, struct store_item *item) {
    const struct json *spec = json_get(store_item_doc(item), "spec"), *ports = json_get(spec, "ports");
    const char *ip = json_str_or(json_get(spec, "clusterIP"), "");
    char *owner = xasprintf("%s/%s", store_item_namespace(item), store_item_name(item));
    if (*ip && strcmp(ip, "None") != 0)
        hashmap_put(taken, ip, xstrdup(owner));
    for (size_t i = 0; i < json_len(ports); i++) {
        int64_t n = json_int_or(json_get(json_at(ports, i), "nodePort"), 0);
        _cleanup_free_ char *key = n ? port_key(json_at(ports, i), n) : NULL;
        if (key)
            hashmap_put(taken, key, xstrdup(owner));
    }
    free(owner);
}

static struct hashmap *taken_now(struct service_pool *p) {
    struct hashmap *taken = hashmap_new(free);
    _cleanup_(store_list_finish) struct store_list l = {0};
    if (store_list(p->store, "services", NULL, NULL, NULL, 0, 0, &l) < 0)
        return taken;
    for (size_t i = 0; i < l.n; i++)
        note_service(taken, l.items[i]);
    return taken;
}

static void forget_old_grants(struct service_pool *p) {
    uint64_t now = now_monotonic_usec();
    struct hashmap_iter it = {0};
    while (hashmap_next(p->grants, &it))
        if (((struct grant *) it.value)->until < now)
            hashmap_remove(p->grants, it.key);
}

struct allocation {
    struct service_pool *pool;
    struct hashmap *taken;
    char *owner;
    bool dry_run;
};

/* Free, or the owner's already. */
static bool available(const struct allocation *a, const char *key) {
    const char *holder = hashmap_get(a->taken, key);
    const struct grant *g = hashmap_get(a->pool->grants, key);
    return (!holder || strcmp(holder, a->owner) == 0) && (!g || strcmp(g->owner, a->owner) == 0);
}

static void grant(struct allocation *a, const char *key) {
    if (a->dry_run)
        return;
    struct grant *g = xnew0(struct grant);
    g->owner = xstrdup(a->owner);
    g->until = now_monotonic_usec() + GRANT_USEC;
    hashmap_put(a->pool->grants, key, g);
}

/* --- addresses --- */

static void address_text(uint32_t host_order, char out[INET_ADDRSTRLEN]) {
    struct in_addr a = {.s_addr = htonl(host_order)};
    (void) inet_ntop(AF_INET, &a, out, INET_ADDRSTRLEN);
}

static bool pick_address(struct allocation *a, char out[INET_ADDRSTRLEN]) {
    uint32_t start = (uint32_t) (random_u64() % a->pool->count);
    for (uint32_t i = 0; i < a->pool->count; i++) {
        address_text(a->pool->first + (start + i) % a->pool->count, out);
        if (!hashmap_has(a->taken, out) && !hashmap_has(a->pool->grants, out))
            return true;
    }
    return false;
}

static void set_address(struct json **doc, const char *ip) {
    struct json *list = json_array();
    json_append(&list, json_string(ip));
    json_set_path(doc, json_string(ip), "spec", "clusterIP");
    json_set_path(doc, list, "spec", "clusterIPs");
}

static void fill_address(struct allocation *a, struct json **doc, struct field_errors *errors) {
    const char *ip = json_str_or(json_path(*doc, "spec", "clusterIP"), "");
    char text[INET_ADDRSTRLEN];
    struct in_addr in;
    if (!*ip) {
        if (!pick_address(a, text)) {
            field_errors_add(errors, "InternalError", "spec.clusterIPs", NULL,
                             "failed to allocate a serviceIP: range is full");
            return;
        }
        grant(a, text);
        set_address(doc, text);
        return;
    }
    if (inet_pton(AF_INET, ip, &in) != 1)
        return; /* validation says so */
    uint32_t offset = ntohl(in.s_addr) - (a->pool->first - 1);
    const char *why = NULL;
    if (offset > a->pool->count)
        why = "the provided IP is not in the valid range";
    else if (!available(a, ip))
        why = "provided IP is already allocated";
    if (why) {
        const struct json *v = json_path(*doc, "spec", "clusterIPs");
        field_errors_add(errors, "FieldValueInvalid", "spec.clusterIPs", v, "failed to allocate IP %s: %s", ip, why);
        return;
    }
    grant(a, ip);
}

/* --- node ports --- */

static bool wants_node_ports(const struct json *spec) {
    const char *type = json_str_or(json_get(spec, "type"), "");
    return strcmp(type, "NodePort") == 0 ||
           (strcmp(type, "LoadBalancer") == 0 && json_bool_or(json_get(spec, "allocateLoadBalancerNodePorts"), true));
}

static int64_t pick_port(struct allocation *a, const struct json *port) {
    unsigned n = NODE_PORT_LAST - NODE_PORT_FIRST + 1, start = (unsigned) (random_u64() % n);
    for (unsigned i = 0; i < n; i++) {
        int64_t number = NODE_PORT_FIRST + (start + i) % n;
        _cleanup_free_ char *key = port_key(port, number);
        if (hashmap_has(a->taken, key) || hashmap_has(a->pool->grants, key))
            continue;
        grant(a, key);
        return number;
    }
    return 0;
}

static void fill_port(struct allocation *a, struct json **port, size_t i, struct field_errors *errors) {
    int64_t number = json_int_or(json_get(*port, "nodePort"), 0);
    _cleanup_free_ char *field = xasprintf("spec.ports[%zu].nodePort", i);
    if (number == 0) {
        number = pick_port(a, *port);
        if (number == 0)
            field_errors_add(errors, "InternalError", field, NULL, "failed to allocate a nodePort: range is full");
        else
            json_set(port, "nodePort", json_int(number));
        return;
    }
    _cleanup_free_ char *key = port_key(*port, number);
    if (number < NODE_PORT_FIRST || number > NODE_PORT_LAST)
        field_errors_add(errors, "FieldValueInvalid", field, json_get(*port, "nodePort"),
                         "provided port is not in the valid range. The range of valid ports is %d-%d", NODE_PORT_FIRST,
                         NODE_PORT_LAST);
    else if (!available(a, key))
        field_errors_add(errors, "FieldValueInvalid", field, json_get(*port, "nodePort"),
                         "provided port is already allocated");
    else
        grant(a, key);
}

void service_pool_settle(const struct api_request *req) {
    struct service_pool *p = req->api->services;
    struct hashmap_iter it = {0};
    if (strcmp(req->resource->key, "services") != 0 || !p)
        return;
    _cleanup_free_ char *owner = xasprintf("%s/%s", req->ns, req->name);
    (void) pthread_mutex_lock(&p->lock);
    while (hashmap_next(p->grants, &it))
        if (strcmp(((struct grant *) it.value)->owner, owner) == 0)
            hashmap_remove(p->grants, it.key);
    (void) pthread_mutex_unlock(&p->lock);
}

void service_pool_fill(struct api_request *req, struct json **doc, struct field_errors *errors) {
    struct service_pool *p = req->api->services;
    if (strcmp(req->resource->key, "services") != 0 || req->sub || !p)
        return;
    const struct json *spec = json_get(*doc, "spec");
    const char *type = json_str_or(json_get(spec, "type"), ""), *ip = json_str_or(json_get(spec, "clusterIP"), "");
    bool address = strcmp(type, "ExternalName") != 0 && strcmp(ip, "None") != 0, ports = wants_node_ports(spec);
    if (!address && !ports)
        return;
    struct allocation a = {.pool = p, .dry_run = req->dry_run};
    a.owner = xasprintf("%s/%s", req->ns, json_str_or(json_path(*doc, "metadata", "name"), ""));
    (void) pthread_mutex_lock(&p->lock);
    forget_old_grants(p);
    a.taken = taken_now(p);
    if (address)
        fill_address(&a, doc, errors);
    for (size_t i = 0; ports && i < json_len(json_path(*doc, "spec", "ports")); i++)
        fill_port(&a, json_edit_at(json_edit(json_edit(doc, "spec"), "ports"), i), i, errors);
    (void) pthread_mutex_unlock(&p->lock);
    hashmap_free(a.taken);
    free(a.owner);
}
