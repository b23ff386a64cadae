/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which API server a command speaks to, and the ways to speak to it.
 *
 * What it is. The choice (flags, $KUBECONFIG, the host's own cluster, the server's unix socket, ~/.kube/config, in this
 * order), a client for objects, and plain requests for what is no object: tables, logs, health, versions.
 *
 * Invariants. Keys and certificates from a kubeconfig's data never reach a file system: libcurl reads them from
 * memfds. Ownership: the struct owns all; connection_close(). Threads: none.
 */
#ifndef PODIUM_CLI_CONNECTION_H
#define PODIUM_CLI_CONNECTION_H

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "orchestrator/cli/kubeconfig.h"
#include "orchestrator/client/client.h"
#include "podium/base/error.h"
#include "podium/base/strbuf.h"

#define DEFAULT_KUBECONFIG "/var/lib/podium/clusters/default/kubeconfig"
#define SERVER_SOCKET      "/run/podium-server/api.sock"
#define HOST_SOCKET        "/run/podium-host/api.sock"

struct connection_options {
    const char *kubeconfig, *context, *server, *token; /* of the flags; NULL when not given */
};
struct connection {
    struct kubeconfig kube; /* server is NULL on a unix socket */
    char *unix_socket;
    char *source; /* where the choice came from: the file or the socket; for messages */
    int pem_fds[3];
    char *pem_paths[3]; /* CA, certificate, key; NULL when there is none */
    void *curl;
};
/* Decides and reads; contacts nobody. -ENOENT when there is no server to be found: the text says what to do. */
int connection_open(const struct connection_options *options, struct connection *ret, struct error *err) _must_check_;
void connection_close(struct connection *c);
int connection_client(const struct connection *c, sd_event *loop, struct client **ret, struct error *err) _must_check_;
/* "https://…" or the socket's path. */
const char *connection_server(const struct connection *c);

/* One plain request, blocking. */
struct plain_request {
    const char *target;                                    /* path and query */
    const char *accept;                                    /* NULL: application/json */
    int (*bytes)(void *userdata, const char *p, size_t n); /* a good answer as it comes, or NULL: collected; negative
                                                              stops */
    void *userdata;
    bool endless; /* no time limit */
    bool post;    /* POST with an empty body instead of GET */
};
/* 0 when an answer came: *ret_code is its status, and what `bytes` did not take is in answer. -ENOTCONN when none did;
 * what `bytes` returned when it stopped the transfer. */
int connection_get(struct connection *c, const struct plain_request *r, int *ret_code, struct strbuf *answer,
                   struct error *err) _must_check_;

#endif
