/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/http_server.h"
#include "orchestrator/apiserver/http/quiesce.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "orchestrator/apiserver/http/inflight.h"
#include "orchestrator/apiserver/http/internal.h"
#include "orchestrator/apiserver/http/list_runs.h"
#include "orchestrator/apiserver/http/turns.h"
#include "orchestrator/apiserver/loop_queue.h"
#include "orchestrator/apiserver/streams/conduit.h"
#include "orchestrator/apiserver/subresources/stream.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"

#define CONNECTIONS_MAX   16384
#define PER_ADDRESS_MAX   4096
#define IDLE_SECONDS      90            /* as upstream, and without anything being read or written during an answer */
#define HEADER_SECONDS    32            /* upstream: for the head of a request, from its first byte */
#define REQUEST_SECONDS   60            /* upstream's --request-timeout; for a body to come, too */
#define CONNECTION_MEMORY (16u * 1024u) /* request line and headers; thousands of watches hold it */
#define CERT_BYTES_MAX    (256u * 1024u)
#define LISTEN_BACKLOG    1024
#define DRAIN_USEC        (5 * USEC_PER_SEC)
#define FRESH_USEC        (USEC_PER_SEC / 2) /* for the first request of a connection just made */
#define HURRIED_USEC      (USEC_PER_SEC / 4) /* then, for handshakes that are no longer waited for, to end */
#define PRIORITIES        "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

static unsigned worker_count(const struct apiserver *api) {
    if (api->listen.worker_threads > 0)
        return api->listen.worker_threads;
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 4 ? 4 : (unsigned) n;
}

static int parse_address(const char *address, uint16_t port, struct sockaddr_storage *ss, socklen_t *len,
                         struct error *err) {
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *) ss;
    struct sockaddr_in *in = (struct sockaddr_in *) ss;
    *ss = (struct sockaddr_storage){0};
    if (!address || inet_pton(AF_INET6, address, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        *len = sizeof(*in6);
        return 0;
    }
    if (inet_pton(AF_INET, address, &in->sin_addr) != 1)
        return error_set(err, -EINVAL, "\"%s\" is no IP address to listen on", address);
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    *len = sizeof(*in);
    return 0;
}

static int port_of(int fd, int *ret_port, struct error *err) {
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    if (getsockname(fd, (struct sockaddr *) &ss, &len) < 0)
        return error_set_errno(err, -errno, "cannot ask for the port");
    *ret_port = ntohs(((struct sockaddr_in *) &ss)->sin_port); /* same place in both families */
    return fd;
}

static int listen_tcp(struct apiserver *api, int *ret_port, struct error *err) {
    struct sockaddr_storage ss;
    socklen_t len;
    if (api->listen.tcp_fd > 0)
        return port_of(api->listen.tcp_fd, ret_port, err);
    const char *address = api->listen.address;
    int port = api->listen.port < 0 ? 0 : api->listen.port;
    int r = parse_address(address, (uint16_t) port, &ss, &len, err);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 && !address) { /* a kernel without IPv6 */
        r = parse_address("0.0.0.0", (uint16_t) port, &ss, &len, err);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot make the listening socket");
    (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (ss.ss_family == AF_INET6)
        (void) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){address != NULL}, sizeof(int));
    if (bind(fd, (struct sockaddr *) &ss, len) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
        return error_set_errno(err, -errno, "cannot listen on %s port %d", address ? address : "all addresses", port);
    r = port_of(fd, ret_port, err);
    return r < 0 ? r : steal_fd(&fd);
}

static int listen_unix(const char *path, struct error *err) {
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(sun.sun_path))
        return error_set(err, -ENAMETOOLONG, "the socket path %s is too long", path);
    memcpy(sun.sun_path, path, strlen(path));
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot make the unix socket");
    (void) unlink(path);
    /* The mode is set before listen(2): nobody can have connected while it was wider. */
    if (bind(fd, (struct sockaddr *) &sun, sizeof(sun)) < 0 || chmod(path, 0600) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
        return error_set_errno(err, -errno, "cannot listen on %s", path);
    return steal_fd(&fd);
}

