/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Joining a pod's namespace to the bridge by a veth pair. */
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/route/link/veth.h>
#include <netlink/route/nexthop.h>

#include "netns/netlink.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"
#include "podium/netns.h"

#define HOST_END_PREFIX "pod"
#define POD_IFNAME      "eth0"

enum { LOOPBACK_INDEX = 1, OPERATIONAL_WAIT_MSEC = 1000 };

void netns_link_name(const char *owner, char out[NETNS_LINK_NAME_SIZE]) {
    uint64_t hash = fnv1a(owner, strlen(owner));

    /* all 64 bits go into the 48 that fit */
    (void) snprintf(out, NETNS_LINK_NAME_SIZE, HOST_END_PREFIX "%012llx",
                    (unsigned long long) ((hash ^ (hash >> 48)) & 0xffffffffffffull));
}

/* Both ends in one request: the peer is born inside the pod's namespace and never shows up in ours. */
static int make_pair(struct nl_sock *sock, const struct netns_attach *attach, const char *host_end, int bridge,
                     unsigned mtu, const struct nl_addr *address, struct error *err) {
    _cleanup_link_ struct rtnl_link *link = rtnl_link_veth_alloc();
    _cleanup_nladdr_ struct nl_addr *mac = netlink_mac_of(address);

    if (!link)
        return error_set(err, -ENOMEM, "out of memory");
    struct rtnl_link *peer = rtnl_link_veth_get_peer(link); /* a reference of its own */
    rtnl_link_set_name(link, host_end);
    rtnl_link_set_master(link, bridge);
    rtnl_link_set_mtu(link, mtu);
    rtnl_link_set_name(peer, attach->ifname ? attach->ifname : POD_IFNAME);
    rtnl_link_set_mtu(peer, mtu);
    rtnl_link_set_addr(peer, mac);
    rtnl_link_set_ns_fd(peer, attach->netns_fd);
    int rc = rtnl_link_add(sock, link, NLM_F_CREATE | NLM_F_EXCL);
    rtnl_link_put(peer);
    return rc < 0 ? netlink_error(err, rc, "cannot make the link pair %s", host_end) : 0;
}

/* A pod that talks to itself through a service gets its own packets back through the port they came from. libnl's
 * rtnl_link_change() cannot send bridge port attributes, so the message is made by hand. */
static int set_hairpin(struct nl_sock *sock, int index, struct error *err) {
    struct ifinfomsg header = {.ifi_family = AF_BRIDGE, .ifi_index = index};
    struct nl_msg *message = nlmsg_alloc_simple(RTM_SETLINK, 0);
    int rc = message ? nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO) : -NLE_NOMEM;
    struct nlattr *port = rc >= 0 ? nla_nest_start(message, IFLA_PROTINFO | NLA_F_NESTED) : NULL;

    if (!port || nla_put_u8(message, IFLA_BRPORT_MODE, 1) < 0) {
        nlmsg_free(message);
        return error_set(err, -ENOMEM, "out of memory");
    }
    nla_nest_end(message, port);
    rc = nl_send_sync(sock, message); /* frees the message */
    return rc < 0 ? netlink_error(err, rc, "cannot set hairpin mode") : 0;
}

static int add_default_route(struct nl_sock *sock, int index, const char *gateway, bool alone, struct error *err) {
    _cleanup_route_ struct rtnl_route *route = rtnl_route_alloc();
    _cleanup_nladdr_ struct nl_addr *via = NULL, *any = NULL;

    int r = netlink_address_parse(gateway, false, &via, err);
    if (r < 0)
        return r;
    int rc = nl_addr_parse("default", AF_INET, &any);
    struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
    rtnl_route_nh_set_ifindex(hop, index);
    rtnl_route_nh_set_gateway(hop, via);
    if (alone)
        rtnl_route_nh_set_flags(hop, RTNH_F_ONLINK); /* a /32 has no neighbours */
    rtnl_route_add_nexthop(route, hop);              /* taken */
    if (rc >= 0)
        rc = rtnl_route_set_dst(route, any);
    if (rc >= 0)
        rc = rtnl_route_add(sock, route, NLM_F_CREATE | NLM_F_REPLACE);
    return rc < 0 ? netlink_error(err, rc, "cannot set the default route through %s", gateway) : 0;
}

struct inside {
    const struct netns_attach *attach;
    struct nl_addr *address;
};

/* Runs in the pod's namespace. */
static int configure_inside(void *userdata, struct error *err) {
    const struct inside *in = userdata;
    const struct netns_attach *attach = in->attach;
    _cleanup_nlsock_ struct nl_sock *sock = NULL;

    int r = netlink_open(&sock, err);
    if (r >= 0)
        r = netlink_link_up(sock, LOOPBACK_INDEX, 0, err);
    if (r < 0)
        return r;
    int index = netlink_link_index(attach->ifname ? attach->ifname : POD_IFNAME, err);
    if (index < 0)
        return index;
    r = netlink_address_add(sock, index, in->address, err);
    if (r >= 0)
        r = netlink_link_up(sock, index, 0, err);
    if (r >= 0 && attach->gateway)
        r = add_default_route(sock, index, attach->gateway, nl_addr_get_prefixlen(in->address) == 32, err);
    return r < 0 ? error_prefix(err, r, "in the pod's network namespace") : 0;
}

/* A bridge port forwards only when the kernel's link watch has seen its carrier, a moment after the last end came up;
 * what is sent before is lost, and a lost first DNS query costs a pod five seconds. `events` hears of links since
 * before they were set up, so nothing is missed between looking and waiting. After the time-out the pod starts anyway.
 */
