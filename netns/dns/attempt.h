/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One question to one resolver, over UDP or TCP, on a socket of its own: the kernel chooses the source port, and
 * connect(2) lets only the resolver's packets in.
 */
#ifndef PODIUM_NETNS_DNS_ATTEMPT_H
#define PODIUM_NETNS_DNS_ATTEMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

struct dns_attempt;
/* reply NULL: it failed. The attempt is over; it may be freed inside. */
typedef void (*dns_attempt_done)(void *userdata, uint8_t *reply, size_t n);

/* query is borrowed until the attempt is freed. There is no time limit here. -errno when it cannot even be sent. */
int dns_attempt_start(sd_event *loop, const struct sockaddr_storage *to, bool tcp, const uint8_t *query, size_t n,
                      dns_attempt_done done, void *userdata, struct dns_attempt **ret);
void dns_attempt_free(struct dns_attempt *attempt); /* NULL is fine */

#endif