static void mhd_log(void *cls, const char *fmt, va_list ap) {
    /* MHD writes about every client that goes away; errors of ours are returned, not logged here. */
}

#define COMMON_FLAGS (MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG)

static int start_tcp(struct http_server *h, struct error *err) {
    struct apiserver *api = h->api;
    _cleanup_strbuf_ struct strbuf cert = STRBUF_INIT, key = STRBUF_INIT;
    unsigned threads = worker_count(api);
    int r = tls_generation_load(api->listen.cert_file, api->listen.key_file, api->listen.client_ca_file, &h->tls, err);
    if (r >= 0)
        r = file_read(api->listen.cert_file, CERT_BYTES_MAX, &cert, err);
    if (r >= 0)
        r = file_read(api->listen.key_file, CERT_BYTES_MAX, &key, err);
    if (r < 0)
        return r;
    int fd = listen_tcp(api, &h->port, err);
    if (fd < 0)
        return fd;
    h->tcp = MHD_start_daemon(COMMON_FLAGS | MHD_USE_TLS, 0, NULL, NULL, exchange_handle, h, MHD_OPTION_EXTERNAL_LOGGER,
                              mhd_log, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
                              h->limits.per_address, MHD_OPTION_HTTPS_MEM_CERT, strbuf_str(&cert),
                              MHD_OPTION_HTTPS_MEM_KEY, strbuf_str(&key), MHD_OPTION_HTTPS_PRIORITIES, PRIORITIES,
                              MHD_OPTION_NOTIFY_CONNECTION, peer_notify, h, MHD_OPTION_NOTIFY_COMPLETED,
                              exchange_completed, h, MHD_OPTION_URI_LOG_CALLBACK, exchange_uri, h,
                              MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                              h->limits.idle_seconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) CONNECTION_MEMORY,
                              MHD_OPTION_THREAD_POOL_SIZE, threads > 1 ? threads : 0, MHD_OPTION_END);
    explicit_bzero(key.data, key.len);
    if (h->tcp)
        return 0;
    (void) close(fd);
    return error_set(err, -EIO, "cannot start the HTTPS server");
}

static int start_unix(struct http_server *h, struct error *err) {
    int fd = h->api->listen.unix_fd > 0 ? h->api->listen.unix_fd : listen_unix(h->api->listen.unix_socket, err);
    if (fd < 0)
        return fd;
    h->local = MHD_start_daemon(COMMON_FLAGS, 0, NULL, NULL, exchange_handle, h, MHD_OPTION_EXTERNAL_LOGGER, mhd_log,
                                NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_CONNECTION, peer_notify, h,
                                MHD_OPTION_NOTIFY_COMPLETED, exchange_completed, h, MHD_OPTION_URI_LOG_CALLBACK,
                                exchange_uri, h, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
                                MHD_OPTION_CONNECTION_TIMEOUT, h->limits.idle_seconds,
                                MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) CONNECTION_MEMORY, MHD_OPTION_END);
    if (h->local)
        return 0;
    (void) close(fd);
    return error_set(err, -EIO, "cannot start the server on %s", h->api->listen.unix_socket);
}

static unsigned or (unsigned given, unsigned otherwise) {
    return given ? given : otherwise;
}

static void set_limits(struct http_server *h) {
    const struct apiserver_limits *l = &h->api->limits;
    h->limits.idle_seconds = or (l->idle_seconds, IDLE_SECONDS);
    h->limits.per_address = or (l->per_address, PER_ADDRESS_MAX);
    h->limits.header_usec = or (l->header_seconds, HEADER_SECONDS) * USEC_PER_SEC;
    h->limits.body_usec = or (l->body_seconds, REQUEST_SECONDS) * USEC_PER_SEC;
    h->limits.request_usec = or (l->request_seconds, REQUEST_SECONDS) * USEC_PER_SEC;
}

