/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sockets, and what comes over UDP. */
#include "netns/dns/server.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/epoll.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/random.h"

#define TRY_MSEC    1500
#define IDLE_MSEC   10000
#define BATCHES_MAX 4 /* in one turn: the loop has other work, too */
#define BACKLOG     128

/* Many datagrams for one system call each way. */
struct udp_batch {
    struct mmsghdr in[UDP_BATCH], out[UDP_BATCH];
    struct iovec in_data[UDP_BATCH], out_data[UDP_BATCH];
    struct sockaddr_in peers[UDP_BATCH];
    uint8_t queries[UDP_BATCH][UDP_QUERY_MAX];
    uint8_t answers[UDP_BATCH][DNS_UDP_MAX];
};

static void batch_prepare(struct udp_batch *b) {
    for (size_t i = 0; i < UDP_BATCH; i++) {
        b->in_data[i] = (struct iovec){b->queries[i], sizeof(b->queries[i])};
        b->in[i].msg_hdr = (struct msghdr){
            .msg_name = &b->peers[i], .msg_namelen = sizeof(b->peers[i]), .msg_iov = &b->in_data[i], .msg_iovlen = 1};
    }
}

/* A socket buffer that is full loses the answer, as the network might: the client asks again. */
static void send_batch(const struct dns_server *server, struct mmsghdr *messages, unsigned n) {
    unsigned sent = 0;

    while (sent < n) {
        int r = sendmmsg(server->udp, messages + sent, n - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += r > 0 ? (unsigned) r : 1; /* the one that failed is left out (unreachable, no buffer) */
    }
}

void server_send(struct dns_server *server, const struct sockaddr_in *to, const uint8_t *p, size_t n) {
    (void) !sendto(server->udp, p, n, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *) to, sizeof(*to));
}

static int on_udp(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct dns_server *server = userdata;
    struct udp_batch *b = server->batch;
    int n = UDP_BATCH;

    for (int round = 0; round < BATCHES_MAX && n == UDP_BATCH; round++) {
        unsigned answers = 0;
        batch_prepare(b);
        n = recvmmsg(fd, b->in, UDP_BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++) {
            const struct dns_client client = {.peer = b->peers[i]};
            if (b->in[i].msg_hdr.msg_flags & MSG_TRUNC)
                continue;
            size_t out = server_respond(server, &client, b->queries[i], b->in[i].msg_len, b->answers[i]);
            if (out == 0)
                continue;
            b->out_data[answers] = (struct iovec){b->answers[i], out};
            b->out[answers].msg_hdr = (struct msghdr){.msg_name = &b->peers[i],
                                                      .msg_namelen = sizeof(b->peers[i]),
                                                      .msg_iov = &b->out_data[answers],
                                                      .msg_iovlen = 1};
            answers++;
        }
        send_batch(server, b->out, answers);
    }
    return 0;
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (peer >= 0)
        connection_new(userdata, peer);
    return 0;
}

/* --- life --- */

/* IP_FREEBIND: the address may be put on its link after us. */
static int open_socket(const struct sockaddr_in *address, int type, int *ret, struct error *err) {
    _cleanup_close_ int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    char text[INET_ADDRSTRLEN];

    if (fd < 0)
        return error_set_errno(err, -errno, "cannot make a socket");
    if ((type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0) ||
        setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) < 0 ||
        bind(fd, (const struct sockaddr *) address, sizeof(*address)) < 0 ||
        (type == SOCK_STREAM && listen(fd, BACKLOG) < 0))
        return error_set_errno(err, -errno, "cannot serve DNS on %s port %u",
                               inet_ntop(AF_INET, &address->sin_addr, text, sizeof(text)), ntohs(address->sin_port));
    *ret = steal_fd(&fd);
    return 0;
}

