/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/service_pool.h"

#include <arpa/inet.h>
#include <string.h>

#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/service_ledger.h"
#include "orchestrator/apiserver/status.h"
#include "podium/base/alloc.h"
#include "podium/base/random.h"

#define NODE_PORT_FIRST 30000
#define NODE_PORT_LAST  32767
#define DNS_OFFSET      10 /* the tenth address is the DNS's (as kubeadm), never given to another by chance */

/* Numbers from first on; the first `low` of them are taken last. */
struct range {
    uint32_t first, count, low;
};

struct service_pool {
    struct service_ledger *ledger;
    char *cidr;
    uint32_t network;
    struct range addresses, ports;
};

/* Upstream's calculateRangeOffset: a part of the range, within limits; nothing of a tiny one. */
static uint32_t low_part(uint32_t size, uint32_t part, uint32_t min, uint32_t max) {
    uint32_t low = size / part;
    if (size <= min)
        return 0;
    low = low < min ? min : low > max ? max : low;
    return low < size ? low : 0;
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
    p->ledger = service_ledger_new(store);
    p->cidr = xstrdup(cidr);
    p->network = ntohl(a.s_addr) & ~(size - 1);
    /* network and broadcast address are nobody's */
    p->addresses = (struct range){p->network + 1, size - 2, low_part(size - 2, 16, 16, 256)};
    p->ports.first = NODE_PORT_FIRST;
    p->ports.count = NODE_PORT_LAST - NODE_PORT_FIRST + 1;
    p->ports.low = low_part(p->ports.count, 32, 16, 128);
    *ret = p;
    return 0;
}

void service_pool_free(struct service_pool *p) {
    if (!p)
        return;
    service_ledger_free(p->ledger);
    free(p->cidr);
    free(p);
}

void service_pool_settle(const struct api_request *req) {
    struct service_pool *p = req->api->services;
    if (p && req->resource && strcmp(req->resource->key, "services") == 0)
        service_ledger_settle(p->ledger, req);
}

/* One Service being filled. */
struct allocation {
    struct service_pool *pool;
    struct api_request *req;
    struct json **doc;
    struct field_errors *errors;
    char *owner;
};

static enum ledger_state state_of(const struct allocation *a, const char *key) {
    return service_ledger_state(a->pool->ledger, key, a->owner, a->req);
}

static void grant(struct allocation *a, const char *key) {
    if (!a->req->dry_run && state_of(a, key) == LEDGER_FREE)
        service_ledger_grant(a->pool->ledger, key, a->req);
}

static const struct json *spec_of(const struct allocation *a) {
    return json_get(*a->doc, "spec");
}

static bool is_type(const struct json *spec, const char *type) {
    return strcmp(json_str_or(json_get(spec, "type"), "ClusterIP"), type) == 0;
}

typedef bool (*try_fn)(struct allocation *a, uint32_t number, char key[INET_ADDRSTRLEN]);

static bool pick_among(struct allocation *a, uint32_t first, uint32_t count, try_fn try, char key[INET_ADDRSTRLEN]) {
    uint32_t start = count ? (uint32_t) (random_u64() % count) : 0;
    for (uint32_t i = 0; i < count; i++)
        if (try(a, first + (start + i) % count, key))
            return true;
    return false;
}

/* Fills key with a free one and grants it; false: the range is full. */
static bool pick(struct allocation *a, const struct range *r, try_fn try, char key[INET_ADDRSTRLEN]) {
    if (!pick_among(a, r->first + r->low, r->count - r->low, try, key) && !pick_among(a, r->first, r->low, try, key))
        return false;
    grant(a, key);
    return true;
}

/* --- addresses --- */

static bool try_address(struct allocation *a, uint32_t number, char key[INET_ADDRSTRLEN]) {
    struct in_addr in = {.s_addr = htonl(number)};
    if (number == a->pool->network + 1 || number == a->pool->network + DNS_OFFSET)
        return false;
    (void) inet_ntop(AF_INET, &in, key, INET_ADDRSTRLEN);
    return state_of(a, key) == LEDGER_FREE;
}

