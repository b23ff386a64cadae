/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The node's bridge. */
#include <stdbool.h>
#include <net/if.h>
#include <string.h>

#include <netlink/route/link/bridge.h>

#include "netns/netlink.h"
#include "podium/base/alloc.h"
#include "podium/netns.h"

static int check_link_name(const char *name, struct error *err) {
    size_t n = strlen(name);

    if (n == 0 || n >= NETNS_LINK_NAME_SIZE || strpbrk(name, "/ :\t\n") || strcmp(name, ".") == 0 ||
        strcmp(name, "..") == 0)
        return error_set(err, -EINVAL, "\"%s\" is no name for a network link (1 to 15 bytes)", name);
    return 0;
}

static int make_bridge(struct nl_sock *sock, const char *name, const struct nl_addr *address, struct error *err) {
    _cleanup_link_ struct rtnl_link *link = rtnl_link_bridge_alloc();
    _cleanup_nladdr_ struct nl_addr *mac = netlink_mac_of(address);

    if (!link)
        return error_set(err, -ENOMEM, "out of memory");
    rtnl_link_set_name(link, name);
    rtnl_link_set_addr(link, mac); /* a bridge without one takes that of a port, and changes with it */
    int rc = rtnl_link_add(sock, link, NLM_F_CREATE | NLM_F_EXCL);
    if (rc == -NLE_EXIST)
        return 0;
    return rc < 0 ? netlink_error(err, rc, "cannot make bridge %s", name) : 0;
}

/* Takes IPv4 addresses off the link, except `keep` and those of netns_host_address_ensure(). *ret_found: keep was
 * there.
 */
static int prune_addresses(struct nl_sock *sock, int index, struct nl_addr *keep, bool *ret_found, struct error *err) {
    _cleanup_nlcache_ struct nl_cache *cache = NULL;

    *ret_found = false;
    int rc = rtnl_addr_alloc_cache(sock, &cache);
    if (rc < 0)
        return netlink_error(err, rc, "cannot list addresses");
    for (struct nl_object *o = nl_cache_get_first(cache); o; o = nl_cache_get_next(o)) {
        struct rtnl_addr *a = (struct rtnl_addr *) o;
        if (rtnl_addr_get_ifindex(a) != index || rtnl_addr_get_family(a) != AF_INET ||
            rtnl_addr_get_scope(a) == RT_SCOPE_HOST)
            continue;
        struct nl_addr *local = rtnl_addr_get_local(a);
        if (nl_addr_cmp(local, keep) == 0 && nl_addr_get_prefixlen(local) == nl_addr_get_prefixlen(keep)) {
            *ret_found = true;
            continue;
        }
        rc = rtnl_addr_delete(sock, a, 0);
        if (rc < 0 && rc != -NLE_OBJ_NOTFOUND && rc != -NLE_NOADDR) /* gone with another (EADDRNOTAVAIL) */
            return netlink_error(err, rc, "cannot remove an old address");
    }
    return 0;
}

int netns_bridge_ensure(const char *name, const char *address, unsigned mtu, struct error *err) {
    _cleanup_nlsock_ struct nl_sock *sock = NULL;
    _cleanup_nladdr_ struct nl_addr *wanted = NULL;
    _cleanup_link_ struct rtnl_link *link = NULL;
    bool found;

    int r = check_link_name(name, err);
    if (r >= 0)
        r = netlink_address_parse(address, true, &wanted, err);
    if (r >= 0)
        r = netlink_open(&sock, err);
    if (r >= 0)
        r = make_bridge(sock, name, wanted, err);
    if (r >= 0)
        r = netlink_link_get(name, &link, err);
    if (r < 0)
        return r;
    if (!rtnl_link_is_bridge(link))
        return error_set(err, -EEXIST,
                         "there is a network link %s that is no bridge; remove it or configure another name", name);
    int index = rtnl_link_get_ifindex(link);
    r = prune_addresses(sock, index, wanted, &found, err);
    if (r >= 0 && !found)
        r = netlink_address_add(sock, index, wanted, err);
    return r < 0 ? r : netlink_link_up(sock, index, mtu, err);
}

int netns_link_remove(const char *name, struct error *err) {
    _cleanup_nlsock_ struct nl_sock *sock = NULL;
    int r = check_link_name(name, err);

    if (r >= 0)
        r = netlink_open(&sock, err);
    return r < 0 ? r : netlink_link_delete(sock, name, err);
}

/* --- addresses of the node's own on a link --- */

static int host_address(const char *link, const char *address, struct nl_sock **ret_sock, struct rtnl_addr **ret,
                        struct error *err) {
    _cleanup_nladdr_ struct nl_addr *local = NULL;
    _cleanup_addr_ struct rtnl_addr *entry = rtnl_addr_alloc();

    int r = check_link_name(link, err);
    if (r >= 0)
        r = netlink_address_parse(address, false, &local, err);
    if (r >= 0)
        r = netlink_open(ret_sock, err);
    if (r >= 0)
        r = netlink_link_index(link, err);
    if (r < 0)
        return r;
    nl_addr_set_prefixlen(local, 32);
    rtnl_addr_set_ifindex(entry, r);
    r = rtnl_addr_set_local(entry, local);
    if (r < 0)
        return netlink_error(err, r, "cannot use address %s", address);
    rtnl_addr_set_scope(entry, RT_SCOPE_HOST);
    *ret = steal(&entry);
    return 0;
}

int netns_host_address_ensure(const char *link, const char *address, struct error *err) {
    _cleanup_nlsock_ struct nl_sock *sock = NULL;
    _cleanup_addr_ struct rtnl_addr *entry = NULL;

    int r = host_address(link, address, &sock, &entry, err);
    if (r < 0)
        return r;
    r = rtnl_addr_add(sock, entry, 0);
    return r < 0 && r != -NLE_EXIST ? netlink_error(err, r, "cannot set address %s", address) : 0;
}

int netns_host_address_remove(const char *link, const char *address, struct error *err) {
    _cleanup_nlsock_ struct nl_sock *sock = NULL;
    _cleanup_addr_ struct rtnl_addr *entry = NULL;

    int r = host_address(link, address, &sock, &entry, err);
    if (r == -ENODEV) {
        error_clear(err);
        return 0;
    }
    if (r < 0)
        return r;
    r = rtnl_addr_delete(sock, entry, 0);
    if (r < 0 && r != -NLE_OBJ_NOTFOUND && r != -NLE_NOADDR) /* NLE_NOADDR: it was not there (EADDRNOTAVAIL) */
        return netlink_error(err, r, "cannot remove address %s", address);
    return 0;
}
