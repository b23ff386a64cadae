/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The doors: HTTPS and the unix socket, both by libmicrohttpd. */
#ifndef PODIUM_APISERVER_HTTP_SERVER_H
#define PODIUM_APISERVER_HTTP_SERVER_H

#include "orchestrator/apiserver/server.h"

int http_server_start(struct apiserver *api, struct http_server **ret, struct error *err) _must_check_;
int http_server_port(const struct http_server *h);
struct http_counts {
    uint64_t dropped_reading, dropped_mutating; /* 429 */
    uint64_t waited, waiting;                   /* for their turn (turns.h) */
};
void http_server_counts(const struct http_server *h, struct http_counts *ret);
int http_server_reload(struct http_server *h, struct error *err) _must_check_;
void http_server_stop(struct http_server *h); /* NULL is fine */

#endif
