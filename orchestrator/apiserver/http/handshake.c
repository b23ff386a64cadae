/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/handshake.h"

#include <errno.h>
#include <sys/socket.h>

#include "podium/base/cleanup.h"
#include "podium/base/clock.h"

static void keeper_came(struct keeper_entry *e, bool gone) {
    struct handshake *h = container_of(e, struct handshake, keeping);

    gate_wake(&h->gate);
}

static void forget(struct handshake *h) {
    if (h->kept)
        keeper_remove(h->keeper, &h->keeping);
    h->kept = false;
}

/* False: something may have come since, try again. */
static bool wait_for_more(struct handshake *h) {
    gate_arm(&h->gate);
    if (!h->kept) {
        h->kept = true;
        h->keeping.due = h->deadline;
        keeper_add(h->keeper, &h->keeping, h->fd);
    } else {
        keeper_listen(h->keeper, &h->keeping);
    }
    return gate_close(&h->gate);
}

/* Bytes have come. */
static bool too_slow(struct handshake *h) {
    if (h->answering)
        return false;
    uint64_t now = now_monotonic_usec();
    if (!h->deadline)
        h->deadline = now + h->header_usec;
    return now > h->deadline;
}

static ssize_t pull(gnutls_transport_ptr_t p, void *buf, size_t n) {
    struct handshake *h = p;

    for (;;) {
        ssize_t got = recv(h->fd, buf, n, MSG_DONTWAIT);
        if (got > 0 && h->done && too_slow(h)) {
            errno = ECONNRESET;
            return -1;
        }
        if (got >= 0 || h->done || errno != EAGAIN)
            return got;
        if (atomic_load(h->hurried) || now_monotonic_usec() >= h->deadline) {
            errno = ECONNRESET;
            return -1;
        }
        if (wait_for_more(h)) {
            errno = EAGAIN;
            return -1;
        }
    }
}

/* The client's last word, in every version; a server that has it waits for nothing more. */
static int on_finished(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
                       const gnutls_datum_t *message) {
    gnutls_transport_ptr_t receive, send;

    gnutls_transport_get_ptr2(session, &receive, &send);
    struct handshake *h = receive;
    if (incoming) {
        h->done = true;
        h->deadline = 0;
        forget(h);
    }
    return 0;
}

void handshake_begin(struct handshake *h, struct MHD_Connection *c, gnutls_session_t session, int fd,
                     struct keeper *keeper, const atomic_bool *hurried, uint64_t header_usec) {
    *h = (struct handshake){.keeper = keeper,
                            .hurried = hurried,
                            .fd = fd,
                            .header_usec = header_usec,
                            .deadline = now_monotonic_usec() + HANDSHAKE_SECONDS * USEC_PER_SEC};
    h->gate.connection = c;
    h->keeping.wake = keeper_came;
    h->keeping.input = true;
    gnutls_transport_ptr_t receive, send;
    gnutls_transport_get_ptr2(session, &receive, &send);
    gnutls_transport_set_ptr2(session, h, send); /* MHD's own for what is sent */
    gnutls_transport_set_pull_function(session, pull);
    gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_FINISHED, GNUTLS_HOOK_POST, on_finished);
}

void handshake_head_read(struct handshake *h, uint64_t body_usec) {
    h->deadline = now_monotonic_usec() + body_usec;
}

void handshake_request_read(struct handshake *h) {
    h->answering = true;
}

void handshake_answered(struct handshake *h) {
    h->answering = false;
    h->deadline = 0;
}

void handshake_finish(struct handshake *h) {
    forget(h);
}
