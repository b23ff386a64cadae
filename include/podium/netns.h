/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pod networking on a node: namespaces by descriptor, a bridge, veth pairs, addresses, routes, nftables.
 *
 * What it is. Each pod has a network namespace held by a file descriptor (no mount), joined to the node's bridge by a
 * veth pair, with an address from the node's pool (struct ipam), a default route through the bridge, and masquerading
 * for what leaves the cluster. Everything is netlink (libnl) and libnftables; no programs are run.
 *
 * Invariants. Functions work in the calling thread's network namespace unless they take a netns_fd. Those that switch
 * namespaces come back before they return; if coming back fails the process aborts, as going on in a foreign namespace
 * would be worse. "ensure" functions are idempotent and repair what differs; "remove" and "detach" succeed when there
 * is nothing to remove; a failed attach leaves nothing.
 *
 * Ownership. Descriptors returned are the caller's, O_CLOEXEC. Vectors are freed by the named function.
 *
 * Errors. -EPERM (needs CAP_NET_ADMIN, for namespaces CAP_SYS_ADMIN), -EINVAL (malformed address), -ENOSPC (pool
 * exhausted), -EBUSY (pool in use), what the kernel answers otherwise.
 *
 * Threads. Namespace switches concern the calling thread only. One struct ipam belongs to one thread.
 *
 * Addresses are text: "10.244.1.5", with prefix "10.244.1.5/24". IPv4 now (-EAFNOSUPPORT for IPv6); sizes fit both.
 */
#ifndef PODIUM_NETNS_H
#define PODIUM_NETNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/error.h"

#define NETNS_ADDRESS_SIZE   46 /* INET6_ADDRSTRLEN */
#define NETNS_CIDR_SIZE      50 /* with "/128" */
#define NETNS_LINK_NAME_SIZE 16 /* IFNAMSIZ */
#define NETNS_BRIDGE_DEFAULT "podium0"
#define NETNS_ROUTE_PROTOCOL 80       /* rtproto of our routes (unassigned in rtnetlink.h): `ip route show proto 80` */
#define NETNS_TABLE          "podium" /* nftables: table inet podium */

/* --- namespaces --- */

/* A new network namespace; nothing but the descriptor keeps it. lo is down. Returns the fd. */
int netns_create(struct error *err) _must_check_;
/* The calling thread's own. Returns an fd. */
int netns_current(struct error *err) _must_check_;
/* Runs fn inside the namespace and returns what it returned. */
int netns_run(int netns_fd, int (*fn)(void *userdata, struct error *err), void *userdata,
              struct error *err) _must_check_;
/* A socket(2) made inside the namespace; it stays there whoever uses it. Returns the fd (probes, DNS, netlink). */
int netns_socket(int netns_fd, int domain, int type, int protocol, struct error *err) _must_check_;
/* Brings lo up inside the namespace (for pods without a network of their own, and host-less tests). */
int netns_loopback_up(int netns_fd, struct error *err) _must_check_;

/* --- bridge and pods --- */

/* A bridge with the address ("10.244.1.1/24", other IPv4 addresses but host addresses are taken off), a fixed MAC made
 * from it, up. mtu 0: leave as is. */
int netns_bridge_ensure(const char *name, const char *address, unsigned mtu, struct error *err) _must_check_;
/* Removes the bridge (or any link); absent is success. */
int netns_link_remove(const char *name, struct error *err) _must_check_;

/* An address of the node itself on a link ("10.96.0.10", /32, scope host: never chosen as the source towards others),
 * as the node's DNS has on the bridge. Present is success, and absent for remove (the link, too). */
int netns_host_address_ensure(const char *link, const char *address, struct error *err) _must_check_;
int netns_host_address_remove(const char *link, const char *address, struct error *err) _must_check_;

struct netns_attach {
    const char *owner;  /* the pod's uid: names the host end */
    int netns_fd;       /* the pod's namespace */
    const char *bridge; /* in the calling namespace; must be there */
    const char *ifname; /* inside the pod; NULL: "eth0" */
    /* "10.244.1.5/32": everything goes through the node, so that what pods of one node send each other by way of a
     * service finds its way back. With "/24" pods of the node are neighbours. */
    const char *address;
    const char *gateway; /* "10.244.1.1"; NULL: no default route */
    unsigned mtu;        /* 0: the bridge's */
};

/* The name of a pod's host end: "pod" and 12 hex digits of a hash of the owner. */
void netns_link_name(const char *owner, char out[NETNS_LINK_NAME_SIZE]);
/* Joins a pod: a veth pair, host end on the bridge in hairpin mode (a pod can reach itself through a service), peer
 * inside with address, MAC derived from the address, lo up, default route. A host end left by an earlier attempt is
 * replaced. Returns when the link carries packets: usually a millisecond, at most a second (then it is left to come up
 * by itself). */
