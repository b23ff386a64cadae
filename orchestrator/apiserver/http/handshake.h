/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The wait for a client in the middle of a TLS handshake, and the patience with slow ones afterwards.
 *
 * Why. libmicrohttpd 0.9.75 with epoll goes on believing that the socket is readable after a handshake that wants more
 * has read all there was, and asks GnuTLS again at once, as fast as the CPU can: a client that sends half of a
 * handshake and then nothing (no password needed) took a whole worker thread for five minutes, and every client on a
 * long line for the time of a round trip.
 *
 * How. The session reads by a function of ours. When there is nothing to read the connection is suspended, which takes
 * it out of MHD's sight, and the keeper resumes it when something has come, or after HANDSHAKE_SECONDS, when the read
 * fails and MHD hangs up. When the handshake is done nothing of this is left but the reading.
 *
 * Later, who sends the head of a request, or its body, byte by byte, is hung up on when it takes too long: from the
 * first byte on the head has header_usec. (Who sends nothing at all is MHD's connection time-out.)
 *
 * Threads. The connection's worker; the wake on the keeper's. Ownership: lives in its peer.
 */
#ifndef PODIUM_APISERVER_HANDSHAKE_H
#define PODIUM_APISERVER_HANDSHAKE_H

#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "orchestrator/apiserver/http/gate.h"
#include "orchestrator/apiserver/http/keeper.h"

#define HANDSHAKE_SECONDS 10

struct handshake {
    struct keeper *keeper;
    const atomic_bool *hurried; /* true: no more waiting */
    int fd;                     /* MHD's */
    struct gate gate;
    struct keeper_entry keeping;
    bool kept; /* the keeper knows it */
    bool done;
    uint64_t deadline; /* monotonic, microseconds: of the handshake, then of what is being read; 0: none */
    bool answering;    /* what comes now is not waited for: the client asks ahead */
    uint64_t header_usec;
};

/* Before the first byte is read. */
void handshake_begin(struct handshake *h, struct MHD_Connection *c, gnutls_session_t session, int fd,
                     struct keeper *keeper, const atomic_bool *hurried, uint64_t header_usec);
/* A request's head has come whole: its body may take so long (microseconds). */
void handshake_head_read(struct handshake *h, uint64_t body_usec);
/* The request has come whole; it has been answered. */
void handshake_request_read(struct handshake *h);
void handshake_answered(struct handshake *h);
/* The connection ends, in whatever state; also without handshake_begin() on zeroed memory. */
void handshake_finish(struct handshake *h);

#endif
