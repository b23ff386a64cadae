/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server's insides, for this module only. Everything here is set up by apiserver_new() and then read-only, or has a
 * lock of its own. */
#ifndef PODIUM_APISERVER_SERVER_H
#define PODIUM_APISERVER_SERVER_H

#include <pthread.h>

#include "orchestrator/apiserver/apiserver.h"
#include "podium/base/list.h"

struct account_tokens;
struct rbac;
struct node_graph;
struct quota_ledger;
struct service_pool;
struct openapi_cache;
struct metrics;
struct http_server;
struct loop_queue;
struct node_ops;
struct audit;
struct ps_settings;

struct apiserver {
    struct store *store;
    char *version; /* gitVersion */
    struct api_token_authenticator *authenticators;
    size_t n_authenticators;
    const struct node_ops *node_ops;
    void *node_carrier;
    struct loop_queue *node_queue; /* to the loop of node_ops; NULL without */
    sd_event *node_loop;
    pthread_mutex_t logs_lock;
    struct list logs;     /* open logs (subresources/log_stream.c) */
    struct list conduits; /* upgraded connections (streams/conduit.c); the loop's thread only */
    unsigned bookmark_seconds, toleration_seconds;
    unsigned admission; /* optional plugins that are on (admission/admission.h) */
    struct rbac *rbac;
    struct node_graph *nodes;
    struct account_tokens *accounts; /* NULL: no tokens of service accounts */
    struct service_pool *services;
    struct ps_settings *pod_security; /* never NULL */
    struct quota_ledger *quotas;
    struct openapi_cache *openapi;
    struct metrics *metrics;
    struct audit *audit; /* NULL: no audit log */
    struct http_server *http;
    struct apiserver_limits limits;
    struct {
        char *address, *cert_file, *key_file, *client_ca_file, *unix_socket;
        int port, tcp_fd, unix_fd;
        unsigned worker_threads;
    } listen;
};

#endif
