/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Services on a node: connections to a service's address or port are led to one of its endpoints, by nftables, in the
 * table of netns_firewall_ensure().
 *
 * What it is. All services share a few maps and a few chains; a change touches only the elements that differ, in one
 * transaction, and nothing is listed back (but the names of chains, when all is replaced: those of an earlier life go).
 * A map keyed by address, protocol and port names a chain for the number of endpoints; that chain draws a slot and a
 * second map, keyed by address, port and slot, gives the endpoint:
 *
 *   10.96.0.7 . tcp . 80 : goto outside-tcp-ip-3 → pick-tcp-ip-3: 10.96.0.7 . 80 . (random of 3) : 10.244.1.9 . 8080
 *
 * Connections of clients with affinity are remembered in a map with time-out, by the endpoint's address; it survives
 * a restart of the program. Traffic from pods and from the node itself is served, to 127.0.0.0/8 it is left alone.
 * Bit NETNS_MASQUERADE_MARK of the packet mark is used on the way, as kube-proxy does; with affinity, the priority
 * (tc class) of a connection's first packet, too.
 *
 * Invariants. An address with protocol and port belongs to one owner: who comes second waits, and after the first let
 * go netns_services_stale() tells that all should be put in anew. A failed commit changes nothing in the kernel and
 * makes everything stale, too.
 *
 * Ownership. What is passed in is copied or used at once. Errors as in netns.h. Threads: one object, one thread and one
 * network namespace, the calling thread's.
 */
#ifndef PODIUM_NETNS_SERVICES_H
#define PODIUM_NETNS_SERVICES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/cleanup.h"
#include "podium/base/error.h"

#define NETNS_MASQUERADE_MARK 0x4000u

struct netns_services;

struct netns_endpoint {
    in_addr_t address; /* network byte order */
    uint16_t port;
};

enum netns_sources {
    NETNS_SOURCES_CLUSTER,  /* masqueraded when neither from a pod nor from this node: a cluster address */
    NETNS_SOURCES_ANYWHERE, /* always masqueraded: an external address or port, any endpoint */
    NETNS_SOURCES_LOCAL, /* the same with endpoints of this node only: `local` for those from outside the cluster, who
                            keep their address; `endpoints` for pods and the node */
};

/* One address (or port of the node) with protocol and port. */
struct netns_frontend {
    in_addr_t address; /* network byte order; 0: the port on all addresses of the node */
    uint8_t protocol;  /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP */
    uint16_t port;
    enum netns_sources sources;
    unsigned affinity_seconds;              /* by client address; 0: none */
    bool drop;                              /* without endpoints: silently; else refused */
    const struct netns_endpoint *endpoints; /* by address, each once; at most NETNS_ENDPOINTS_MAX are used */
    size_t n_endpoints;
    const struct netns_endpoint *local; /* with NETNS_SOURCES_LOCAL; by address, each once */
    size_t n_local;
};
#define NETNS_ENDPOINTS_MAX 32768

struct netns_frontends {
    struct netns_frontend *items;
    size_t n;
};

struct netns_services *netns_services_new(void);
void netns_services_free(struct netns_services *services); /* the kernel's state stays */
DEFINE_CLEANUP(struct netns_services *, netns_services_free)

/* For the next commit: the owner's frontends were `before` (as told last), now they are `after`; either may be NULL. */
void netns_services_change(struct netns_services *services, const char *owner, const struct netns_frontends *before,
                           const struct netns_frontends *after);
/* What was told so far is forgotten; the next commit replaces all there is in the kernel, in one transaction and
 * without a gap. All owners and pods are to be told again before it. */
void netns_services_reset(struct netns_services *services);
/* netns_services_reset() is due. */
bool netns_services_stale(const struct netns_services *services);
/* Everything told since the last commit, as one transaction. */
int netns_services_commit(struct netns_services *services, struct error *err) _must_check_;
/* No change is expected soon: gives memory back that makes the next one faster. Takes some 10 ms. */
void netns_services_rest(struct netns_services *services);

/* --- pods of this node --- */

struct netns_host_port {
    in_addr_t address; /* of the node, network byte order; 0: all */
    uint8_t protocol;
    uint16_t port, pod_port;
};

/* A pod with this address reaches itself through services, and what comes to the node's ports is led to it, from the
 * next commit on. -EADDRINUSE when one of the ports is another pod's: then nothing changes. */
int netns_services_pod_add(struct netns_services *services, in_addr_t pod, const struct netns_host_port *ports,
                           size_t n, struct error *err) _must_check_;
void netns_services_pod_remove(struct netns_services *services, in_addr_t pod); /* unknown is fine */

/* --- connections --- */

/* Connections that go to this endpoint by way of a frontend. */
struct netns_connections {
    uint8_t protocol;
    in_addr_t address; /* the frontend's; 0: any of the node's */
    uint16_t port;
    struct netns_endpoint endpoint; /* address 0: those that went to the frontend's address itself, undirected */
};

/* Forgets them in the kernel's connection tracking: their next packet finds an endpoint of now, which refuses what it
 * does not know. Returns how many. Needs netfilter's netlink interface for connection tracking. */
int netns_connections_end(struct netns_services *services, const struct netns_connections *which, size_t n,
                          struct error *err) _must_check_;

/* Whether a connection that was led from a frontend (its address, never 0, and port) to an endpoint is to end. */
typedef bool (*netns_connection_gone)(void *userdata, const struct netns_connections *connection);
/* The same for those that `gone` says so of, asked about each: for a program that starts and does not know what ended
 * while it was away. */
int netns_connections_end_if(struct netns_services *services, netns_connection_gone gone, void *userdata,
                             struct error *err) _must_check_;

#endif
