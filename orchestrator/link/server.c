/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/link/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "orchestrator/link/node_writes.h"
#include "orchestrator/link/peer.h"
#include "orchestrator/link/push_network.h"
#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/log.h"
#include "podium/base/path.h"

#define HEARTBEAT_DEFAULT_USEC (10ull * 1000000ull)
#define LEASE_DEFAULT_SECONDS  40u
#define ACCEPT_PAUSE_USEC      (500ull * 1000ull)
#define ACCEPT_BATCH           16
#define DESCRIPTORS_TLS        3    /* of one node: the network's, and a pair to the bus */
#define DESCRIPTORS_OTHERS     1024 /* kept for all but nodes */

static int load_credentials(const struct link_server *s, gnutls_certificate_credentials_t *ret, struct error *err) {
    _cleanup_free_ char *ca = path_join(s->ca_dir, "ca.crt");
    _cleanup_strbuf_ struct strbuf chain = STRBUF_INIT, key = STRBUF_INIT;
    gnutls_certificate_credentials_t c;

    int r = file_read(s->cert_file, PKI_PEM_BYTES_MAX, &chain, err);
    if (r >= 0) /* the authority, too: nodes that know it by its hash only have to see it */
        r = file_read(ca, PKI_PEM_BYTES_MAX, &chain, err);
    if (r >= 0)
        r = file_read(s->key_file, PKI_PEM_BYTES_MAX, &key, err);
    if (r < 0)
        return r;
    r = gnutls_certificate_allocate_credentials(&c);
    if (r < 0)
        return error_set(err, -ENOMEM, "%s", gnutls_strerror(r));
    const gnutls_datum_t chain_pem = {(unsigned char *) chain.data, (unsigned) chain.len};
    const gnutls_datum_t key_pem = {(unsigned char *) key.data, (unsigned) key.len};
    r = gnutls_certificate_set_x509_trust_file(c, ca, GNUTLS_X509_FMT_PEM);
    if (r >= 0)
        r = gnutls_certificate_set_x509_key_mem(c, &chain_pem, &key_pem, GNUTLS_X509_FMT_PEM);
    explicit_bzero(key.data, key.len);
    if (r < 0) {
        gnutls_certificate_free_credentials(c);
        return error_set(err, -EPROTO, "cannot load %s: %s", s->cert_file, gnutls_strerror(r));
    }
    *ret = c;
    return 0;
}

static bool peer_is_root(int fd) {
    struct ucred cred;
    socklen_t len = sizeof(cred);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && (cred.uid == 0 || cred.uid == geteuid());
}

static int on_accept_again(sd_event_source *source, uint64_t usec, void *userdata) {
    struct link_server *s = userdata;

    if (s->tcp_source)
        (void) sd_event_source_set_enabled(s->tcp_source, SD_EVENT_ON);
    if (s->unix_source)
        (void) sd_event_source_set_enabled(s->unix_source, SD_EVENT_ON);
    return 0;
}

/* What waits to be accepted waits in the kernel for so long. The listeners stay readable: without this the loop would
 * spin. */
static void pause_accepting(struct link_server *s, bool unix_too, uint64_t usec) {
    if (s->accept_again) {
        (void) sd_event_source_set_time_relative(s->accept_again, usec);
        (void) sd_event_source_set_enabled(s->accept_again, SD_EVENT_ONESHOT);
    } else if (sd_event_add_time_relative(s->loop, &s->accept_again, CLOCK_MONOTONIC, usec, USEC_PER_MSEC,
                                          on_accept_again, s) < 0) {
        return;
    }
    if (s->tcp_source)
        (void) sd_event_source_set_enabled(s->tcp_source, SD_EVENT_OFF);
    if (s->unix_source && unix_too)
        (void) sd_event_source_set_enabled(s->unix_source, SD_EVENT_OFF);
}

static struct link_peer *oldest_pending(struct link_server *s) {
    struct link_peer *p;

