/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "netns/services/elements.h"

#include <arpa/inet.h>
#include <string.h>

#include "netns/nft.h"
#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"
#include "podium/netns.h"

void elements_finish(struct elements *elements) {
    free(elements->items);
    *elements = (struct elements){0};
}

static struct element *add(struct elements *out) {
    xgrow(&out->items, out->n, &out->cap);
    struct element *e = &out->items[out->n++];
    e->map[0] = e->key[0] = e->data[0] = 0;
    return e;
}

static const char *text_of(in_addr_t address, char out[NETNS_ADDRESS_SIZE]) {
    struct in_addr a = {.s_addr = address};

    return inet_ntop(AF_INET, &a, out, NETNS_ADDRESS_SIZE);
}

/* An endpoint's address as the value of a tc class, which nft writes as two hexadecimal halves. */
static void class_of(in_addr_t address, char *out, size_t size) {
    uint32_t n = ntohl(address);

    (void) snprintf(out, size, "%x:%x", n >> 16, n & 0xffff);
}

static void add_data(struct element *e, const struct netns_endpoint *endpoint) {
    char ip[NETNS_ADDRESS_SIZE];

    (void) snprintf(e->data, sizeof(e->data), "%s . %u", text_of(endpoint->address, ip), endpoint->port);
}

/* --- frontends --- */

/* "10.96.0.7 . 80 . " or "30080 . ": the beginning of keys of maps that are of one protocol. */
static void key_prefix(const struct netns_frontend *f, char *out, size_t size) {
    char ip[NETNS_ADDRESS_SIZE];

    if (f->address)
        (void) snprintf(out, size, "%s . %u . ", text_of(f->address, ip), f->port);
    else
        (void) snprintf(out, size, "%u . ", f->port);
}

static void add_slots(const struct netns_frontend *f, const struct netns_endpoint *endpoints, size_t n, unsigned first,
                      struct elements *out) {
    char prefix[40];

    key_prefix(f, prefix, sizeof(prefix));
    for (size_t i = 0; i < n; i++) {
        struct element *e = add(out);
        chain_map_name(f->affinity_seconds ? MAP_SLOT_ENDPOINTS : MAP_SLOTS, f->protocol, f->address == 0, e->map,
                       sizeof(e->map));
        (void) snprintf(e->key, sizeof(e->key), "%s%u", prefix, first + (unsigned) i);
        if (f->affinity_seconds)
            class_of(endpoints[i].address, e->data, sizeof(e->data));
        else
            add_data(e, &endpoints[i]);
    }
}

/* Endpoints by their addresses, for affinity: both lists, each once. */
static void add_endpoints(const struct netns_frontend *f, size_t n, size_t n_local, struct elements *out) {
    char prefix[40], class[16];
    size_t i = 0, k = 0;

    key_prefix(f, prefix, sizeof(prefix));
    while (i < n || k < n_local) {
        bool from_all = k == n_local || (i < n && ntohl(f->endpoints[i].address) <= ntohl(f->local[k].address));
        const struct netns_endpoint *next = from_all ? &f->endpoints[i] : &f->local[k];
        struct element *e = add(out);
        chain_map_name(MAP_ENDPOINTS, f->protocol, f->address == 0, e->map, sizeof(e->map));
        class_of(next->address, class, sizeof(class));
        (void) snprintf(e->key, sizeof(e->key), "%s%s", prefix, class);
        add_data(e, next);
        i += i < n && f->endpoints[i].address == next->address;
        k += k < n_local && f->local[k].address == next->address;
    }
}

/* The element that finds the frontend. */
static struct element *add_entrance(const struct netns_frontend *f, bool refused, struct elements *out) {
    struct element *e = add(out);
    const char *protocol = chain_protocol_name(f->protocol);
    char ip[NETNS_ADDRESS_SIZE];

    if (f->address) {
        (void) snprintf(e->map, sizeof(e->map), "%s", refused ? SET_REFUSED : MAP_ADDRESSES);
        (void) snprintf(e->key, sizeof(e->key), "%s . %s . %u", text_of(f->address, ip), protocol, f->port);
    } else {
        (void) snprintf(e->map, sizeof(e->map), "%s", refused ? SET_REFUSED_PORTS : MAP_NODE_PORTS);
        (void) snprintf(e->key, sizeof(e->key), "%s . %u", protocol, f->port);
    }
    return e;
}

