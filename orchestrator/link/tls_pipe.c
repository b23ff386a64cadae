/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/link/tls_pipe.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "podium/base/alloc.h"

#define BUFFER_BYTES 65536u

/* Bytes on their way in one direction: [from, to) of the buffer wait to be written. */
struct flow {
    size_t from, to;
    bool end; /* the source has ended */
    unsigned char bytes[BUFFER_BYTES];
};

struct tls_pipe {
    int net_fd, plain_fd;
    gnutls_session_t session;
    sd_event_source *net_source, *plain_source;
    const struct tls_pipe_callbacks *callbacks;
    void *userdata;
    bool server, handshaken, connecting;
    sd_event *loop;
    sd_event_source *hold; /* while it is armed nothing is taken from the network */
    bool held, limited;
    size_t allowance;    /* while limited: bytes the other side may still send */
    struct flow in, out; /* in: network to plain */
};

void tls_pipe_free(struct tls_pipe *p) {
    if (!p)
        return;
    sd_event_source_disable_unref(p->net_source);
    sd_event_source_disable_unref(p->plain_source);
    sd_event_source_disable_unref(p->hold);
    if (p->session) {
        if (p->handshaken)
            (void) gnutls_bye(p->session, GNUTLS_SHUT_WR); /* non-blocking: a courtesy, not a guarantee */
        gnutls_deinit(p->session);
    }
    closep(&p->net_fd);
    closep(&p->plain_fd);
    free(p);
}

static void hang_up(struct tls_pipe *p, const char *error) {
    /* the sources go quiet first: the owner may free the pipe in the callback, or later */
    (void) sd_event_source_set_enabled(p->net_source, SD_EVENT_OFF);
    (void) sd_event_source_set_enabled(p->plain_source, SD_EVENT_OFF);
    if (p->hold)
        (void) sd_event_source_set_enabled(p->hold, SD_EVENT_OFF);
    (void) shutdown(p->plain_fd, SHUT_RDWR);
    p->callbacks->closed(p->userdata, error);
}

/* Asks epoll for just what can be used now. */
static void update_interest(struct tls_pipe *p) {
    uint32_t net = 0, plain = 0;

    if (p->connecting)
        net = EPOLLOUT;
    else if (!p->handshaken)
        net = gnutls_record_get_direction(p->session) ? EPOLLOUT : EPOLLIN;
    else {
        if (p->in.from == p->in.to && !p->in.end && !p->held)
            net |= EPOLLIN;
        if (p->out.from < p->out.to)
            net |= EPOLLOUT;
        if (p->in.from < p->in.to)
            plain |= EPOLLOUT;
        if (p->out.from == p->out.to && !p->out.end)
            plain |= EPOLLIN;
    }
    (void) sd_event_source_set_io_events(p->net_source, net);
    (void) sd_event_source_set_io_events(p->plain_source, plain);
}

/* 1: something moved; 0: nothing to do now; < 0: a GnuTLS error code. */
static int pump_in(struct tls_pipe *p) {
    struct flow *f = &p->in;
    int moved = 0;

    if (f->from == f->to && !f->end && !p->held) {
        ssize_t n = gnutls_record_recv(p->session, f->bytes, sizeof(f->bytes));
        if (n > 0 && p->limited && (size_t) n > p->allowance)
            return GNUTLS_E_LARGE_PACKET;
        if (n > 0) {
            p->allowance -= p->limited ? (size_t) n : 0;
            f->from = 0;
            f->to = (size_t) n;
            moved = 1;
        } else if (n == 0 || n == GNUTLS_E_PREMATURE_TERMINATION) {
            f->end = true;
            (void) shutdown(p->plain_fd, SHUT_WR);
        } else if (n != GNUTLS_E_AGAIN && n != GNUTLS_E_INTERRUPTED && gnutls_error_is_fatal((int) n)) {
            return (int) n;
        }
    }
    if (f->from < f->to) {
        ssize_t n = send(p->plain_fd, f->bytes + f->from, f->to - f->from, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            f->from += (size_t) n;
            moved = 1;
        } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
            f->end = true;
            f->from = f->to;
        }
    }
    return moved;
}

