/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client over HTTP(S) or a unix socket, on libcurl's multi interface driven by the sd-event loop.
 *
 * Errors. An answer that is no JSON gives its first line as message. Without an answer the code is 0 and the message
 * says what failed (cannot connect, certificate refused, timed out). A watch that never got an answer ends with an
 * ERROR event whose Status has code 0; one that breaks after it had begun ends with CLOSED, so that the watcher goes on
 * where it was.
 */
#ifndef PODIUM_CLIENT_HTTP_CLIENT_H
#define PODIUM_CLIENT_HTTP_CLIENT_H

#include "orchestrator/client/client.h"

struct http_client_options {
    const char *server;      /* "https://10.0.0.1:6443"; with unix_socket any host name, NULL: "http://localhost" */
    const char *unix_socket; /* path, or NULL */
    const char *ca_file, *cert_file, *key_file; /* PEM files, NULL when unused */
    const char *token;                          /* bearer token or NULL */
    const char *user_agent;                     /* NULL: "podium" */
    bool insecure;                              /* do not check the server's certificate */
    unsigned timeout_seconds;                   /* of one request, watches excepted; 0: 60 */
};
/* -EINVAL for a server that is no http or https URL; files are read at the first connection. */
int http_client_new(sd_event *loop, const struct http_client_options *options, struct client **ret,
                    struct error *err) _must_check_;
/* Blocking form for command-line verbs: runs the loop until the answer is there. 0 when the answer is 2xx; otherwise
 * client_errno() with the server's message as text. *ret_code (0: no answer) and *ret (the object, or the Status of a
 * refusal; NULL without answer) are set in both cases; each may be NULL. The caller unrefs *ret. */
int client_call_wait(sd_event *loop, struct client *c, const struct client_request *r, int *ret_code, struct json **ret,
                     struct error *err) _must_check_;
/* The path and query of a request ("/api/v1/namespaces/x/pods?limit=500"), as this client sends it. The caller frees.
 */
char *http_request_target(const struct client_request *r, bool watch);

#endif
