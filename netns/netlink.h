/* SPDX-License-Identifier: GPL-2.0-or-later */
/* rtnetlink through libnl: what the files of this folder share. */
#ifndef PODIUM_NETNS_NETLINK_H
#define PODIUM_NETNS_NETLINK_H

#include <stdbool.h>

#include <netlink/addr.h>
#include <netlink/cache.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/route.h>

#include "podium/base/error.h"

DEFINE_CLEANUP(struct nl_sock *, nl_socket_free)
DEFINE_CLEANUP(struct nl_cache *, nl_cache_free)
DEFINE_CLEANUP(struct nl_addr *, nl_addr_put)
DEFINE_CLEANUP(struct rtnl_link *, rtnl_link_put)
DEFINE_CLEANUP(struct rtnl_addr *, rtnl_addr_put)
DEFINE_CLEANUP(struct rtnl_route *, rtnl_route_put)
#define _cleanup_nlsock_  _cleanup_(nl_socket_freep)
#define _cleanup_nlcache_ _cleanup_(nl_cache_freep)
#define _cleanup_nladdr_  _cleanup_(nl_addr_putp)
#define _cleanup_link_    _cleanup_(rtnl_link_putp)
#define _cleanup_addr_    _cleanup_(rtnl_addr_putp)
#define _cleanup_route_   _cleanup_(rtnl_route_putp)

/* A connected rtnetlink socket in the calling thread's namespace. */
int netlink_open(struct nl_sock **ret, struct error *err) _must_check_;
/* libnl's error (NLE_*) as negative errno with "what: reason". libnl folds several errnos into one of its codes: the
 * nearest is returned. */
int netlink_error(struct error *err, int nle, const char *what, ...) _printf_(3, 4) _must_check_;
/* The link asked from the kernel, in the calling thread's namespace; -ENODEV when absent. */
int netlink_link_get(const char *name, struct rtnl_link **ret, struct error *err) _must_check_;
/* Its index; -ENODEV when absent. */
int netlink_link_index(const char *name, struct error *err) _must_check_;
int netlink_link_delete(struct nl_sock *sock, const char *name, struct error *err); /* absent is success */
/* Sets a link up; mtu 0: as it is. */
int netlink_link_up(struct nl_sock *sock, int index, unsigned mtu, struct error *err) _must_check_;
/* "10.244.1.5/24"; with_prefix demands the prefix. Only IPv4. */
int netlink_address_parse(const char *text, bool with_prefix, struct nl_addr **ret, struct error *err) _must_check_;
/* Adds the address, with its broadcast address; present is success. */
int netlink_address_add(struct nl_sock *sock, int index, struct nl_addr *address, struct error *err) _must_check_;
/* The locally administered MAC 0a:58 + the four bytes of the address: the same pod address always has the same MAC, so
 * neighbours' ARP entries stay right. */
struct nl_addr *netlink_mac_of(const struct nl_addr *address);

#endif
