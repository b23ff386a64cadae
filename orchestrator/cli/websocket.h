/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A WebSocket to the API server (RFC 6455), for exec, attach and port-forward: wslay's frames on a wire.
 *
 * Blocking until it is open, then driven by a poll(2) loop of the caller. Ownership: websocket_free(). Threads: none.
 */
#ifndef PODIUM_CLI_WEBSOCKET_H
#define PODIUM_CLI_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "orchestrator/cli/connection.h"
#include "podium/base/json.h"

struct websocket;

struct websocket_options {
    const char *target;   /* path and query */
    const char *protocol; /* the subprotocol to agree on */
    /* One message; control frames are dealt with. n is never 0. */
    void (*message)(void *userdata, const uint8_t *p, size_t n);
    void *userdata;
};

/* Why the server did not want it. */
struct websocket_refusal {
    int code;            /* HTTP status, 0: no answer */
    struct json *status; /* may be NULL; the caller unrefs */
};

int websocket_open(const struct connection *c, const struct websocket_options *options, struct websocket **ret,
                   struct websocket_refusal *refusal, struct error *err) _must_check_;
void websocket_free(struct websocket *w);
DEFINE_CLEANUP(struct websocket *, websocket_free)

int websocket_fd(const struct websocket *w);
short websocket_events(const struct websocket *w); /* for poll(2) */
/* Bytes have come that poll(2) does not see: do not wait. */
bool websocket_waiting(const struct websocket *w);
/* A message of one channel: its number, then n bytes. Copied. */
void websocket_send(struct websocket *w, uint8_t channel, const void *p, size_t n);
size_t websocket_queued(const struct websocket *w);
/* Moves what can be moved both ways; readable: poll(2) said so, or websocket_waiting(). False: the connection has
 * ended. */
bool websocket_turn(struct websocket *w, bool readable);

#endif