static int pump_out(struct tls_pipe *p) {
    struct flow *f = &p->out;
    int moved = 0;

    if (f->from == f->to && !f->end) {
        ssize_t n = recv(p->plain_fd, f->bytes, sizeof(f->bytes), MSG_DONTWAIT);
        if (n > 0) {
            f->from = 0;
            f->to = (size_t) n;
            moved = 1;
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            f->end = true;
        }
    }
    if (f->from < f->to) {
        ssize_t n = gnutls_record_send(p->session, f->bytes + f->from, f->to - f->from);
        if (n > 0) {
            f->from += (size_t) n;
            moved = 1;
        } else if (n < 0 && n != GNUTLS_E_AGAIN && n != GNUTLS_E_INTERRUPTED) {
            return (int) n;
        }
    }
    return moved;
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
    struct tls_pipe *p = userdata;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r;

    if (p->connecting) {
        int error = 0;
        socklen_t len = sizeof(error);
        if (fd != p->net_fd || !(revents & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
            return 0;
        if (getsockopt(p->net_fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
            hang_up(p, strerror(error ? error : errno));
            return 0;
        }
        p->connecting = false;
    }
    if (!p->handshaken) {
        r = gnutls_handshake(p->session);
        if (r < 0 && !gnutls_error_is_fatal(r)) {
            update_interest(p);
            return 0;
        }
        if (r < 0) {
            hang_up(p, gnutls_strerror(r));
            return 0;
        }
        p->handshaken = true;
        r = p->callbacks->ready(p->userdata, p->session, &err);
        if (r < 0) {
            hang_up(p, error_text(&err, r));
            return 0;
        }
    }
    for (int turns = 0; turns < 16; turns++) { /* not for ever: the loop has other work */
        int a = pump_in(p), b = a < 0 ? a : pump_out(p);
        if (a < 0 || b < 0) {
            hang_up(p, gnutls_strerror(a < 0 ? a : b));
            return 0;
        }
        if ((p->in.end && p->in.from == p->in.to) || (p->out.end && p->out.from == p->out.to)) {
            hang_up(p, NULL);
            return 0;
        }
        if (!a && !b)
            break;
    }
    /* GnuTLS may hold decrypted bytes that epoll knows nothing of: come back at once while there is room for them */
    bool buffered = gnutls_record_check_pending(p->session) > 0 && p->in.from == p->in.to && !p->held;
    update_interest(p);
    if (buffered)
        (void) sd_event_source_set_io_events(p->net_source, EPOLLIN | EPOLLOUT);
    return 0;
}

void tls_pipe_limit(struct tls_pipe *p, size_t bytes) {
    p->limited = bytes > 0;
    p->allowance = bytes;
}

static int on_hold_over(sd_event_source *s, uint64_t usec, void *userdata) {
    struct tls_pipe *p = userdata;

    p->held = false;
    (void) on_io(p->net_source, p->net_fd, 0, p); /* GnuTLS may have bytes that epoll does not tell of */
    return 0;
}

void tls_pipe_hold(struct tls_pipe *p, uint64_t usec) {
    int r;

    if (p->held || !p->handshaken)
        return;
    if (p->hold) {
        r = sd_event_source_set_time_relative(p->hold, usec);
        if (r >= 0)
            r = sd_event_source_set_enabled(p->hold, SD_EVENT_ONESHOT);
    } else {
        r = sd_event_add_time_relative(p->loop, &p->hold, CLOCK_MONOTONIC, usec, 0, on_hold_over, p);
    }
    p->held = r >= 0; /* without a timer it would be held for ever */
    update_interest(p);
}

static int make_session(struct tls_pipe *p, gnutls_certificate_credentials_t credentials, const char *host,
                        struct error *err) {
    int r = gnutls_init(&p->session, (p->server ? GNUTLS_SERVER : GNUTLS_CLIENT) | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);

    if (r == 0)
        r = gnutls_priority_set_direct(p->session, "NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL);
    if (r == 0)
        r = gnutls_credentials_set(p->session, GNUTLS_CRD_CERTIFICATE, credentials);
    if (r == 0 && !p->server && host)
        r = gnutls_server_name_set(p->session, GNUTLS_NAME_DNS, host, strlen(host));
    if (r < 0)
        return error_set(err, -EPROTO, "cannot prepare TLS: %s", gnutls_strerror(r));
    if (p->server) /* a joining node has none yet: whether it may do more than Join is decided by what it shows */
        gnutls_certificate_server_set_request(p->session, GNUTLS_CERT_REQUEST);
    gnutls_transport_set_int(p->session, p->net_fd);
    return 0;
}

int tls_pipe_new(sd_event *loop, int fd, bool server, gnutls_certificate_credentials_t credentials, const char *host,
                 const struct tls_pipe_callbacks *callbacks, void *userdata, struct tls_pipe **ret, int *ret_plain_fd,
                 struct error *err) {
    struct tls_pipe *p = xnew0(struct tls_pipe);
    int pair[2], one = 1;

    p->loop = loop;
    p->net_fd = fd;
    p->plain_fd = -EBADF;
    p->server = server;
    p->connecting = !server;
    p->callbacks = callbacks;
    p->userdata = userdata;
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* many small messages, each waited for */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
        int r = error_set_errno(err, -errno, "cannot make a socket pair");
        tls_pipe_free(p);
        return r;
    }
    p->plain_fd = pair[0];
    _cleanup_close_ int plain = pair[1];
    int r = make_session(p, credentials, host, err);
    if (r == 0) {
        r = sd_event_add_io(loop, &p->net_source, p->net_fd, server ? EPOLLIN : EPOLLOUT, on_io, p);
        if (r >= 0)
            r = sd_event_add_io(loop, &p->plain_source, p->plain_fd, 0, on_io, p);
        if (r < 0)
            error_set_errno(err, r, "cannot watch the connection");
    }
    if (r < 0) {
        tls_pipe_free(p);
        return r;
    }
    *ret = p;
    *ret_plain_fd = steal_fd(&plain);
    return 0;
}
