/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Routes to the pod ranges of other nodes, told from everybody else's by their protocol number. */
#include <arpa/inet.h>
#include <net/if.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include <netlink/route/nexthop.h>

#include "netns/netlink.h"
#include "podium/base/alloc.h"
#include "podium/netns.h"

/* The range as the kernel will show it: host bits must be zero, or the route could not be recognised again. */
static int parse_range(const char *cidr, struct nl_addr **ret, struct error *err) {
    int r = netlink_address_parse(cidr, true, ret, err);

    if (r < 0)
        return r;
    uint32_t ip;
    unsigned prefix = nl_addr_get_prefixlen(*ret);
    memcpy(&ip, nl_addr_get_binary_addr(*ret), sizeof(ip));
    if (prefix < 32 && (ntohl(ip) & (0xffffffffu >> prefix))) {
        nl_addr_put(steal(ret));
        return error_set(err, -EINVAL, "\"%s\" is no range: bits behind the prefix are set", cidr);
    }
    return 0;
}

static int route_add(struct nl_sock *sock, const char *cidr, const char *via, const char *dev, struct error *err) {
    _cleanup_route_ struct rtnl_route *route = rtnl_route_alloc();
    _cleanup_nladdr_ struct nl_addr *range = NULL, *gateway = NULL;
    int index = 0;

    via = via && *via ? via : NULL;
    dev = dev && *dev ? dev : NULL;
    if (!via && !dev)
        return error_set(err, -EINVAL, "a route to %s needs a gateway or a device", cidr);
    int r = parse_range(cidr, &range, err);
    if (r >= 0 && via)
        r = netlink_address_parse(via, false, &gateway, err);
    if (r >= 0 && dev)
        r = index = netlink_link_index(dev, err);
    if (r < 0)
        return r;
    struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
    if (index)
        rtnl_route_nh_set_ifindex(hop, index);
    if (gateway)
        rtnl_route_nh_set_gateway(hop, gateway);
    rtnl_route_add_nexthop(route, hop); /* taken */
    rtnl_route_set_protocol(route, NETNS_ROUTE_PROTOCOL);
    rtnl_route_set_scope(route, gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
    int rc = rtnl_route_set_dst(route, range);
    if (rc >= 0)
        rc = rtnl_route_add(sock, route, NLM_F_CREATE | NLM_F_REPLACE);
    return rc < 0 ? netlink_error(err, rc, "cannot set the route to %s through %s", cidr, via ? via : dev) : 0;
}

int netns_route_ensure(const char *cidr, const char *via, const char *dev, struct error *err) {
    _cleanup_nlsock_ struct nl_sock *sock = NULL;
    int r = netlink_open(&sock, err);

    return r < 0 ? r : route_add(sock, cidr, via, dev, err);
}

static int route_delete(struct nl_sock *sock, const char *cidr, struct error *err) {
    _cleanup_route_ struct rtnl_route *route = rtnl_route_alloc();
    _cleanup_nladdr_ struct nl_addr *range = NULL;

    int r = parse_range(cidr, &range, err);
    if (r < 0)
        return r;
    rtnl_route_set_protocol(route, NETNS_ROUTE_PROTOCOL);
    rtnl_route_set_scope(route, RT_SCOPE_NOWHERE); /* any */
    int rc = rtnl_route_set_dst(route, range);
    if (rc >= 0)
        rc = rtnl_route_delete(sock, route, 0);
    if (rc == -NLE_OBJ_NOTFOUND)
        return 0;
    return rc < 0 ? netlink_error(err, rc, "cannot remove the route to %s", cidr) : 0;
}

int netns_route_remove(const char *cidr, struct error *err) {
    _cleanup_nlsock_ struct nl_sock *sock = NULL;
    int r = netlink_open(&sock, err);

    return r < 0 ? r : route_delete(sock, cidr, err);
}

static void describe(struct rtnl_route *route, struct netns_route *out) {
    struct rtnl_nexthop *hop = rtnl_route_nexthop_n(route, 0);
    struct nl_addr *via = hop ? rtnl_route_nh_get_gateway(hop) : NULL;
    int index = hop ? rtnl_route_nh_get_ifindex(hop) : 0;

    *out = (struct netns_route){0};
    (void) nl_addr2str(rtnl_route_get_dst(route), out->cidr, sizeof(out->cidr));
    if (!strchr(out->cidr, '/')) /* libnl leaves /32 out */
        strncat(out->cidr, "/32", sizeof(out->cidr) - strlen(out->cidr) - 1);
    if (via)
        (void) nl_addr2str(via, out->via, sizeof(out->via));
    if (index)
        (void) if_indextoname((unsigned) index, out->dev);
}

static int route_list(struct nl_sock *sock, struct netns_route **ret, size_t *ret_n, struct error *err) {
    _cleanup_nlcache_ struct nl_cache *cache = NULL;
    struct netns_route *list = NULL;
    size_t n = 0, cap = 0;

    int rc = rtnl_route_alloc_cache(sock, AF_INET, 0, &cache);
    if (rc < 0)
        return netlink_error(err, rc, "cannot list routes");
    xgrow(&list, n, &cap);
    for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
        struct rtnl_route *route = (struct rtnl_route *) o;
        if (rtnl_route_get_protocol(route) != NETNS_ROUTE_PROTOCOL)
            continue;
        xgrow(&list, n, &cap);
        describe(route, &list[n++]);
    }
    *ret = list;
    *ret_n = n;
    return 0;
}

