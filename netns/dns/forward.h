/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions asked outside: which resolver, how often, for how long, for whom. A question that is already on its way is
 * not asked again, its clients wait together.
 */
#ifndef PODIUM_NETNS_DNS_FORWARD_H
#define PODIUM_NETNS_DNS_FORWARD_H

#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "netns/dns/message.h"
#include "podium/base/list.h"

#define DNS_FLIGHTS_MAX 512 /* questions on their way, each with a socket */
#define DNS_WAITERS_MAX 64  /* clients of one question */

struct dns_forwarder_options {
    const char *resolv_conf;
    unsigned try_msec;
    struct sockaddr_storage self; /* our own address: no resolver of ours */
    struct dns_statistics *statistics;
};

struct dns_forwarder;
struct dns_forwarder *dns_forwarder_new(sd_event *loop, const struct dns_forwarder_options *options);
void dns_forwarder_free(struct dns_forwarder *forwarder); /* waiters are told nothing; NULL is fine */

/* One that waits for a reply; the caller's memory. */
struct dns_waiter {
    struct list in;
    bool tcp; /* wants the whole reply, however long */
    /* Once: the reply (a copy for this waiter, with room for DNS_QUERY_MAX bytes at least), or NULL when no resolver
     * answered. Never called from inside dns_forward(). */
    void (*done)(struct dns_waiter *waiter, uint8_t *reply, size_t n);
};

/* What is known of the question; into out (DNS_MESSAGE_MAX not needed: at most DNS_CACHE_REPLY_BYTES). 0: nothing. */
size_t dns_forward_cached(struct dns_forwarder *forwarder, const struct dns_query *query, uint8_t *out);
/* Asks. -EBUSY: too much is on its way; -ENETUNREACH: there is no resolver, or none can be reached. */
int dns_forward(struct dns_forwarder *forwarder, const struct dns_query *query, struct dns_waiter *waiter);
void dns_waiter_cancel(struct dns_waiter *waiter); /* any time; done or not */

#endif
