/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control plane's end of the link: listens for agents, keeps their Node objects and Leases, pushes the pods bound
 * to each node (with the ConfigMaps and Secrets they need), and writes back the statuses they tell.
 *
 * What it is. A component like any controller: it sees objects through informers and writes through the client. It
 * holds no desired state of its own; a node that reconnects gets everything again.
 *
 * Trust. Over TCP a peer must show a client certificate of the cluster's authority, CN system:node:NAME in group
 * system:nodes, and speaks for that node only; without one it may only Join: with the server's token, or with a
 * bootstrap token of the group BOOTSTRAP_JOIN_GROUP (object/bootstrap_token.h). On the unix socket peers of uid 0 may
 * speak for any node.
 *
 * Threads. The loop's. Ownership: options are copied; loop, client and informers are borrowed.
 */
#ifndef PODIUM_LINK_SERVER_H
#define PODIUM_LINK_SERVER_H

#include <systemd/sd-event.h>

#include "orchestrator/client/client.h"
#include "orchestrator/client/informer.h"
#include "orchestrator/link/stream.h"

struct link_server;

struct link_server_options {
    const char *address; /* TCP; NULL: no TCP */
    int port;
    const char *unix_socket; /* NULL: none */
    int tcp_fd, unix_fd;     /* listening already (socket activation), taken over; 0: opened here */
    const char *ca_dir;      /* authority: verifies agents, signs at Join */
    const char *cert_file, *key_file;
    const char *token;        /* one more join token; NULL: bootstrap tokens only */
    const char *cluster_cidr; /* each node gets a /24 of it */
    const char *service_cidr; /* told to the nodes: not masqueraded */
    const char *dns_address;  /* of the cluster's DNS, answered on each node; NULL: none */
    const char *dns_domain;   /* NULL: "cluster.local" */
    uint64_t heartbeat_usec;  /* 0: 10 s */
    unsigned lease_seconds;   /* leaseDurationSeconds of node Leases; 0: 40 */
    uint64_t certificate_sec; /* lifetime of nodes' certificates; 0: a day */
};

int link_server_new(sd_event *loop, struct client *client, struct informer_set *informers,
                    const struct link_server_options *options, struct link_server **ret,
                    struct error *err) _must_check_;
void link_server_free(struct link_server *s);
DEFINE_CLEANUP(struct link_server *, link_server_free)
/* Reads the certificate files again: new connections use them. */
int link_server_reload_certificates(struct link_server *s, struct error *err) _must_check_;
size_t link_server_connected(const struct link_server *s);

/* Opens a log, exec, forward or query stream on a node; options: JSON of agent_link.h. -ENOTCONN when the node is not
 * connected. */
int link_server_open_log(struct link_server *s, const char *node, const struct json *options,
                         const struct link_stream_ops *ops, void *userdata, struct link_stream **ret,
                         struct error *err) _must_check_;
int link_server_open_exec(struct link_server *s, const char *node, const struct json *options,
                          const struct link_stream_ops *ops, void *userdata, struct link_stream **ret,
                          struct error *err) _must_check_;
int link_server_open_forward(struct link_server *s, const char *node, const struct json *options,
                             const struct link_stream_ops *ops, void *userdata, struct link_stream **ret,
                             struct error *err) _must_check_;
int link_server_open_query(struct link_server *s, const char *node, const struct json *options,
                           const struct link_stream_ops *ops, void *userdata, struct link_stream **ret,
                           struct error *err) _must_check_;

#endif
