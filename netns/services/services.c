/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "podium/netns_services.h"

#include <arpa/inet.h>
#include <string.h>

#include "netns/nft.h"
#include "netns/services/connections.h"
#include "netns/services/elements.h"
#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"
#include "podium/base/memory.h"
#include "podium/netns.h"

#define TRIM_BYTES (512u * 1024u) /* a transaction of more text than this leaves a heap worth trimming */

struct chain_use {
    struct chain chain;
    size_t uses;
    bool made;
};

struct pod_ports {
    struct elements elements; /* the first is for hairpins */
};

struct netns_services {
    struct hashmap *owners;            /* map and key of a frontend's entrance → its owner's name */
    struct hashmap *awaited;           /* the same, of those somebody else wants, too */
    struct hashmap *chains;            /* name → struct chain_use */
    struct hashmap *pods;              /* address → struct pod_ports */
    struct hashmap *host_ports;        /* map and key → struct pod_ports, borrowed */
    struct strbuf removals, additions; /* elements, for the next commit */
    bool replace, stale;
    struct nft_ctx *nft;         /* NULL when at rest */
    struct nl_sock *connections; /* the same */
};

/* --- chains --- */

static void use_chain(struct netns_services *s, const struct chain *chain) {
    char name[CHAIN_NAME_SIZE];
    struct chain targets[2];

    if (chain->kind == CHAIN_NONE)
        return;
    chain_name(chain, name);
    struct chain_use *use = hashmap_get(s->chains, name);
    if (!use) {
        use = xnew0(struct chain_use);
        use->chain = *chain;
        hashmap_put(s->chains, name, use);
    }
    if (use->uses++ > 0)
        return;
    for (unsigned i = 0, n = chain_targets(chain, targets); i < n; i++)
        use_chain(s, &targets[i]);
}

static void leave_chain(struct netns_services *s, const struct chain *chain) {
    char name[CHAIN_NAME_SIZE];
    struct chain targets[2];

    if (chain->kind == CHAIN_NONE)
        return;
    chain_name(chain, name);
    struct chain_use *use = hashmap_get(s->chains, name);
    if (!use || use->uses == 0 || --use->uses > 0)
        return;
    for (unsigned i = 0, n = chain_targets(chain, targets); i < n; i++)
        leave_chain(s, &targets[i]);
}

/* Chains are made before those that go to them, and removed after. */
static void make_chains(struct netns_services *s, struct strbuf *out) {
    for (int targets = 1; targets >= 0; targets--) {
        struct hashmap_iter it = {0};
        while (hashmap_next(s->chains, &it)) {
            struct chain_use *use = it.value;
            if (use->uses > 0 && !use->made && (use->chain.kind == CHAIN_PICK) == (targets == 1)) {
                chain_make(&use->chain, out);
                use->made = true;
            }
        }
    }
}

static void remove_chains(struct netns_services *s, struct strbuf *out) {
    for (int targets = 0; targets <= 1; targets++) {
        struct hashmap_iter it = {0};
        while (hashmap_next(s->chains, &it)) {
            const struct chain_use *use = it.value;
            if (use->uses > 0 || (use->chain.kind == CHAIN_PICK) != (targets == 1))
                continue;
            if (use->made)
                strbuf_addf(out, "delete chain " NFT_TABLE " %s\n", it.key);
            (void) hashmap_remove(s->chains, it.key);
        }
    }
}

/* When all is replaced: chains of an earlier life, which nothing leads to once the maps are empty, go as those that are
 * no longer used. */
static int adopt_chains(struct netns_services *s, struct error *err) {
    char name[CHAIN_NAME_SIZE];
    enum chain_kind kind;

    if (!s->nft)
        s->nft = nft_open(err);
    int r = s->nft ? nft_run_in(s->nft, CHAINS_LIST, err) : -ENOMEM;
    if (r < 0)
        return error_prefix(err, r, "cannot list chains");
    const char *at = nft_output(s->nft);
    while (chains_next_listed(&at, name, &kind)) {
        struct chain_use *use = hashmap_get(s->chains, name);
        if (!use) {
            use = xnew0(struct chain_use);
            use->chain.kind = kind;
            hashmap_put(s->chains, name, use);
        }
        if (use->uses == 0)
            use->made = true;
    }
    return 0;
}

/* --- frontends --- */