int http_server_start(struct apiserver *api, struct http_server **ret, struct error *err) {
    struct http_server *h = xnew0(struct http_server);
    h->api = api;
    h->runs = list_runs_new();
    (void) pthread_mutex_init(&h->lock, NULL);
    (void) pthread_cond_init(&h->idle, NULL);
    h->turns = turns_new();
    h->inflight = inflight_new(api->limits.reading_max, api->limits.mutating_max);
    set_limits(h);
    *ret = h; /* requests come, and look for it, before the second listener is there */
    int r = keeper_new(&h->keeper, err);
    if (r >= 0 && api->listen.port != -2)
        r = start_tcp(h, err);
    if (r >= 0 && api->listen.unix_socket)
        r = start_unix(h, err);
    if (r < 0) {
        http_server_stop(h);
        *ret = NULL;
        return r;
    }
    return 0;
}

int http_server_port(const struct http_server *h) {
    return h ? h->port : 0;
}

void http_server_counts(const struct http_server *h, struct http_counts *ret) {
    *ret = (struct http_counts){.dropped_reading = inflight_dropped(h->inflight, false),
                                .dropped_mutating = inflight_dropped(h->inflight, true)};
    turns_counts(h->turns, &ret->waited, &ret->waiting);
}

int http_server_reload(struct http_server *h, struct error *err) {
    struct apiserver *api = h->api;
    struct tls_generation *g;
    if (!h->tcp)
        return 0;
    int r = tls_generation_load(api->listen.cert_file, api->listen.key_file, api->listen.client_ca_file, &g, err);
    if (r < 0)
        return r;
    (void) pthread_mutex_lock(&h->lock);
    struct tls_generation *old = h->tls;
    h->tls = g;
    (void) pthread_mutex_unlock(&h->lock);
    tls_generation_unref(old);
    return 0;
}

/* Ends what would go on for ever: watches, logs that are followed, commands. */
static void end_streams(struct http_server *h) {
    struct apiserver *api = h->api;
    keeper_wake_all(h->keeper);
    log_streams_abort(api);
    if (!api->node_queue)
        return;
    loop_queue_run(api->node_queue); /* sessions about to begin */
    conduits_abort(api);
}

/* MHD must not be stopped with suspended connections: streams are ended, writes come back by themselves, handshakes are
 * given up after a while. Clients that merely read slowly are waited for only so long. */
static void drain(struct http_server *h) {
    uint64_t begun = now_monotonic_usec(), until = begun + DRAIN_USEC;
    size_t left = 1;
    atomic_store(&h->stopping, true);
    while (left > 0 && now_monotonic_usec() < until) {
        struct timespec t;
        atomic_store(&h->hurried, now_monotonic_usec() >= begun + FRESH_USEC);
        end_streams(h);
        (void) clock_gettime(CLOCK_REALTIME, &t);
        t.tv_nsec += 50000000;
        t.tv_sec += t.tv_nsec / 1000000000;
        t.tv_nsec %= 1000000000;
        (void) pthread_mutex_lock(&h->lock);
        if (h->n_exchanges + h->n_fresh > 0)
            (void) pthread_cond_timedwait(&h->idle, &h->lock, &t);
        left = h->n_exchanges + (now_monotonic_usec() < begun + FRESH_USEC + HURRIED_USEC ? h->n_fresh : 0);
        (void) pthread_mutex_unlock(&h->lock);
    }
}

void http_server_stop(struct http_server *h) {
    if (!h)
        return;
    int fds[2] = {h->tcp ? quiesce(h->tcp) : -1, h->local ? quiesce(h->local) : -1};
    if (h->keeper)
        drain(h);
    if (h->tcp)
        MHD_stop_daemon(h->tcp);
    if (h->local)
        MHD_stop_daemon(h->local);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        closep(&fds[i]);
    if (h->local && h->api->listen.unix_fd <= 0) /* else systemd's, which goes on listening */
        (void) unlink(h->api->listen.unix_socket);
    keeper_free(h->keeper);
    turns_free(h->turns);
    inflight_free(h->inflight);
    list_runs_free(h->runs);
    tls_generation_unref(h->tls);
    (void) pthread_cond_destroy(&h->idle);
    (void) pthread_mutex_destroy(&h->lock);
    free(h);
}
