/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/services/compile.h"

#include <arpa/inet.h>
#include <string.h>

#include "podium/base/alloc.h"

static in_addr_t address_of(const char *text) {
    struct in_addr address;

    return inet_pton(AF_INET, text, &address) == 1 ? address.s_addr : 0;
}

static uint8_t protocol_of(enum service_protocol protocol) {
    return protocol == SERVICE_UDP ? IPPROTO_UDP : protocol == SERVICE_SCTP ? IPPROTO_SCTP : IPPROTO_TCP;
}

void compiled_finish(struct compiled *compiled) {
    for (size_t i = 0; i < compiled->n_lists; i++)
        free(compiled->lists[i]);
    free(compiled->lists);
    free(compiled->frontends.items);
    *compiled = (struct compiled){0};
}

/* --- the choice --- */

struct choice {
    const struct netns_endpoint *endpoints;
    size_t n;
};

static bool is_on(const struct service_backend *backend, const char *node) {
    return backend->node && strcmp(backend->node, node) == 0;
}

static size_t take(const struct service *service, size_t port, const char *node, bool ready,
                   struct netns_endpoint *out) {
    size_t n = 0;

    for (size_t i = 0; i < service->n_backends; i++) {
        const struct service_backend *b = &service->backends[i];
        bool usable = ready ? b->ready : b->serving && b->terminating;
        if (usable && b->ports[port] != 0 && (!node || is_on(b, node)))
            out[n++] = (struct netns_endpoint){address_of(b->ip), b->ports[port]};
    }
    return n;
}

/* node NULL: of the whole cluster. */
static struct choice choose(const struct service *service, size_t port, const char *node, struct compiled *into) {
    struct netns_endpoint *list = xcalloc(service->n_backends + 1, sizeof(*list));
    size_t n = take(service, port, node, true, list);

    if (n == 0)
        n = take(service, port, node, false, list);
    into->lists[into->n_lists++] = list;
    return (struct choice){list, n};
}

/* --- frontends --- */

static bool is_own(const char *address, const struct compile_node *node) {
    for (char *const *own = node->own; own && *own; own++)
        if (strcmp(*own, address) == 0)
            return true;
    return false;
}

static void compile_port(const struct service *service, size_t i, const struct compile_node *node,
                         struct compiled *into) {
    const struct service_port *port = &service->ports[i];
    struct choice all = choose(service, i, NULL, into), local = choose(service, i, node->name, into);
    struct choice internal = service->internal_local ? local : all;
    struct netns_frontend base = {
        .protocol = protocol_of(port->protocol), .port = port->port, .affinity_seconds = service->affinity_seconds};
    struct netns_frontend *items = into->frontends.items;

    if (service->cluster_ip[0] && !is_own(service->cluster_ip, node)) {
        struct netns_frontend *f = &items[into->frontends.n++];
        *f = base;
        f->address = address_of(service->cluster_ip);
        f->endpoints = internal.endpoints;
        f->n_endpoints = internal.n;
        f->drop = all.n > 0;
    }
    base.sources = service->external_local ? NETNS_SOURCES_LOCAL : NETNS_SOURCES_ANYWHERE;
    base.endpoints = all.endpoints;
    base.n_endpoints = all.n;
    if (service->external_local) {
        base.local = local.endpoints;
        base.n_local = local.n;
    }
    for (char **ip = service->external_ips; ip && *ip; ip++) {
        if (is_own(*ip, node) || strcmp(*ip, service->cluster_ip) == 0)
            continue;
        struct netns_frontend *f = &items[into->frontends.n++];
        *f = base;
        f->address = address_of(*ip);
    }
    if (port->node_port) {
        struct netns_frontend *f = &items[into->frontends.n++];
        *f = base;
        f->address = 0;
        f->port = port->node_port;
    }
}

void service_compile(const struct service *service, const struct compile_node *node, struct compiled *ret) {
    *ret = (struct compiled){0};
    if (!service || service->headless || service->other_proxy || service->type == SERVICE_EXTERNAL_NAME)
        return;
    ret->lists = xcalloc(service->n_ports * 2 + 1, sizeof(*ret->lists));
    ret->frontends.items =
        xcalloc(service->n_ports * (2 + strv_len(service->external_ips)) + 1, sizeof(*ret->frontends.items));
    for (size_t i = 0; i < service->n_ports; i++)
        compile_port(service, i, node, ret);
}

/* --- what ends --- */

struct endings {
    struct netns_connections *items;
    size_t n, cap;
};

static bool has_endpoint(const struct netns_endpoint *list, size_t n, const struct netns_endpoint *e) {
    for (size_t i = 0; i < n; i++)
        if (list[i].address == e->address && list[i].port == e->port)
            return true;
    return false;
}

static const struct netns_frontend *same_frontend(const struct compiled *compiled, const struct netns_frontend *f) {
    for (size_t i = 0; i < compiled->frontends.n; i++) {
        const struct netns_frontend *g = &compiled->frontends.items[i];
        if (g->address == f->address && g->protocol == f->protocol && g->port == f->port)
            return g;
    }
    return NULL;
}

/* The service has no endpoint of this address any more, ready or not. */
static bool is_gone(const struct service *after, const struct netns_endpoint *e) {
    for (size_t i = 0; i < after->n_backends; i++)
        if (address_of(after->backends[i].ip) == e->address)
            return false;
    return true;
}

static void add(struct endings *out, const struct netns_frontend *f, struct netns_endpoint endpoint) {
    xgrow(&out->items, out->n, &out->cap);
    out->items[out->n++] = (struct netns_connections){f->protocol, f->address, f->port, endpoint};
}

static void end_those_of(const struct netns_frontend *f, const struct netns_endpoint *list, size_t n,
                         const struct service *after, const struct netns_frontend *now, struct endings *out) {
    for (size_t i = 0; i < n; i++) {
        bool chosen = now && (has_endpoint(now->endpoints, now->n_endpoints, &list[i]) ||
                              has_endpoint(now->local, now->n_local, &list[i]));
        /* a datagram's client cannot see that nobody answers; streams of an endpoint that only is not ready go on, as
         * do those of a service that is gone */
        if (f->protocol == IPPROTO_UDP ? !chosen : after && !chosen && is_gone(after, &list[i]))
            add(out, f, list[i]);
    }
}

void service_ended(const struct service *before, const struct service *after, const struct compile_node *node,
                   struct netns_connections **ret, size_t *ret_n) {
    _cleanup_(compiled_finish) struct compiled old = {0}, new = {0};
    struct endings out = {0};

    service_compile(before, node, &old);
    service_compile(after, node, &new);
    for (size_t i = 0; i < old.frontends.n; i++) {
        const struct netns_frontend *f = &old.frontends.items[i], *now = same_frontend(&new, f);
        end_those_of(f, f->endpoints, f->n_endpoints, after, now, &out);
        for (size_t k = 0; k < f->n_local; k++) /* those that are not in the list above */
            if (!has_endpoint(f->endpoints, f->n_endpoints, &f->local[k]))
                end_those_of(f, &f->local[k], 1, after, now, &out);
    }
    for (size_t i = 0; i < new.frontends.n; i++) {
        const struct netns_frontend *f = &new.frontends.items[i], *was = same_frontend(&old, f);
        if (f->protocol == IPPROTO_UDP && f->n_endpoints > 0 && (!was || was->n_endpoints == 0))
            add(&out, f, (struct netns_endpoint){0, 0});
    }
    *ret = out.items;
    *ret_n = out.n;
}
