/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TLS connection seen as a plain socket: one end of a socketpair is handed out (sd-bus wants a descriptor), the other
 * is pumped through GnuTLS to the network by the event loop.
 *
 * Ownership. The pipe owns the network socket; the plain end returned is the caller's. Credentials are borrowed and
 * must outlive the pipe. Errors are told once, through the callback; the plain end then reads end-of-file. Threads. The
 * loop's.
 */
#ifndef PODIUM_LINK_TLS_PIPE_H
#define PODIUM_LINK_TLS_PIPE_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "podium/base/error.h"

struct tls_pipe;

struct tls_pipe_callbacks {
    /* The handshake is done; the peer's certificate is in the session but not verified. Return < 0 (with err set) to
     * hang up. */
    int (*ready)(void *userdata, gnutls_session_t session, struct error *err);
    /* The connection ended: error text, or NULL for an orderly end. The pipe may be freed from here. */
    void (*closed)(void *userdata, const char *error);
};

/* fd: a connected (or connecting) non-blocking TCP socket, taken in every case. host: expected name for SNI (client).
 */
int tls_pipe_new(sd_event *loop, int fd, bool server, gnutls_certificate_credentials_t credentials, const char *host,
                 const struct tls_pipe_callbacks *callbacks, void *userdata, struct tls_pipe **ret, int *ret_plain_fd,
                 struct error *err) _must_check_;
/* The other side may send so many bytes more before it is hung up on; 0: as many as it likes. sd-bus makes room for
 * messages of 128 MiB: not for strangers. */
void tls_pipe_limit(struct tls_pipe *p, size_t bytes);
/* Takes nothing from the network for a while: the other side must slow down. */
void tls_pipe_hold(struct tls_pipe *p, uint64_t usec);
void tls_pipe_free(struct tls_pipe *p); /* hangs up; NULL is fine */

#endif
