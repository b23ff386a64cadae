/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What server.c (sockets, UDP), respond.c (queries) and connection.c (TCP) share. */
#ifndef PODIUM_NETNS_DNS_SERVER_H
#define PODIUM_NETNS_DNS_SERVER_H

#include <netinet/in.h>
#include <systemd/sd-event.h>

#include "netns/dns/forward.h"
#include "podium/base/list.h"
#include "podium/netns_dns.h"

#define CONNECTIONS_MAX 64
#define UDP_BATCH       16
#define UDP_QUERY_MAX   2048 /* longer ones are malformed to us */

struct udp_batch;

struct dns_server {
    sd_event *loop;
    struct dns_zone zone;
    struct dns_forwarder *forwarder;
    uint64_t idle_usec;
    int udp, tcp;
    sd_event_source *udp_source, *tcp_source;
    struct udp_batch *batch;
    struct list pending; /* struct pending (respond.c) */
    struct list connections;
    size_t n_connections;
    struct dns_answer answer; /* of the query being answered */
    uint64_t random;
    struct dns_statistics statistics;
};

struct dns_connection;

struct dns_client {
    struct dns_connection *connection; /* NULL: over UDP */
    struct sockaddr_in peer;
};

/* --- respond.c --- */
/* Answers a query. The answer's bytes are in out (room: DNS_MESSAGE_MAX for TCP, DNS_UDP_MAX for UDP) and their number
 * returned; 0: no answer, or one that comes later through server_send() or connection_send(). */
size_t server_respond(struct dns_server *server, const struct dns_client *client, const uint8_t *p, size_t n,
                      uint8_t *out);
/* Those that wait for an answer to this connection's queries (NULL: all) are forgotten. */
void server_forget(struct dns_server *server, const struct dns_connection *connection);

/* --- server.c --- */
void server_send(struct dns_server *server, const struct sockaddr_in *to, const uint8_t *p, size_t n);

/* --- connection.c --- */
void connection_new(struct dns_server *server, int take_fd);
void connection_free(struct dns_connection *connection);
void connections_free(struct dns_server *server);
/* One more answer is to come later / the one that was to come; it may free the connection. n 0: none came. */
void connection_expect(struct dns_connection *connection);
void connection_send(struct dns_connection *connection, const uint8_t *p, size_t n);

#endif