static char *entrance_of(const struct netns_frontend *f) {
    struct in_addr address = {.s_addr = f->address};
    char ip[NETNS_ADDRESS_SIZE];

    return xasprintf("%s %u %u", inet_ntop(AF_INET, &address, ip, sizeof(ip)), f->protocol, f->port);
}

/* The elements of those frontends that are the owner's; `claim`: take what nobody has. */
static void collect(struct netns_services *s, const char *owner, const struct netns_frontends *frontends, bool claim,
                    struct elements *out) {
    for (size_t i = 0; frontends && i < frontends->n; i++) {
        const struct netns_frontend *f = &frontends->items[i];
        _cleanup_free_ char *entrance = entrance_of(f);
        struct chain chain;
        const char *holder = hashmap_get(s->owners, entrance);
        if (holder && strcmp(holder, owner) != 0) {
            if (claim)
                hashmap_put(s->awaited, entrance, s);
            continue;
        }
        if (claim && !holder)
            hashmap_put(s->owners, entrance, xstrdup(owner));
        else if (!holder)
            continue;
        elements_of_frontend(f, out, &chain);
        if (claim)
            use_chain(s, &chain);
        else
            leave_chain(s, &chain);
    }
}

static bool has_entrance(const struct netns_frontends *frontends, const struct netns_frontend *f) {
    for (size_t i = 0; frontends && i < frontends->n; i++) {
        const struct netns_frontend *g = &frontends->items[i];
        if (g->address == f->address && g->protocol == f->protocol && g->port == f->port)
            return true;
    }
    return false;
}

static void let_go(struct netns_services *s, const char *owner, const struct netns_frontends *before,
                   const struct netns_frontends *after) {
    for (size_t i = 0; before && i < before->n; i++) {
        if (has_entrance(after, &before->items[i]))
            continue;
        _cleanup_free_ char *entrance = entrance_of(&before->items[i]);
        const char *holder = hashmap_get(s->owners, entrance);
        if (!holder || strcmp(holder, owner) != 0)
            continue;
        (void) hashmap_remove(s->owners, entrance);
        if (hashmap_remove(s->awaited, entrance))
            s->stale = true;
    }
}

void netns_services_change(struct netns_services *services, const char *owner, const struct netns_frontends *before,
                           const struct netns_frontends *after) {
    _cleanup_(elements_finish) struct elements old = {0}, new = {0};

    collect(services, owner, before, false, &old);
    let_go(services, owner, before, after);
    collect(services, owner, after, true, &new);
    elements_difference(&old, &new, &services->removals, &services->additions);
}

/* --- pods --- */

static void pod_ports_free(void *p) {
    struct pod_ports *pod = p;

    elements_finish(&pod->elements);
    free(pod);
}

static void pod_key(in_addr_t pod, char out[NETNS_ADDRESS_SIZE]) {
    struct in_addr address = {.s_addr = pod};

    (void) inet_ntop(AF_INET, &address, out, NETNS_ADDRESS_SIZE);
}

static void port_key(const struct element *e, char out[112]) {
    (void) snprintf(out, 112, "%s %s", e->map, e->key);
}

static void forget_pod(struct netns_services *services, const char *address) {
    const struct pod_ports *p = hashmap_get(services->pods, address);
    char key[112];

    for (size_t i = 1; p && i < p->elements.n; i++) {
        port_key(&p->elements.items[i], key);
        (void) hashmap_remove(services->host_ports, key);
    }
    (void) hashmap_remove(services->pods, address);
}

int netns_services_pod_add(struct netns_services *services, in_addr_t pod, const struct netns_host_port *ports,
                           size_t n, struct error *err) {
    _cleanup_(elements_finish) struct elements elements = {0};
    char key[112], address[NETNS_ADDRESS_SIZE];

    pod_key(pod, address);
    const struct pod_ports *was = hashmap_get(services->pods, address);
    element_of_hairpin(pod, &elements);
    for (size_t i = 0; i < n; i++)
        element_of_host_port(&ports[i], pod, &elements);
    for (size_t i = 1; i < elements.n; i++) {
        port_key(&elements.items[i], key);
        const struct pod_ports *holder = hashmap_get(services->host_ports, key);
        if (holder && holder != was)
            return error_set(err, -EADDRINUSE, "port %u of the node is another pod's", ports[i - 1].port);
    }
    const struct elements none = {0};
    elements_difference(was ? &was->elements : &none, &elements, &services->removals, &services->additions);
    forget_pod(services, address);
    struct pod_ports *p = xnew0(struct pod_ports);
    p->elements = elements;
    elements = (struct elements){0};
    hashmap_put(services->pods, address, p);
    for (size_t i = 1; i < p->elements.n; i++) {
        port_key(&p->elements.items[i], key);
        hashmap_put(services->host_ports, key, p);
    }
    return 0;
}