static void set_address(struct json **doc, const char *ip) {
    struct json *list = json_array();
    json_append(&list, json_string(ip));
    json_set_path(doc, json_string(ip), "spec", "clusterIP");
    json_set_path(doc, list, "spec", "clusterIPs");
}

static void refuse_address(struct allocation *a, const char *ip, const char *why) {
    field_errors_add(a->errors, "FieldValueInvalid", "spec.clusterIPs", json_get(spec_of(a), "clusterIPs"),
                     "failed to allocate IP %s: %s", ip, why);
}

static bool fill_address(struct allocation *a) {
    const char *ip = json_str_or(json_get(spec_of(a), "clusterIP"), "");
    char text[INET_ADDRSTRLEN];
    struct in_addr in;
    if (!*ip) {
        if (!pick(a, &a->pool->addresses, try_address, text)) {
            (void) api_internal_error(a->req, "failed to allocate a serviceIP: range is full");
            return false;
        }
        set_address(a->doc, text);
        return true;
    }
    if (inet_pton(AF_INET, ip, &in) != 1 || ntohl(in.s_addr) - a->pool->addresses.first >= a->pool->addresses.count) {
        _cleanup_free_ char *why = xasprintf("the provided IP (%s) is not in the valid range. The range of valid IPs "
                                             "is %s",
                                             ip, a->pool->cidr);
        refuse_address(a, ip, why);
    } else if (state_of(a, ip) == LEDGER_TAKEN) {
        refuse_address(a, ip, "provided IP is already allocated");
    } else {
        grant(a, ip);
    }
    return true;
}

/* The cluster has one family. */
static void check_families(struct allocation *a) {
    const struct json *families = json_get(spec_of(a), "ipFamilies"), *policy = json_get(spec_of(a), "ipFamilyPolicy");
    for (size_t i = 0; i < json_len(families); i++) {
        _cleanup_free_ char *field = xasprintf("spec.ipFamilies[%zu]", i);
        if (strcmp(json_str_or(json_at(families, i), ""), "IPv4") != 0)
            field_errors_add(a->errors, "FieldValueInvalid", field, json_at(families, i),
                             "not configured on this cluster");
    }
    if (strcmp(json_str_or(policy, ""), "RequireDualStack") == 0)
        field_errors_add(a->errors, "FieldValueInvalid", "spec.ipFamilyPolicy", policy,
                         "this cluster is not configured for dual-stack services");
}

/* --- node ports --- */

static bool try_port(struct allocation *a, uint32_t number, char key[INET_ADDRSTRLEN]) {
    (void) snprintf(key, INET_ADDRSTRLEN, "%u", number);
    return state_of(a, key) == LEDGER_FREE;
}

/* NULL: granted. Else why not; the caller frees. */
static char *claim_port(struct allocation *a, int64_t number) {
    char key[24];
    (void) snprintf(key, sizeof(key), "%lld", (long long) number);
    if (number < NODE_PORT_FIRST || number > NODE_PORT_LAST)
        return xasprintf("provided port is not in the valid range. The range of valid ports is %d-%d", NODE_PORT_FIRST,
                         NODE_PORT_LAST);
    if (state_of(a, key) == LEDGER_TAKEN)
        return xstrdup("provided port is already allocated");
    grant(a, key);
    return NULL;
}

static int64_t node_port_at(const struct json *ports, size_t i) {
    return json_int_or(json_get(json_at(ports, i), "nodePort"), 0);
}

static void claim_asked_ports(struct allocation *a) {
    const struct json *ports = json_get(spec_of(a), "ports");
    for (size_t i = 0; i < json_len(ports); i++) {
        int64_t number = node_port_at(ports, i);
        _cleanup_free_ char *field = xasprintf("spec.ports[%zu].nodePort", i), *why = NULL;
        if (number && (why = claim_port(a, number)))
            field_errors_add(a->errors, "FieldValueInvalid", field, json_get(json_at(ports, i), "nodePort"), "%s", why);
    }
}