/* Is the socket one for this address? */
static bool fits(int fd, int type, const struct sockaddr_in *address) {
    struct sockaddr_in own = {0};
    socklen_t n = sizeof(own), k = sizeof(type);
    int has, listening = 0;

    if (getsockname(fd, (struct sockaddr *) &own, &n) < 0 || n != sizeof(own) || own.sin_family != AF_INET ||
        own.sin_port != address->sin_port || own.sin_addr.s_addr != address->sin_addr.s_addr ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &has, &k) < 0 || has != type)
        return false;
    return type == SOCK_DGRAM || (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &k) == 0 && listening);
}

static void take_sockets(struct dns_server *server, const struct sockaddr_in *address, const int fds[2]) {
    if (fits(fds[0], SOCK_DGRAM, address) && fits(fds[1], SOCK_STREAM, address) && fd_set_nonblock(fds[0], true) == 0 &&
        fd_set_nonblock(fds[1], true) == 0) {
        server->udp = fds[0];
        server->tcp = fds[1];
        return;
    }
    for (int i = 0; i < 2; i++)
        (void) close(fds[i]);
}

static int open_sockets(struct dns_server *server, const struct sockaddr_in *address, struct error *err) {
    int r = server->udp >= 0 ? 0 : open_socket(address, SOCK_DGRAM, &server->udp, err);

    if (r == 0 && server->tcp < 0)
        r = open_socket(address, SOCK_STREAM, &server->tcp, err);
    if (r < 0)
        return r;
    r = sd_event_add_io(server->loop, &server->udp_source, server->udp, EPOLLIN, on_udp, server);
    if (r >= 0)
        r = sd_event_add_io(server->loop, &server->tcp_source, server->tcp, EPOLLIN, on_connection, server);
    return r < 0 ? error_set_errno(err, r, "cannot use the event loop") : 0;
}

int dns_server_new(sd_event *loop, const struct dns_server_options *options, struct dns_server **ret,
                   struct error *err) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options->port ? options->port : DNS_PORT)};
    _cleanup_(dns_server_freep) struct dns_server *server = NULL;

    if (inet_pton(AF_INET, options->address, &address.sin_addr) != 1)
        return error_set(err, -EINVAL, "\"%s\" is no IPv4 address to serve DNS on", options->address);
    server = xnew0(struct dns_server);
    *server = (struct dns_server){.loop = sd_event_ref(loop), .udp = -EBADF, .tcp = -EBADF, .zone = options->zone};
    server->idle_usec = (options->idle_msec ? options->idle_msec : IDLE_MSEC) * USEC_PER_MSEC;
    server->random = random_u64() | 1;
    server->batch = xnew0(struct udp_batch);
    list_init(&server->pending);
    list_init(&server->connections);
    struct dns_forwarder_options forward = {.resolv_conf =
                                                options->resolv_conf ? options->resolv_conf : "/etc/resolv.conf",
                                            .try_msec = options->try_msec ? options->try_msec : TRY_MSEC,
                                            .statistics = &server->statistics};
    memcpy(&forward.self, &address, sizeof(address));
    if (options->take_sockets)
        take_sockets(server, &address, options->take_sockets);
    int r = open_sockets(server, &address, err);
    server->forwarder = dns_forwarder_new(loop, &forward);
    if (r < 0)
        return r;
    *ret = steal(&server);
    return 0;
}

void dns_server_free(struct dns_server *server) {
    if (!server)
        return;
    connections_free(server);
    server_forget(server, NULL);
    dns_forwarder_free(server->forwarder);
    sd_event_source_disable_unref(server->udp_source);
    sd_event_source_disable_unref(server->tcp_source);
    closep(&server->udp);
    closep(&server->tcp);
    dns_answer_finish(&server->answer);
    sd_event_unref(server->loop);
    free(server->batch);
    free(server);
}

void dns_server_sockets(const struct dns_server *server, int ret[2]) {
    ret[0] = server->udp;
    ret[1] = server->tcp;
}

const struct dns_statistics *dns_server_statistics(const struct dns_server *server) {
    return &server->statistics;
}