    list_foreach(p, &s->peers, link) if (p->pending && !p->reaper) return p;
    return NULL;
}

/* Strangers are few at a time. When thousands of nodes dial at once, those that come wait their turn in the backlog;
 * who had his time and did not register makes room: idle strangers must not keep nodes out. */
static bool has_room(struct link_server *s) {
    if (s->n_pending < LINK_PENDING_MAX)
        return true;
    struct link_peer *oldest = oldest_pending(s);
    uint64_t now = now_monotonic_usec();
    if (!oldest || now - oldest->since < LINK_PENDING_USEC) {
        pause_accepting(s, false, oldest ? oldest->since + LINK_PENDING_USEC - now : USEC_PER_MSEC);
        return false;
    }
    log_warning("link: too many connections that have not registered");
    link_peer_end(oldest, "pushed out by newer connections");
    return s->n_pending < 2 * LINK_PENDING_MAX;
}

void link_server_less_pending(struct link_server *s) {
    int enabled = SD_EVENT_OFF;

    s->n_pending--;
    if (s->tcp_source && sd_event_source_get_enabled(s->tcp_source, &enabled) == 0 && !s->short_of_descriptors)
        (void) sd_event_source_set_enabled(s->tcp_source, SD_EVENT_ON);
}

/* The API, its clients and the store need some of the process's descriptors whatever the number of nodes. */
static bool has_descriptors(struct link_server *s, bool unix_socket) {
    size_t needed = unix_socket ? 1 : DESCRIPTORS_TLS;
    bool room = s->descriptors + needed <= s->descriptors_max;

    if (!room && !s->short_of_descriptors)
        log_warning("link: %zu nodes are connected, and the limit of open files (LimitNOFILE=) leaves room for no more",
                    hashmap_len(s->by_node));
    s->short_of_descriptors = !room;
    if (!room)
        pause_accepting(s, true, ACCEPT_PAUSE_USEC);
    return room;
}

static size_t descriptors_for_nodes(void) {
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur == RLIM_INFINITY)
        return SIZE_MAX;
    size_t others = l.rlim_cur / 4 < DESCRIPTORS_OTHERS ? l.rlim_cur / 4 : DESCRIPTORS_OTHERS;
    return l.rlim_cur - others;
}

/* 1: accepted, or not worth a word; 0: none left, or none wanted now. */
static int accept_one(struct link_server *s, int listener, bool unix_socket) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (!has_descriptors(s, unix_socket) || (!unix_socket && !has_room(s)))
        return 0;
    _cleanup_close_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_warning("link: no descriptors left for more connections");
            pause_accepting(s, true, ACCEPT_PAUSE_USEC);
        }
        return 0; /* else the other side gave up */
    }
    if (unix_socket && !peer_is_root(fd)) {
        log_warning("link: a peer on the unix socket is not root");
        return 1;
    }
    int r = link_peer_accept(s, steal_fd(&fd), unix_socket, &err);
    if (r < 0)
        log_warning("link: %s", error_text(&err, r));
    return 1;
}

static int on_accept(sd_event_source *source, int listener, uint32_t revents, void *userdata) {
    struct link_server *s = userdata;

    for (int i = 0; i < ACCEPT_BATCH && accept_one(s, listener, listener == s->unix_fd); i++)
        ;
    return 0;
}

static int listen_tcp(struct link_server *s, const char *address, int port, struct error *err) {
    _cleanup_free_ char *service = xasprintf("%d", port);
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *found;
    int one = 1, r = getaddrinfo(address, service, &hints, &found);

    if (r != 0)
        return error_set(err, -EINVAL, "\"%s\" is no address to listen on: %s", address, gai_strerror(r));
    _cleanup_close_ int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    r = fd < 0 ? -errno : 0;
    if (r == 0) {
        (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0)
            r = -errno;
    }
    freeaddrinfo(found);
    if (r < 0)
        return error_set_errno(err, r, "cannot listen for agents on %s port %d", address, port);
    s->tcp_fd = steal_fd(&fd);
    return 0;
}