int netns_route_list(struct netns_route **ret, size_t *ret_n, struct error *err) {
    _cleanup_nlsock_ struct nl_sock *sock = NULL;
    int r = netlink_open(&sock, err);

    return r < 0 ? r : route_list(sock, ret, ret_n, err);
}

static bool is_wanted(const struct netns_route *wanted, size_t n, const struct netns_route *have) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(wanted[i].cidr, have->cidr) == 0)
            return true;
    return false;
}

static bool is_there(const struct netns_route *have, size_t n, const struct netns_route *wanted) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(wanted->cidr, have[i].cidr) == 0 && strcmp(wanted->via, have[i].via) == 0 &&
            (!*wanted->dev || strcmp(wanted->dev, have[i].dev) == 0))
            return true;
    return false;
}

int netns_route_sync(const struct netns_route *wanted, size_t n, struct error *err) {
    _cleanup_nlsock_ struct nl_sock *sock = NULL;
    _cleanup_free_ struct netns_route *have = NULL;
    size_t n_have = 0;
    int result = 0;

    int r = netlink_open(&sock, err);
    if (r >= 0)
        r = route_list(sock, &have, &n_have, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n_have; i++)
        if (!is_wanted(wanted, n, &have[i]) && (r = route_delete(sock, have[i].cidr, err)) < 0)
            result = r;
    /* one node that cannot be reached must not keep the routes to the others away */
    for (size_t i = 0; i < n; i++)
        if (!is_there(have, n_have, &wanted[i]) &&
            (r = route_add(sock, wanted[i].cidr, wanted[i].via, wanted[i].dev, err)) < 0)
            result = r;
    return result;
}

int netns_source_address(const char *destination, char out[NETNS_ADDRESS_SIZE], struct error *err) {
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(53)}, here;
    socklen_t n = sizeof(here);

    if (inet_pton(AF_INET, destination ? destination : "1.1.1.1", &there.sin_addr) != 1)
        return error_set(err, -EINVAL, "\"%s\" is no IPv4 address", destination);
    /* connecting a datagram socket asks the routing table and sends nothing */
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot make a socket");
    if (connect(fd, (struct sockaddr *) &there, sizeof(there)) < 0 ||
        getsockname(fd, (struct sockaddr *) &here, &n) < 0)
        return error_set_errno(err, -errno, "no route to %s", destination ? destination : "anywhere");
    if (!inet_ntop(AF_INET, &here.sin_addr, out, NETNS_ADDRESS_SIZE))
        return error_set_errno(err, -errno, "cannot format an address");
    return 0;
}