void netns_services_pod_remove(struct netns_services *services, in_addr_t pod) {
    char address[NETNS_ADDRESS_SIZE];
    const struct elements none = {0};

    pod_key(pod, address);
    const struct pod_ports *p = hashmap_get(services->pods, address);
    if (!p)
        return;
    elements_difference(&p->elements, &none, &services->removals, &services->additions);
    forget_pod(services, address);
}

/* --- transactions --- */

void netns_services_reset(struct netns_services *services) {
    hashmap_clear(services->owners);
    hashmap_clear(services->awaited);
    hashmap_clear(services->chains);
    hashmap_clear(services->host_ports);
    hashmap_clear(services->pods);
    strbuf_reset(&services->removals);
    strbuf_reset(&services->additions);
    services->replace = true;
    services->stale = false;
}

bool netns_services_stale(const struct netns_services *services) {
    return services->stale;
}

int netns_services_commit(struct netns_services *services, struct error *err) {
    _cleanup_strbuf_ struct strbuf nft = STRBUF_INIT;

    if (services->replace) {
        int r = adopt_chains(services, err);
        if (r < 0) {
            services->stale = true;
            return r;
        }
        chains_make_base(&nft);
        chains_flush_maps(&nft);
    }
    make_chains(services, &nft);
    strbuf_add(&nft, services->removals.data, services->removals.len);
    strbuf_add(&nft, services->additions.data, services->additions.len);
    remove_chains(services, &nft);
    strbuf_finish(&services->removals);
    strbuf_finish(&services->additions);
    if (nft.len == 0)
        return 0;
    if (!services->nft)
        services->nft = nft_open(err);
    int r = services->nft ? nft_run_in(services->nft, strbuf_str(&nft), err) : -ENOMEM;
    size_t size = nft.len;
    strbuf_finish(&nft);
    if (size > TRIM_BYTES)
        netns_services_rest(services); /* nft needed a kilobyte and more for each element */
    if (r < 0) {
        services->stale = true;
        return error_prefix(err, r, "cannot change services in table " NFT_TABLE);
    }
    services->replace = false;
    return 0;
}

void netns_services_rest(struct netns_services *services) {
    nft_close(steal(&services->nft));
    nl_socket_free(steal(&services->connections));
    memory_trim();
}

static int open_connections(struct netns_services *services, struct error *err) {
    return services->connections ? 0 : connections_open(&services->connections, err);
}

int netns_connections_end(struct netns_services *services, const struct netns_connections *which, size_t n,
                          struct error *err) {
    int r = n > 0 ? open_connections(services, err) : 0;

    if (r == 0 && n > 0)
        r = connections_end(services->connections, which, n, err);
    if (r < 0)
        nl_socket_free(steal(&services->connections));
    return r;
}

int netns_connections_end_if(struct netns_services *services, netns_connection_gone gone, void *userdata,
                             struct error *err) {
    int r = open_connections(services, err);

    if (r == 0)
        r = connections_end_if(services->connections, gone, userdata, err);
    if (r < 0)
        nl_socket_free(steal(&services->connections));
    return r;
}

struct netns_services *netns_services_new(void) {
    struct netns_services *s = xnew0(struct netns_services);

    s->owners = hashmap_new(free);
    s->awaited = hashmap_new(NULL);
    s->chains = hashmap_new(free);
    s->pods = hashmap_new(pod_ports_free);
    s->host_ports = hashmap_new(NULL);
    s->replace = true;
    return s;
}

void netns_services_free(struct netns_services *services) {
    if (!services)
        return;
    nft_close(services->nft);
    nl_socket_free(services->connections);
    hashmap_free(services->owners);
    hashmap_free(services->awaited);
    hashmap_free(services->chains);
    hashmap_free(services->host_ports);
    hashmap_free(services->pods);
    strbuf_finish(&services->removals);
    strbuf_finish(&services->additions);
    free(services);
}