static int listen_unix(struct link_server *s, const char *path, struct error *err) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return error_set_errno(err, -errno, "cannot make a socket");
    if (strlen(path) >= sizeof(a.sun_path))
        return error_set(err, -ENAMETOOLONG, "socket path too long: %s", path);
    strcpy(a.sun_path, path);
    (void) unlink(path);
    mode_t old = umask(0177); /* root only from its first moment on */
    int r = bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 ? -errno : 0;
    (void) umask(old);
    if (r == 0 && listen(fd, SOMAXCONN) < 0)
        r = -errno;
    if (r < 0)
        return error_set_errno(err, r, "cannot listen on %s", path);
    s->unix_fd = steal_fd(&fd);
    return 0;
}

static int watch_listener(struct link_server *s, int fd, sd_event_source **ret, struct error *err) {
    int r = sd_event_add_io(s->loop, ret, fd, EPOLLIN, on_accept, s);
    return r < 0 ? error_set_errno(err, r, "cannot watch the listening socket") : 0;
}

static int open_tcp(struct link_server *s, const struct link_server_options *o, struct error *err) {
    int r = load_credentials(s, &s->credentials, err);

    s->tcp_fd = o->tcp_fd > 0 ? o->tcp_fd : -EBADF;
    if (r == 0 && o->tcp_fd <= 0)
        r = listen_tcp(s, o->address, o->port, err);
    return r < 0 ? r : watch_listener(s, s->tcp_fd, &s->tcp_source, err);
}

static int open_unix(struct link_server *s, const struct link_server_options *o, struct error *err) {
    int r = 0;

    s->unix_fd = o->unix_fd > 0 ? o->unix_fd : -EBADF;
    s->unix_inherited = o->unix_fd > 0;
    if (o->unix_fd <= 0)
        r = listen_unix(s, o->unix_socket, err);
    return r < 0 ? r : watch_listener(s, s->unix_fd, &s->unix_source, err);
}

/* As agent/node_api.h describes it; searches are those behind the cluster's own. */
static struct json *dns_of(const struct link_server_options *o) {
    struct json *dns = NULL, *servers = NULL;

    if (!o->dns_address)
        return NULL;
    json_append(&servers, json_string(o->dns_address));
    json_set(&dns, "servers", servers);
    json_set(&dns, "domain", json_string(o->dns_domain ? o->dns_domain : "cluster.local"));
    json_set(&dns, "searches", json_array());
    return dns;
}

int link_server_new(sd_event *loop, struct client *client, struct informer_set *informers,
                    const struct link_server_options *o, struct link_server **ret, struct error *err) {
    _cleanup_(link_server_freep) struct link_server *s = xnew0(struct link_server);

    s->loop = loop;
    s->client = client;
    s->tcp_fd = s->unix_fd = -EBADF;
    s->ca_dir = xstrdup(o->ca_dir);
    s->cert_file = xstrdup(o->cert_file ? o->cert_file : "");
    s->key_file = xstrdup(o->key_file ? o->key_file : "");
    s->token = o->token ? xstrdup(o->token) : NULL;
    s->cluster_cidr = xstrdup(o->cluster_cidr);
    s->service_cidr = xstrdup(o->service_cidr ? o->service_cidr : "");
    s->dns = dns_of(o);
    s->unix_socket = o->unix_socket ? xstrdup(o->unix_socket) : NULL;
    s->heartbeat_usec = o->heartbeat_usec ? o->heartbeat_usec : HEARTBEAT_DEFAULT_USEC;
    s->certificate_sec = o->certificate_sec;
    s->lease_seconds = o->lease_seconds ? o->lease_seconds : LEASE_DEFAULT_SECONDS;
    s->descriptors_max = descriptors_for_nodes();
    list_init(&s->peers);
    s->by_node = hashmap_new(NULL);
    s->events = event_recorder_new(loop, client, "podium-agent");
    s->routes = network_routes_new(s);
    push_register_informers(s, informers);
    s->writes = node_writes_new(loop, client, s->nodes, s->pods, s->cluster_cidr, s->lease_seconds);
    int r = reactor_new(loop, &s->reactor, err);
    if (r == 0 && o->address)
        r = open_tcp(s, o, err);
    if (r == 0 && o->unix_socket)
        r = open_unix(s, o, err);
    if (r < 0)
        return r;
    *ret = steal(&s);
    return 0;
}