/* One port number in several protocols gets one node port. */
static int64_t sibling_port(const struct json *ports, size_t i) {
    for (size_t k = 0; k < json_len(ports); k++)
        if (k != i && node_port_at(ports, k) &&
            json_equal(json_get(json_at(ports, k), "port"), json_get(json_at(ports, i), "port")))
            return node_port_at(ports, k);
    return 0;
}

static bool fill_ports(struct allocation *a) {
    char key[INET_ADDRSTRLEN];
    for (size_t i = 0; i < json_len(json_get(spec_of(a), "ports")); i++) {
        const struct json *ports = json_get(spec_of(a), "ports");
        int64_t number = node_port_at(ports, i) ? node_port_at(ports, i) : sibling_port(ports, i);
        if (number == 0) {
            if (!pick(a, &a->pool->ports, try_port, key)) {
                (void) api_internal_error(a->req, "failed to allocate a nodePort: range is full");
                return false;
            }
            number = strtol(key, NULL, 10);
        }
        if (number != node_port_at(ports, i))
            json_set(json_edit_at(json_edit(json_edit(a->doc, "spec"), "ports"), i), "nodePort", json_int(number));
    }
    return true;
}

static bool fill_health_port(struct allocation *a) {
    int64_t number = json_int_or(json_get(spec_of(a), "healthCheckNodePort"), 0);
    char key[INET_ADDRSTRLEN];
    if (number) {
        _cleanup_free_ char *why = claim_port(a, number);
        if (why)
            (void) api_internal_error(a->req, "failed to allocate requested HealthCheck NodePort %lld: %s",
                                      (long long) number, why);
        return !why;
    }
    if (!pick(a, &a->pool->ports, try_port, key)) {
        (void) api_internal_error(a->req, "failed to allocate a HealthCheck NodePort: range is full");
        return false;
    }
    json_set_path(a->doc, json_int(strtol(key, NULL, 10)), "spec", "healthCheckNodePort");
    return true;
}

/* --- Services --- */

static bool fill(struct allocation *a) {
    const struct json *spec = spec_of(a);
    bool balanced = is_type(spec, "LoadBalancer"),
         headless = strcmp(json_str_or(json_get(spec, "clusterIP"), ""), "None") == 0;
    bool node_ports = is_type(spec, "NodePort") || balanced;
    bool new_ports =
        is_type(spec, "NodePort") || (balanced && json_bool_or(json_get(spec, "allocateLoadBalancerNodePorts"), true));
    bool health = balanced && strcmp(json_str_or(json_get(spec, "externalTrafficPolicy"), ""), "Local") == 0;
    if (is_type(spec, "ExternalName"))
        return true;
    if (!headless || json_len(json_get(spec, "selector")))
        check_families(a);
    if (node_ports)
        claim_asked_ports(a);
    if (a->errors->n > 0)
        return true;
    if (!headless && !fill_address(a))
        return false;
    if (new_ports && !fill_ports(a))
        return false;
    return !health || fill_health_port(a);
}

bool service_pool_fill(struct api_request *req, struct json **doc, struct field_errors *errors) {
    struct service_pool *p = req->api->services;
    if (strcmp(req->resource->key, "services") != 0 || req->sub || !p)
        return true;
    struct allocation a = {.pool = p, .req = req, .doc = doc, .errors = errors};
    a.owner = xasprintf("%s/%s", req->ns, json_str_or(json_path(*doc, "metadata", "name"), ""));
    service_pool_settle(req); /* of an earlier attempt */
    service_ledger_begin(p->ledger);
    bool fine = fill(&a);
    service_ledger_end(p->ledger);
    free(a.owner);
    return fine;
}
