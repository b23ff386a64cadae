/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/takeover.h"

#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"

struct takeover {
    struct MHD_Connection *connection;
    gnutls_session_t session; /* MHD's; NULL without TLS */
    int fd;                   /* MHD's */
    bool record_waits;        /* GnuTLS holds a record that the socket did not take */
};

struct takeover *takeover_new(struct MHD_Connection *c) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct takeover *t = xnew0(struct takeover);

    t->connection = c;
    t->fd = info ? info->connect_fd : -EBADF;
    info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    t->session = info ? (gnutls_session_t) info->tls_session : NULL;
    MHD_suspend_connection(c);
    (void) fd_set_nonblock(t->fd, true);
    if (t->session) /* keystrokes are not held back for more of them; a unix socket has no such option */
        (void) setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return t;
}

int takeover_fd(const struct takeover *t) {
    return t->fd;
}

static ssize_t tls_result(ssize_t n) {
    if (n >= 0)
        return n;
    if (!gnutls_error_is_fatal((int) n)) /* also what a client may ask for in the middle, like a new key */
        return -EAGAIN;
    return n == GNUTLS_E_PREMATURE_TERMINATION ? 0 : -EPROTO;
}

ssize_t takeover_read(struct takeover *t, void *p, size_t n) {
    if (t->session)
        return tls_result(gnutls_record_recv(t->session, p, n));
    ssize_t got = recv(t->fd, p, n, MSG_DONTWAIT);
    return got >= 0 ? got : errno == EINTR ? -EAGAIN : -errno;
}

ssize_t takeover_write(struct takeover *t, const void *p, size_t n) {
    if (!t->session) {
        ssize_t sent = send(t->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        return sent >= 0 ? sent : errno == EINTR ? -EAGAIN : -errno;
    }
    /* a record under way is finished without data: its bytes may have moved since */
    ssize_t sent = t->record_waits ? gnutls_record_send(t->session, NULL, 0) : gnutls_record_send(t->session, p, n);
    sent = tls_result(sent);
    t->record_waits = sent == -EAGAIN;
    return sent;
}

void takeover_end(struct takeover *t) {
    if (t->session)
        (void) gnutls_bye(t->session, GNUTLS_SHUT_WR);
    (void) shutdown(t->fd, SHUT_WR);
}

void takeover_close(struct takeover *t) {
    /* Whatever MHD still reads or writes on it fails at once. */
    (void) shutdown(t->fd, SHUT_RDWR);
    MHD_resume_connection(t->connection);
    free(t);
}