void link_server_free(struct link_server *s) {
    struct link_peer *p;

    if (!s)
        return;
    push_remove_informers(s);
    s->tcp_source = sd_event_source_disable_unref(s->tcp_source);
    s->unix_source = sd_event_source_disable_unref(s->unix_source);
    sd_event_source_disable_unref(s->accept_again);
    list_foreach(p, &s->peers, link) link_peer_free(p);
    reactor_free(s->reactor);
    closep(&s->tcp_fd);
    closep(&s->unix_fd);
    if (s->unix_socket && !s->unix_inherited)
        (void) unlink(s->unix_socket);
    node_writes_free(s->writes);
    network_routes_free(s->routes);
    event_recorder_free(s->events);
    hashmap_free(s->by_node);
    if (s->credentials)
        gnutls_certificate_free_credentials(s->credentials);
    if (s->old_credentials)
        gnutls_certificate_free_credentials(s->old_credentials);
    free(s->ca_dir);
    free(s->cert_file);
    free(s->key_file);
    free(s->token);
    free(s->cluster_cidr);
    free(s->service_cidr);
    json_unref(s->dns);
    free(s->unix_socket);
    free(s);
}

int link_server_reload_certificates(struct link_server *s, struct error *err) {
    gnutls_certificate_credentials_t fresh;

    if (!s->credentials)
        return 0;
    int r = load_credentials(s, &fresh, err);
    if (r < 0)
        return r;
    /* sessions borrow their credentials: those of one reload ago are done with their handshakes for sure */
    if (s->old_credentials)
        gnutls_certificate_free_credentials(s->old_credentials);
    s->old_credentials = s->credentials;
    s->credentials = fresh;
    return 0;
}

size_t link_server_connected(const struct link_server *s) {
    return hashmap_len(s->by_node);
}

static int open_stream(struct link_server *s, const char *member, const char *node, const struct json *options,
                       const struct link_stream_ops *ops, void *userdata, struct link_stream **ret, struct error *err) {
    struct link_peer *p = hashmap_get(s->by_node, node);
    _cleanup_free_ char *text = json_to_text(options);

    if (!p)
        return error_set(err, -ENOTCONN, "node \"%s\" is not connected", node);
    int r = link_stream_new(p->streams, 0, ops, userdata, ret, err);
    if (r < 0)
        return r;
    link_peer_open_stream(p, member, link_stream_id(*ret), text);
    return 0;
}

int link_server_open_log(struct link_server *s, const char *node, const struct json *options,
                         const struct link_stream_ops *ops, void *userdata, struct link_stream **ret,
                         struct error *err) {
    return open_stream(s, "OpenLog", node, options, ops, userdata, ret, err);
}

int link_server_open_exec(struct link_server *s, const char *node, const struct json *options,
                          const struct link_stream_ops *ops, void *userdata, struct link_stream **ret,
                          struct error *err) {
    return open_stream(s, "OpenExec", node, options, ops, userdata, ret, err);
}

int link_server_open_forward(struct link_server *s, const char *node, const struct json *options,
                             const struct link_stream_ops *ops, void *userdata, struct link_stream **ret,
                             struct error *err) {
    return open_stream(s, "OpenForward", node, options, ops, userdata, ret, err);
}

int link_server_open_query(struct link_server *s, const char *node, const struct json *options,
                           const struct link_stream_ops *ops, void *userdata, struct link_stream **ret,
                           struct error *err) {
    return open_stream(s, "OpenQuery", node, options, ops, userdata, ret, err);
}