int netns_attach(const struct netns_attach *attach, struct error *err) _must_check_;
/* Removes a host end by its link name (the peer goes with it); absent is success. The kernel makes the caller wait some
 * 20 ms (RCU); closing the last descriptor of a namespace without processes removes its links in the background. */
int netns_detach(const char *link_name, struct error *err) _must_check_;
/* Detaches every host end on the bridge whose owner is not in the NULL-terminated vector. Returns how many. */
int netns_attached_retain(const char *bridge, char *const *owners, struct error *err) _must_check_;

/* --- addresses of the node --- */

/* The source address the kernel would use towards `destination` (NULL: the default route, as for 1.1.1.1); nothing is
 * sent. -ENETUNREACH when there is no route. */
int netns_source_address(const char *destination, char out[NETNS_ADDRESS_SIZE], struct error *err) _must_check_;

/* --- address pool --- */

/*
 * A folder, one symbolic link per address in use: its name the address, its target the owner. Making a symlink is one
 * atomic system call, so a crash never leaves half an entry. Not synced to disk: after power loss the pods are gone,
 * too. The network address, the first (gateway) and the broadcast address are never given out. A cursor moves on with
 * every allocation, so an address rests as long as possible before it is used again; it survives reopening.
 */
struct ipam;

/* Opens or makes the pool for cidr ("10.244.1.0/24", prefix 8…30). Entries outside cidr (the range changed) are
 * dropped. NULL on error: -EBUSY when another process has it open. */
struct ipam *ipam_open(const char *dir, const char *cidr, struct error *err) _must_check_;
void ipam_close(struct ipam *ipam);
DEFINE_CLEANUP(struct ipam *, ipam_close)
/* The owner's address, given out now or earlier. -ENOSPC when all are in use, -EINVAL for an empty owner or one longer
 * than 255 bytes. */
int ipam_allocate(struct ipam *ipam, const char *owner, char out[NETNS_ADDRESS_SIZE], struct error *err) _must_check_;
/* The owner's address if it has one, else -ENOENT; nothing changes. */
int ipam_lookup(const struct ipam *ipam, const char *owner, char out[NETNS_ADDRESS_SIZE]) _must_check_;
/* Gives the address back; an owner without one is success. */
int ipam_release(struct ipam *ipam, const char *owner, struct error *err) _must_check_;
/* Releases all but those of the owners in the NULL-terminated vector. Returns how many went. */
int ipam_retain(struct ipam *ipam, char *const *owners, struct error *err) _must_check_;
void ipam_gateway(const struct ipam *ipam, char out[NETNS_ADDRESS_SIZE]);
unsigned ipam_prefix_length(const struct ipam *ipam);
size_t ipam_used(const struct ipam *ipam);
size_t ipam_capacity(const struct ipam *ipam);

/* --- routes between nodes --- */

struct netns_route {
    char cidr[NETNS_CIDR_SIZE];     /* another node's pod range */
    char via[NETNS_ADDRESS_SIZE];   /* that node's address; "" for none */
    char dev[NETNS_LINK_NAME_SIZE]; /* "" to let the kernel choose by via */
};

/* Adds or replaces the route to cidr through via (may be NULL with a dev) and dev (may be NULL). */
int netns_route_ensure(const char *cidr, const char *via, const char *dev, struct error *err) _must_check_;
/* Removes our route to cidr; absent is success. */
int netns_route_remove(const char *cidr, struct error *err) _must_check_;
/* Our routes (by NETNS_ROUTE_PROTOCOL), in no order. The caller frees *ret with free(). */
int netns_route_list(struct netns_route **ret, size_t *ret_n, struct error *err) _must_check_;
/* Makes our routes exactly these n: adds, replaces, prunes. */
int netns_route_sync(const struct netns_route *wanted, size_t n, struct error *err) _must_check_;

/* --- firewall --- */

struct netns_firewall {
    const char *bridge;         /* NETNS_BRIDGE_DEFAULT */
    const char *pod_cidr;       /* this node's range */
    char *const *cluster_cidrs; /* ranges never masqueraded to (all pod ranges, services); NULL-terminated */
};

/* Makes the chains of table inet podium: what comes from pod_cidr and leaves for anything outside cluster_cidrs (and
 * pod_cidr) is masqueraded; forwarding from and to the bridge is accepted. One nftables transaction: all or nothing,
 * no gap; only the chains and sets made here are replaced, so the services (netns_services.h)
 * in the same table stay. Note: an accept here does not overrule a drop in somebody else's table. */
int netns_firewall_ensure(const struct netns_firewall *firewall, struct error *err) _must_check_;
/* Removes the table; absent is success. */
int netns_firewall_remove(struct error *err) _must_check_;
/* Turns on IPv4 forwarding in the calling network namespace; -EPERM or -EROFS with what to do when not permitted. */
int netns_forwarding_enable(struct error *err) _must_check_;

#endif
