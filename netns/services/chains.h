/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The chains and maps services are made of, as nft text.
 *
 * Base chains and maps are always there. The others are made for what services need at the moment: how many slots to
 * draw from, whose connections to masquerade. Services that need the same share one.
 *
 *   pick     draws a slot and leads to its endpoint; with affinity it looks for the client's endpoint first
 *   outside  masquerades what comes neither from pods nor from the node, then pick
 *   anywhere masquerades, then pick
 *   local    pods and the node: pick among all; others: pick among this node's, or drop
 */
#ifndef PODIUM_NETNS_SERVICES_CHAINS_H
#define PODIUM_NETNS_SERVICES_CHAINS_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/strbuf.h"

#define MAP_ADDRESSES      "service_addresses"      /* address . protocol . port : chain */
#define MAP_NODE_PORTS     "service_node_ports"     /* protocol . port : chain */
#define SET_REFUSED        "service_refused"        /* address . protocol . port */
#define SET_REFUSED_PORTS  "service_refused_ports"  /* protocol . port */
#define MAP_AFFINITY       "service_affinity"       /* client . address . protocol . port : endpoint's address */
#define MAP_HOST_PORTS     "host_ports"             /* protocol . port : pod . port */
#define MAP_HOST_ADDRESSES "host_address_ports"     /* address . protocol . port : pod . port */
#define SET_HAIRPIN        "pod_hairpin"            /* pod . the same pod */
#define MAP_SLOTS          "service_slots"          /* _tcp_ip: address . port . slot : endpoint . port */
#define MAP_SLOT_ENDPOINTS "service_slot_endpoints" /* the same : endpoint's address */
#define MAP_ENDPOINTS      "service_endpoints"      /* _tcp_ip: address . port . endpoint's address : endpoint . port */
/* maps whose name ends in protocol and "ip" or "port" (then without address) */

/* Slots of the endpoints that only pods and the node may use begin here: NETNS_ENDPOINTS_MAX. */
#define SLOT_CLUSTER 32768u

enum chain_kind { CHAIN_NONE, CHAIN_PICK, CHAIN_OUTSIDE, CHAIN_ANYWHERE, CHAIN_LOCAL };

struct chain {
    enum chain_kind kind;
    uint8_t protocol;
    bool by_port;              /* the node's port, not an address */
    bool cluster_slots;        /* pick: from SLOT_CLUSTER on */
    unsigned n, n_local;       /* slots */
    unsigned affinity_seconds; /* 0: none */
};

#define CHAIN_NAME_SIZE 64
void chain_name(const struct chain *chain, char out[CHAIN_NAME_SIZE]);
/* The chains this one goes to, at most 2; returns how many. */
unsigned chain_targets(const struct chain *chain, struct chain targets[2]);
/* Commands that make it, or make it anew; its targets must be there. */
void chain_make(const struct chain *chain, struct strbuf *out);

/* What nft prints for CHAINS_LIST has a line for each chain: gives the next one of our table that chain_make() may have
 * made, with the kind its name tells. `*at`: the text at first, then where it went on; false at the end. */
#define CHAINS_LIST "list chains inet"
bool chains_next_listed(const char **at, char ret_name[CHAIN_NAME_SIZE], enum chain_kind *ret_kind);

const char *chain_protocol_name(uint8_t protocol);
/* "service_slots_tcp_ip" */
void chain_map_name(const char *map, uint8_t protocol, bool by_port, char *out, size_t size);

/* Everything that is always there; existing contents of maps are kept. */
void chains_make_base(struct strbuf *out);
/* Empties the maps, but for affinity. */
void chains_flush_maps(struct strbuf *out);

#endif
