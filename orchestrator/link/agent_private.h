/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to the agent's end of the link. */
#ifndef PODIUM_LINK_AGENT_PRIVATE_H
#define PODIUM_LINK_AGENT_PRIVATE_H

#include <gnutls/gnutls.h>

#include "orchestrator/link/agent_link.h"
#include "orchestrator/link/tls_pipe.h"

struct agent_link {
    sd_event *loop;
    const struct agent_link_handler *handler;
    void *userdata;
    char *server, *node_name, *cert_dir, *ca_file, *ca_hash, *token, *version;
    char *csr_key; /* key of a signing request under way */
    sd_bus *system_bus;
    sd_bus_slot *system_slot;
    gnutls_certificate_credentials_t credentials;
    bool has_certificate; /* credentials hold the node's own */
    struct tls_pipe *pipe;
    struct reactor *reactor;
    bool own_reactor;
    sd_bus *bus; /* the connection, NULL while there is none */
    struct bus_pump *pump;
    sd_bus_slot *slot, *disconnect_slot;
    struct stream_table *streams;
    bool registered;
    unsigned failures; /* dials in a row that led to nothing */
    char *last_error;  /* told once, not at every try */
    uint64_t heartbeat_usec;
    unsigned heartbeats_open; /* sent and not answered */
    sd_event_source *timer;   /* next dial, or next heartbeat */
    sd_event_source *reset;   /* deferred end of the connection: never inside one of its own messages */
    sd_event_source *renewal;
    sd_event_source *clock; /* somebody set it */
};

/* agent_link.c: drops the connection soon and dials again. */
void agent_link_reset(struct agent_link *l, const char *reason);
/* node_interface.c: exports org.podium.Node1. */
int node_interface_export(struct agent_link *l, sd_bus *bus, sd_bus_slot **ret_slot, struct error *err) _must_check_;
/* agent_join.c */
bool agent_join_is_unix(const struct agent_link *l);
/* Loads authority and, when there, the node's certificate into new credentials. */
int agent_join_load(struct agent_link *l, struct error *err) _must_check_;
/* Checks the server's certificate: by the authority's file, or by its hash at the first join. */
int agent_join_verify_server(struct agent_link *l, gnutls_session_t session, struct error *err) _must_check_;
/* Calls Join; afterwards the connection is reset and dialled again with the certificate. */
int agent_join_start(struct agent_link *l, struct error *err) _must_check_;
/* Arms the timer that renews the certificate. */
void agent_join_plan_renewal(struct agent_link *l);
/* The clock may have been set: the renewal is planned anew. */
int agent_join_on_clock(sd_event_source *s, int fd, uint32_t revents, void *userdata);

#endif