void elements_of_frontend(const struct netns_frontend *f, struct elements *out, struct chain *ret_chain) {
    static const enum chain_kind kinds[] = {
        [NETNS_SOURCES_CLUSTER] = CHAIN_OUTSIDE,
        [NETNS_SOURCES_ANYWHERE] = CHAIN_ANYWHERE,
        [NETNS_SOURCES_LOCAL] = CHAIN_LOCAL,
    };
    bool local = f->sources == NETNS_SOURCES_LOCAL;
    size_t n = f->n_endpoints < NETNS_ENDPOINTS_MAX ? f->n_endpoints : NETNS_ENDPOINTS_MAX;
    size_t n_local = !local ? 0 : f->n_local < NETNS_ENDPOINTS_MAX ? f->n_local : NETNS_ENDPOINTS_MAX;
    char name[CHAIN_NAME_SIZE];

    *ret_chain = (struct chain){.kind = CHAIN_NONE};
    if (n == 0) {
        struct element *e = add_entrance(f, !f->drop, out);
        if (f->drop)
            (void) snprintf(e->data, sizeof(e->data), "drop");
        return;
    }
    *ret_chain = (struct chain){.kind = kinds[f->sources],
                                .protocol = f->protocol,
                                .by_port = f->address == 0,
                                .n = (unsigned) n,
                                .n_local = (unsigned) n_local,
                                .affinity_seconds = f->affinity_seconds};
    chain_name(ret_chain, name);
    (void) snprintf(add_entrance(f, false, out)->data, sizeof(out->items->data), "goto %s", name);
    add_slots(f, f->endpoints, n, local ? SLOT_CLUSTER : 0, out);
    add_slots(f, f->local, n_local, 0, out);
    if (f->affinity_seconds)
        add_endpoints(f, n, n_local, out);
}

/* --- pods --- */

void element_of_host_port(const struct netns_host_port *port, in_addr_t pod, struct elements *out) {
    struct element *e = add(out);
    const char *protocol = chain_protocol_name(port->protocol);
    const struct netns_endpoint endpoint = {pod, port->pod_port};
    char ip[NETNS_ADDRESS_SIZE];

    (void) snprintf(e->map, sizeof(e->map), "%s", port->address ? MAP_HOST_ADDRESSES : MAP_HOST_PORTS);
    if (port->address)
        (void) snprintf(e->key, sizeof(e->key), "%s . %s . %u", text_of(port->address, ip), protocol, port->port);
    else
        (void) snprintf(e->key, sizeof(e->key), "%s . %u", protocol, port->port);
    add_data(e, &endpoint);
}

void element_of_hairpin(in_addr_t pod, struct elements *out) {
    struct element *e = add(out);
    char ip[NETNS_ADDRESS_SIZE];

    (void) snprintf(e->map, sizeof(e->map), "%s", SET_HAIRPIN);
    text_of(pod, ip);
    (void) snprintf(e->key, sizeof(e->key), "%.20s . %.20s", ip, ip);
}

/* --- differences --- */

/* One command for as many elements as come for one map: each costs nft some time. `*open`: the map of the command that
 * is not closed yet. */
static void add_command(struct strbuf *out, const char *verb, const struct element *e, bool data, const char **open) {
    if (*open && strcmp(*open, e->map) == 0) {
        strbuf_adds(out, ", ");
    } else {
        if (*open)
            strbuf_adds(out, " }\n");
        strbuf_addf(out, "%s element " NFT_TABLE " %s { ", verb, e->map);
    }
    *open = e->map;
    strbuf_adds(out, e->key);
    if (data && e->data[0])
        strbuf_addf(out, " : %s", e->data);
}

static void index_of(const struct element *e, char out[112]) {
    (void) snprintf(out, 112, "%s %s", e->map, e->key);
}

void elements_difference(const struct elements *before, const struct elements *after, struct strbuf *removals,
                         struct strbuf *additions) {
    _cleanup_(hashmap_freep) struct hashmap *old = hashmap_new(NULL);
    const char *removing = NULL, *adding = NULL;
    char index[112];

    for (size_t i = 0; i < before->n; i++) {
        index_of(&before->items[i], index);
        hashmap_put(old, index, &before->items[i]);
    }
    for (size_t i = 0; i < after->n; i++) {
        const struct element *e = &after->items[i];
        index_of(e, index);
        const struct element *was = hashmap_get(old, index);
        if (was && strcmp(was->data, e->data) == 0) {
            (void) hashmap_remove(old, index);
            continue;
        }
        add_command(additions, "add", e, true, &adding);
    }
    for (size_t i = 0; i < before->n; i++) {
        index_of(&before->items[i], index);
        if (hashmap_has(old, index))
            add_command(removals, "delete", &before->items[i], false, &removing);
    }
    if (adding)
        strbuf_adds(additions, " }\n");
    if (removing)
        strbuf_adds(removals, " }\n");
}
