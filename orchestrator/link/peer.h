/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to the server's end: one connected agent, and what the files of this end share. */
#ifndef PODIUM_LINK_PEER_H
#define PODIUM_LINK_PEER_H

#include <gnutls/gnutls.h>

#include "orchestrator/client/events.h"
#include "orchestrator/link/reactor.h"
#include "orchestrator/link/server.h"
#include "orchestrator/link/tls_pipe.h"
#include "podium/base/hashmap.h"
#include "podium/base/list.h"

struct network_routes; /* push_network.h */
struct node_writes;    /* node_writes.h */

struct link_server {
    sd_event *loop;
    struct reactor *reactor; /* of all peers */
    struct client *client;
    struct informer *nodes, *pods, *config_maps, *secrets, *services, *slices;
    struct event_recorder *events;
    struct node_writes *writes;
    struct network_routes *routes;
    char *ca_dir, *cert_file, *key_file, *token, *cluster_cidr, *service_cidr, *unix_socket;
    struct json *dns; /* member of SetNetwork; NULL: the cluster has none */
    uint64_t heartbeat_usec;
    unsigned lease_seconds;
    gnutls_certificate_credentials_t credentials;
    gnutls_certificate_credentials_t old_credentials; /* of connections from before the last reload */
    int tcp_fd, unix_fd;
    uint64_t certificate_sec;
    bool unix_inherited; /* the socket's file is systemd's */
    sd_event_source *tcp_source, *unix_source;
    sd_event_source *accept_again; /* after running out of descriptors */
    struct list peers;
    size_t n_pending;       /* peers from the network that have not registered */
    size_t descriptors;     /* that peers hold, and … */
    size_t descriptors_max; /* … may hold */
    bool short_of_descriptors;
    struct hashmap *by_node; /* node name → registered peer, borrowed */
};

struct link_peer {
    struct list link;
    struct link_server *server;
    struct tls_pipe *pipe; /* NULL on the unix socket */
    sd_bus *bus;
    struct bus_pump *pump;
    sd_bus_slot *slot, *disconnect_slot;
    struct stream_table *streams;
    sd_event_source *timer;  /* to register in time, then to be heard of in time */
    sd_event_source *reaper; /* deferred end: never inside a message of its own bus */
    char *certified;         /* node name of its certificate; "" none shown; NULL: any (unix socket) */
    char *node;              /* after Register */
    char *network;           /* pod range of the last SetNetwork; NULL: none, or the node could not use it */
    uint64_t routes_seq;     /* push_network.c: what it was told up to */
    struct hashmap *needs;   /* "ConfigMap/ns/name" of objects its pods refer to */
    struct list tokens;      /* token_requests.c: asked of the API */
    size_t unanswered;       /* calls without an answer yet */
    size_t queue_bytes;      /* of documents sent since its queue was empty */
    uint64_t paid_until;     /* monotonic: its calls so far, one per 1 / LINK_CALLS_PER_SEC (GCRA) */
    char *end_reason;
    bool barred;    /* showed a wrong token: is told so, then hung up on */
    bool synced;    /* got its first full set */
    bool pending;   /* counts as one that has not registered */
    uint64_t since; /* monotonic */
    unsigned descriptors;
};

/* server.c: one that was pending is not (any more). */
void link_server_less_pending(struct link_server *s);

/* peer.c */
int link_peer_accept(struct link_server *s, int fd_take, bool unix_socket, struct error *err) _must_check_;
/* Ends the connection soon (from the loop). */
void link_peer_end(struct link_peer *p, const char *reason);
void link_peer_free(struct link_peer *p);
/* A call to the node without waiting for its answer; types as sd_bus_message_append(). Ends a peer that is too slow. */
void link_peer_call(struct link_peer *p, const char *member, const char *types, ...);
/* The call that opens a stream on the node; an error in its answer ends the stream here. */
void link_peer_open_stream(struct link_peer *p, const char *member, uint64_t stream, const char *options);

/* push.c: desired state to the nodes */
void push_register_informers(struct link_server *s, struct informer_set *informers);
void push_remove_informers(struct link_server *s);
/* Gives the peer everything, if the informers have seen everything; else that happens when they have. */
void push_full(struct link_peer *p);

#endif
