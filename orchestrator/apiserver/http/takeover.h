/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection taken from libmicrohttpd after its request: what an upgrade (exec, attach, port-forward) speaks on.
 *
 * Why not MHD's own upgrade: with TLS it forwards through a socketpair with what is left of the connection's memory
 * pool, and version 0.9.75 gives the whole pool to the answer's head (connection_maximize_write_buffer()), whatever its
 * size. What is left then are eight bytes, four each way, a TLS record for every four bytes: 1 MB/s and a busy worker.
 *
 * Instead the request is suspended, for ever as MHD sees it: a suspended connection is out of its epoll set and
 * untouched until it is resumed, so socket and TLS session are ours, used on one thread without locks. The end resumes
 * it, the handler says that it wants to be hung up on, and MHD frees everything as always.
 *
 * Bytes that a client sends behind the request before it has our answer may be in MHD's buffer and are lost: WebSocket
 * (RFC 6455 section 4.1) and SPDY clients must wait for the answer anyway.
 *
 * Threads. takeover_new() on the connection's worker, in its handler; the others on any one thread.
 */
#ifndef PODIUM_APISERVER_TAKEOVER_H
#define PODIUM_APISERVER_TAKEOVER_H

#include <microhttpd.h>
#include <stddef.h>
#include <sys/types.h>

/* Reading with less than this at a time could leave decrypted bytes that poll(2) does not see: a TLS record. */
#define TAKEOVER_READ_MIN 16384

struct takeover;

/* Suspends the connection. The handler must return MHD_YES now, and MHD_NO when it is called again. */
struct takeover *takeover_new(struct MHD_Connection *c);
int takeover_fd(const struct takeover *t);
/* Bytes, 0 at the end, -EAGAIN, or another -errno; n >= TAKEOVER_READ_MIN. */
ssize_t takeover_read(struct takeover *t, void *p, size_t n);
/* Bytes taken, -EAGAIN or another -errno. After -EAGAIN the next call must offer the same bytes again (more may
 * follow them). */
ssize_t takeover_write(struct takeover *t, const void *p, size_t n);
/* Our side ends; the client's may still be read. */
void takeover_end(struct takeover *t);
/* Hands the connection back to be closed, and frees t. */
void takeover_close(struct takeover *t);

#endif
