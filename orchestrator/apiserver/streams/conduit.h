/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection that has been upgraded, on the loop of node_ops: bytes as they are (SPDY) or messages of a WebSocket.
 *
 * What it is. Buffered output, input on demand, an orderly end: all output is sent, then our side ends and the client's
 * is read to its end, since closing a socket with unread bytes resets it and the client would lose what it was told
 * last, its exit status.
 *
 * Flow control. Output is always taken: who sends bounds it by conduit_queued() and `sent`. conduit_pause() stops the
 * reading of input; what had been read already still comes (CONDUIT_READ_BYTES at most, plus one message).
 *
 * Ownership. The conduit lives until `closed` has returned, which is called exactly once, from the loop, never from
 * inside another function of this file. Threads: conduit_new() anywhere, the rest on the loop's.
 */
#ifndef PODIUM_APISERVER_CONDUIT_H
#define PODIUM_APISERVER_CONDUIT_H

#include <stdbool.h>
#include <stddef.h>

struct apiserver;
struct conduit;
struct takeover;

#define CONDUIT_READ_BYTES          (64u * 1024u)
#define CONDUIT_MESSAGE_MAX         (1024u * 1024u)
#define CONDUIT_LOW_WATER           (64u * 1024u)       /* less output waiting: time to give credit */
#define CONDUIT_CLIENT_TIMEOUT_USEC (5ull * 1000000ull) /* to hang up after our end */
#define CONDUIT_PONG_TIMEOUT_USEC   (1000ull * 1000ull) /* conduit_await_client(): a client that answers no ping */
#define CONDUIT_GRACE_USEC          (10ull * 1000ull)   /* the same: after the first answer */

enum conduit_framing {
    CONDUIT_BYTES,
    CONDUIT_BINARY_MESSAGES, /* WebSocket */
    CONDUIT_TEXT_MESSAGES,   /* the same, what we send is marked as text */
};

struct conduit_ops {
    void (*opened)(void *userdata, struct conduit *c);
    void (*input)(void *userdata, const void *p, size_t n); /* bytes, or one whole message */
    void (*sent)(void *userdata);                           /* some output has left */
    void (*closed)(void *userdata);                         /* the client has gone, or all is done */
};

/* head: sent first, the answer to the upgrade. ops is borrowed. */
void conduit_new(struct apiserver *api, struct takeover *take, enum conduit_framing framing, char *head_take,
                 const struct conduit_ops *ops, void *userdata);
void conduit_send(struct conduit *c, const void *p, size_t n); /* bytes, or one message */
size_t conduit_queued(const struct conduit *c);                /* output not yet with the kernel */
void conduit_pause(struct conduit *c, bool paused);
/*
 * WebSocket, from `opened`: what we send waits until the client surely listens.
 *
 * Why. client-go (remotecommand/websocket.go, to 1.33 at least) reads messages in one goroutine while another one makes
 * the streams that they are for, and drops messages for streams that are not there yet ("Unknown stream id"): output,
 * or the exit code, of a command that ended at once. Upstream's servers are too slow to show it.
 *
 * How. A message of the client's proves that its streams exist, but without stdin or a terminal there is none. It
 * answers pings, from the goroutine that reads: proof for clients that make their streams first (client-go since then,
 * every client with handlers), and nearly one for the others: the streams need microseconds more, unless the thread
 * that makes them just lost its CPU (seen once in 200 times on a busy machine). No event tells of its getting it back.
 * So a second ping, which lets the reader sleep and others run, and CONDUIT_GRACE_USEC, which the command mostly takes
 * anyway. A client that knows that it listens says so by a pong that nobody asked for (RFC 6455 section 5.5.3) and does
 * not wait: our own CLI.
 */
void conduit_await_client(struct conduit *c);
/* No more output, input is dropped from now on; `closed` comes when the client has all. */
void conduit_finish(struct conduit *c);
/* Hangs up soon. */
void conduit_abort(struct conduit *c);

/* Ends all at once (shutting down); on the loop's thread. */
void conduits_abort(struct apiserver *api);

#endif