static void wait_operational(struct nl_sock *events, const char *host_end) {
    uint64_t end = now_monotonic_usec() + OPERATIONAL_WAIT_MSEC * USEC_PER_MSEC;
    int fd = nl_socket_get_fd(events);

    for (;;) {
        _cleanup_link_ struct rtnl_link *link = NULL;
        char drain[4096];

        if (netlink_link_get(host_end, &link, NULL) < 0 || rtnl_link_get_operstate(link) == IF_OPER_UP)
            return;
        uint64_t now = now_monotonic_usec();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (now >= end || poll(&p, 1, (int) ((end - now) / USEC_PER_MSEC) + 1) == 0)
            return;
        while (recv(fd, drain, sizeof(drain), MSG_DONTWAIT) > 0)
            ;
    }
}

static int open_events(struct nl_sock **ret, struct error *err) {
    int r = netlink_open(ret, err);

    if (r < 0)
        return r;
    int rc = nl_socket_add_membership(*ret, RTNLGRP_LINK);
    return rc < 0 ? netlink_error(err, rc, "cannot listen for network link changes") : 0;
}

static int finish_pair(struct nl_sock *sock, const char *host_end, struct inside *inside, struct error *err) {
    _cleanup_nlsock_ struct nl_sock *events = NULL;
    int index = netlink_link_index(host_end, err);

    if (index < 0)
        return index;
    int r = open_events(&events, err);
    if (r >= 0)
        r = set_hairpin(sock, index, err);
    if (r >= 0)
        r = netlink_link_up(sock, index, 0, err);
    if (r >= 0)
        r = netns_run(inside->attach->netns_fd, configure_inside, inside, err);
    if (r >= 0)
        wait_operational(events, host_end);
    return r;
}

static int check_attach(const struct netns_attach *attach, struct error *err) {
    const char *ifname = attach->ifname ? attach->ifname : POD_IFNAME;

    if (!attach->owner || !*attach->owner)
        return error_set(err, -EINVAL, "a pod to attach needs an owner");
    if (!*ifname || strlen(ifname) >= NETNS_LINK_NAME_SIZE || strcmp(ifname, "lo") == 0)
        return error_set(err, -EINVAL, "\"%s\" cannot be the pod's interface", ifname);
    return 0;
}

int netns_attach(const struct netns_attach *attach, struct error *err) {
    _cleanup_nlsock_ struct nl_sock *sock = NULL;
    _cleanup_nladdr_ struct nl_addr *address = NULL;
    _cleanup_link_ struct rtnl_link *bridge = NULL;
    char host_end[NETNS_LINK_NAME_SIZE];

    int r = check_attach(attach, err);
    if (r >= 0)
        r = netlink_address_parse(attach->address, true, &address, err);
    if (r >= 0)
        r = netlink_open(&sock, err);
    if (r >= 0)
        r = netlink_link_get(attach->bridge, &bridge, err);
    if (r < 0)
        return r;
    netns_link_name(attach->owner, host_end);
    int bridge_index = rtnl_link_get_ifindex(bridge);
    unsigned mtu = attach->mtu ? attach->mtu : rtnl_link_get_mtu(bridge);
    r = make_pair(sock, attach, host_end, bridge_index, mtu, address, err);
    if (r == -EEXIST) { /* from an earlier attempt; its peer goes with it */
        error_clear(err);
        r = netlink_link_delete(sock, host_end, err);
        if (r >= 0)
            r = make_pair(sock, attach, host_end, bridge_index, mtu, address, err);
    }
    struct inside inside = {.attach = attach, .address = address};
    if (r >= 0)
        r = finish_pair(sock, host_end, &inside, err);
    if (r < 0) { /* the pair may be there though its making failed: the answer could not be read */
        int undone = netns_link_remove(host_end, NULL);
        (void) undone; /* netns_attached_retain() takes what is left */
    }
    return r;
}

int netns_detach(const char *link_name, struct error *err) {
    return netns_link_remove(link_name, err);
}

int netns_attached_retain(const char *bridge, char *const *owners, struct error *err) {
    _cleanup_(hashmap_freep) struct hashmap *keep = hashmap_new(NULL);
    _cleanup_nlsock_ struct nl_sock *sock = NULL;
    _cleanup_nlcache_ struct nl_cache *cache = NULL;
    int removed = 0;

    for (size_t i = 0; i < strv_len(owners); i++) {
        char name[NETNS_LINK_NAME_SIZE];
        netns_link_name(owners[i], name);
        hashmap_put(keep, name, keep);
    }
    int r = netlink_open(&sock, err);
    if (r < 0)
        return r;
    int index = netlink_link_index(bridge, err);
    if (index < 0)
        return index;
    int rc = rtnl_link_alloc_cache(sock, AF_UNSPEC, &cache);
    if (rc < 0)
        return netlink_error(err, rc, "cannot list network links");
    for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
        struct rtnl_link *link = (struct rtnl_link *) o;
        const char *name = rtnl_link_get_name(link);
        if (rtnl_link_get_master(link) != index || strlen(name) != NETNS_LINK_NAME_SIZE - 1 ||
            strncmp(name, HOST_END_PREFIX, strlen(HOST_END_PREFIX)) != 0 || hashmap_has(keep, name))
            continue;
        r = netlink_link_delete(sock, name, err);
        if (r < 0)
            return r;
        removed++;
    }
    return removed;
}
