/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connection tracking by netlink; what netns_connections_end() is made of. */
#ifndef PODIUM_NETNS_SERVICES_CONNECTIONS_H
#define PODIUM_NETNS_SERVICES_CONNECTIONS_H

#include "netns/netlink.h"
#include "podium/netns_services.h"

/* A socket for it, kept by the caller: closing one of this family takes the kernel some 10 ms after nftables changed.
 */
int connections_open(struct nl_sock **ret, struct error *err) _must_check_;
/* As netns_connections_end(). After an error the socket is to be closed. */
int connections_end(struct nl_sock *sock, const struct netns_connections *which, size_t n,
                    struct error *err) _must_check_;
/* As netns_connections_end_if(). */
int connections_end_if(struct nl_sock *sock, netns_connection_gone gone, void *userdata,
                       struct error *err) _must_check_;

#endif
