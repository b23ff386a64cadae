/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clients over TCP (RFC 7766): many queries in one connection, answers in the order they are ready. */
#include <string.h>
#include <sys/epoll.h>

#include "netns/dns/server.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/strbuf.h"

#define QUERY_BYTES_MAX 4096         /* one query */
#define ANSWER_BYTES    (256 * 1024) /* not read by the client: no more queries of its are taken */
#define EXPECTED_MAX    16           /* queries of one connection that are asked outside */

struct dns_connection {
    struct list in_server;
    struct dns_server *server;
    int fd;
    sd_event_source *io, *timer;
    struct strbuf in, out;
    size_t expected;
    uint64_t active; /* monotonic: when bytes moved last */
    bool ended;      /* the client sends no more */
};

void connection_free(struct dns_connection *c) {
    server_forget(c->server, c);
    list_remove(&c->in_server);
    c->server->n_connections--;
    sd_event_source_disable_unref(c->io);
    sd_event_source_disable_unref(c->timer);
    closep(&c->fd);
    strbuf_finish(&c->in);
    strbuf_finish(&c->out);
    free(c);
}

void connections_free(struct dns_server *server) {
    struct dns_connection *c;

    list_foreach(c, &server->connections, in_server) connection_free(c);
}

static bool may_take(const struct dns_connection *c) {
    return c->expected < EXPECTED_MAX && c->out.len < ANSWER_BYTES;
}

static void append(struct dns_connection *c, const uint8_t *p, size_t n) {
    const uint8_t length[2] = {(uint8_t) (n >> 8), (uint8_t) n};

    strbuf_add(&c->out, length, sizeof(length));
    strbuf_add(&c->out, p, n);
}

/* Answers the whole queries in c->in; -EMSGSIZE for one that is too long. */
static int take_queries(struct dns_connection *c) {
    const struct dns_client client = {.connection = c};
    _cleanup_free_ uint8_t *answer = NULL;

    while (may_take(c) && c->in.len >= 2) {
        const uint8_t *p = (const uint8_t *) c->in.data;
        size_t n = (size_t) p[0] << 8 | p[1];
        if (n > QUERY_BYTES_MAX)
            return -EMSGSIZE;
        if (c->in.len < 2 + n)
            return 0;
        if (!answer)
            answer = xmalloc(DNS_MESSAGE_MAX);
        size_t out = server_respond(c->server, &client, p + 2, n, answer);
        strbuf_consume(&c->in, 2 + n);
        if (out > 0)
            append(c, answer, out);
    }
    return 0;
}

static int write_out(struct dns_connection *c) {
    while (c->out.len > 0) {
        ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        strbuf_consume(&c->out, (size_t) n);
        c->active = now_monotonic_usec();
    }
    return 0;
}

/* Takes what is there, writes what can be; frees the connection when it is over. */
static void handle(struct dns_connection *c) {
    size_t before;
    int r;

    do {
        before = c->in.len;
        r = take_queries(c);
        if (r == 0)
            r = write_out(c);
    } while (r == 0 && c->in.len != before);
    bool over = c->ended && c->expected == 0 && c->out.len == 0;
    if (r == 0 && !over)
        r = sd_event_source_set_io_events(c->io,
                                          (!c->ended && may_take(c) ? EPOLLIN : 0u) | (c->out.len > 0 ? EPOLLOUT : 0u));
    if (r < 0 || over)
        connection_free(c);
}

void connection_expect(struct dns_connection *c) {
    c->expected++;
}

void connection_send(struct dns_connection *c, const uint8_t *p, size_t n) {
    c->expected--;
    if (n > 0)
        append(c, p, n);
    handle(c);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct dns_connection *c = userdata;
    uint8_t bytes[QUERY_BYTES_MAX];

    if (revents & (EPOLLERR | EPOLLHUP)) {
        connection_free(c);
        return 0;
    }
    if (revents & EPOLLIN) {
        ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            connection_free(c);
            return 0;
        }
        c->ended = n == 0;
        if (n > 0) {
            strbuf_add(&c->in, bytes, (size_t) n);
            c->active = now_monotonic_usec();
        }
    }
    handle(c);
    return 0;
}

static int on_idle(sd_event_source *source, uint64_t usec, void *userdata) {
    struct dns_connection *c = userdata;
    uint64_t now = now_monotonic_usec(), end = c->active + c->server->idle_usec;

    /* resolvers answer, or fail, in less than the idle time: whoever waits for them gets it once more */
    if (now >= end && c->expected == 0) {
        connection_free(c);
        return 0;
    }
    (void) sd_event_source_set_time(source, now >= end ? now + c->server->idle_usec : end);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Room for one more: the connection that was silent for longest goes. */
static void make_room(struct dns_server *server) {
    struct dns_connection *c, *oldest = NULL;

    list_foreach(c, &server->connections, in_server) if (!oldest || c->active < oldest->active) oldest = c;
    if (oldest)
        connection_free(oldest);
}

void connection_new(struct dns_server *server, int fd) {
    struct dns_connection *c = xnew0(struct dns_connection);

    if (server->n_connections >= CONNECTIONS_MAX)
        make_room(server);
    c->server = server;
    c->fd = fd;
    c->active = now_monotonic_usec();
    list_append(&server->connections, &c->in_server);
    server->n_connections++;
    int r = sd_event_add_io(server->loop, &c->io, fd, EPOLLIN, on_io, c);
    if (r >= 0)
        r = sd_event_add_time_relative(server->loop, &c->timer, CLOCK_MONOTONIC, server->idle_usec, 100 * USEC_PER_MSEC,
                                       on_idle, c);
    if (r < 0)
        connection_free(c);
}
