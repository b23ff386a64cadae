/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The client over HTTP(S) or a unix socket, on libcurl's multi interface driven by the sd-event loop. */
#ifndef PODIUM_CLIENT_HTTP_CLIENT_H
#define PODIUM_CLIENT_HTTP_CLIENT_H

#include "orchestrator/client/client.h"

struct http_client_options {
    const char *server;      /* "https://10.0.0.1:6443"; with unix_socket any host name */
    const char *unix_socket; /* path, or NULL */
    const char *ca_file, *cert_file, *key_file; /* PEM files, NULL when unused */
    const char *token;       /* bearer token or NULL */
    const char *user_agent;  /* NULL: "podium" */
};
int http_client_new(sd_event *loop, const struct http_client_options *options, struct client **ret, struct error *err)
    _must_check_;
/* Blocking form for command-line verbs: runs a private loop until the answer is there. The caller unrefs *ret. */
int client_call_wait(sd_event *loop, struct client *c, const struct client_request *r, int *ret_code,
                     struct json **ret, struct error *err) _must_check_;

#endif
