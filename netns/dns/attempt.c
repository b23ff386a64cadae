/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "netns/dns/attempt.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>

#include "netns/dns/message.h"
#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

#define UDP_REPLY_MAX 4096

struct dns_attempt {
    sd_event_source *io;
    int fd;
    const uint8_t *query;
    size_t query_n, sent; /* sent counts the length in front, over TCP */
    struct strbuf in;     /* TCP */
    dns_attempt_done done;
    void *userdata;
};

static int on_udp(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct dns_attempt *a = userdata;
    uint8_t reply[UDP_REPLY_MAX];

    for (;;) {
        ssize_t n = recv(fd, reply, sizeof(reply), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n < 0) { /* refused, unreachable */
            a->done(a->userdata, NULL, 0);
            return 0;
        }
        if (dns_reply_matches(a->query, a->query_n, reply, (size_t) n)) {
            a->done(a->userdata, reply, (size_t) n);
            return 0;
        }
    }
}

static int send_rest(struct dns_attempt *a) {
    uint8_t message[2 + DNS_QUERY_MAX] = {(uint8_t) (a->query_n >> 8), (uint8_t) a->query_n};

    memcpy(message + 2, a->query, a->query_n);
    while (a->sent < a->query_n + 2) {
        ssize_t n = send(a->fd, message + a->sent, a->query_n + 2 - a->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        a->sent += (size_t) n;
    }
    return sd_event_source_set_io_events(a->io, EPOLLIN);
}

/* 1: a whole message is there; 0: not yet. */
static int receive_more(struct dns_attempt *a) {
    uint8_t bytes[4096];
    ssize_t n = recv(a->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n == 0)
        return -ECONNRESET;
    strbuf_add(&a->in, bytes, (size_t) n);
    const uint8_t *p = (const uint8_t *) a->in.data;
    return a->in.len >= 2 && a->in.len >= 2 + ((size_t) p[0] << 8 | p[1]);
}

static int on_tcp(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct dns_attempt *a = userdata;
    int r = 0;

    if (revents & EPOLLOUT)
        r = send_rest(a);
    if (r >= 0 && revents & (EPOLLIN | EPOLLHUP | EPOLLERR))
        r = receive_more(a);
    if (r < 0) {
        a->done(a->userdata, NULL, 0);
    } else if (r > 0) {
        uint8_t *p = (uint8_t *) a->in.data;
        size_t n = (size_t) p[0] << 8 | p[1];
        bool fits = dns_reply_matches(a->query, a->query_n, p + 2, n);
        /* a reply may be rewritten in place by what is at most a query */
        strbuf_reserve(&a->in, DNS_QUERY_MAX);
        a->done(a->userdata, fits ? (uint8_t *) a->in.data + 2 : NULL, fits ? n : 0);
    }
    return 0;
}

int dns_attempt_start(sd_event *loop, const struct sockaddr_storage *to, bool tcp, const uint8_t *query, size_t n,
                      dns_attempt_done done, void *userdata, struct dns_attempt **ret) {
    struct dns_attempt *a = xnew0(struct dns_attempt);
    socklen_t size = to->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

    *a = (struct dns_attempt){.fd = -EBADF, .query = query, .query_n = n, .done = done, .userdata = userdata};
    a->fd = socket(to->ss_family, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int r = a->fd < 0 ? -errno : 0;
    if (r == 0 && connect(a->fd, (const struct sockaddr *) to, size) < 0 && errno != EINPROGRESS)
        r = -errno;
    if (r == 0 && !tcp && send(a->fd, query, n, MSG_NOSIGNAL) < 0)
        r = -errno;
    if (r == 0)
        r = sd_event_add_io(loop, &a->io, a->fd, tcp ? EPOLLOUT : EPOLLIN, tcp ? on_tcp : on_udp, a);
    if (r < 0) {
        dns_attempt_free(a);
        return r;
    }
    *ret = a;
    return 0;
}

void dns_attempt_free(struct dns_attempt *a) {
    if (!a)
        return;
    sd_event_source_disable_unref(a->io);
    closep(&a->fd);
    strbuf_finish(&a->in);
    free(a);
}
