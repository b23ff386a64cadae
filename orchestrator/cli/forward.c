/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/forward.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "orchestrator/cli/query.h"
#include "orchestrator/cli/websocket.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"

#define PROTOCOL         "v5.channel.k8s.io"
#define QUEUED_BYTES_MAX (256u * 1024u) /* more is not read from the local program before this is sent */
#define LISTENERS_MAX    64
#define BACKLOG          64

enum { CHANNEL_DATA = 0, CHANNEL_ERROR = 1, CHANNEL_CLOSE = 255 };

/* --- one connection, in its own process --- */

struct connection_state {
    struct websocket *ws;
    int fd;
    size_t announced; /* bytes of the port number still to come on the data channel; the same for errors */
    size_t error_announced;
    int remote;
    bool broken, failed;
};

static void on_message(void *userdata, const uint8_t *m, size_t n) {
    struct connection_state *s = userdata;
    size_t *announced = m[0] == CHANNEL_DATA ? &s->announced : &s->error_announced;

    if (m[0] > CHANNEL_ERROR)
        return;
    m++;
    n--;
    size_t skip = n < *announced ? n : *announced; /* each channel begins with its port */
    *announced -= skip;
    m += skip;
    n -= skip;
    if (n == 0)
        return;
    if (announced == &s->error_announced) {
        s->failed = true;
        fprintf(stderr, "error forwarding to port %d: %.*s\n", s->remote, (int) n, (const char *) m);
    } else if (fd_write_all(s->fd, m, n) < 0) {
        s->broken = true; /* the local program has gone */
    }
}

/* Returns whether there may be more. */
static bool take_local(struct connection_state *s) {
    char buf[32768];
    ssize_t n = recv(s->fd, buf, sizeof(buf), 0);

    if (n > 0)
        websocket_send(s->ws, CHANNEL_DATA, buf, (size_t) n);
    if (n > 0 || (n < 0 && errno == EINTR))
        return true;
    websocket_send(s->ws, CHANNEL_CLOSE, &(uint8_t){CHANNEL_DATA}, 1);
    return false;
}

/* Until the pod's side ends, or the local program has gone altogether. */
static int carry(const struct connection *c, const char *target, int fd, int remote) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct connection_state s = {.fd = fd, .announced = 2, .error_announced = 2, .remote = remote};
    const struct websocket_options o = {.target = target, .protocol = PROTOCOL, .message = on_message, .userdata = &s};
    struct websocket_refusal refusal;
    bool local_open = true;

    int r = websocket_open(c, &o, &s.ws, &refusal, &err);
    json_unref(refusal.status);
    if (r < 0)
        return cli_fail("%s", error_text(&err, r));
    for (bool more = true; more && !s.broken;) {
        bool reads = local_open && websocket_queued(s.ws) < QUEUED_BYTES_MAX, waiting = websocket_waiting(s.ws);
        struct pollfd fds[] = {{.fd = websocket_fd(s.ws), .events = websocket_events(s.ws)},
                               {.fd = fd, .events = reads ? POLLIN : 0}};
        if (poll(fds, ARRAY_LEN(fds), waiting ? 0 : -1) < 0 && errno != EINTR)
            break;
        if (reads && fds[1].revents)
            local_open = take_local(&s);
        else if (fds[1].revents & (POLLHUP | POLLERR))
            break;
        more = websocket_turn(s.ws, waiting || fds[0].revents);
    }
    websocket_free(s.ws);
    return s.failed ? 1 : 0;
}

static void serve(struct cli *c, const char *target, int fd_take, int remote) {
    pid_t parent = getpid(), pid = fork();

    if (pid == 0) {
        (void) prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
            _exit(1);
        _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
        char port[8];
        (void) snprintf(port, sizeof(port), "%d", remote);
        strbuf_adds(&b, target);
        query_add(&b, "ports", port);
        (void) setsockopt(fd_take, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        _exit(carry(&c->connection, strbuf_str(&b), fd_take, remote));
    }
    if (pid < 0)
        (void) cli_fail("cannot make a process for a connection: %s", strerror(errno));
    (void) close(fd_take);
}

/* --- listening --- */

struct listeners {
    struct pollfd fds[LISTENERS_MAX];
    struct {
        int local, remote;
    } ports[LISTENERS_MAX];
    size_t n;
};

static int listen_at(int family, const char *address, int port) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t) port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t) port)};
    _cleanup_close_ int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (family == AF_INET6)
        (void) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int));
    if (inet_pton(family, address, family == AF_INET ? (void *) &v4.sin_addr : (void *) &v6.sin6_addr) != 1)
        return -EINVAL;
    int r = family == AF_INET ? bind(fd, (struct sockaddr *) &v4, sizeof(v4))
                              : bind(fd, (struct sockaddr *) &v6, sizeof(v6));
    if (r < 0 || listen(fd, BACKLOG) < 0)
        return -errno;
    return steal_fd(&fd);
}

static int port_of(int fd) {
    struct sockaddr_storage ss = {0};
    socklen_t len = sizeof(ss);

    return getsockname(fd, (struct sockaddr *) &ss, &len) < 0 ? 0 : ntohs(((struct sockaddr_in *) &ss)->sin_port);
}

/* Returns the port, or -errno. */
static int add_listener(struct listeners *l, const char *address, int local, int remote) {
    int family = strchr(address, ':') ? AF_INET6 : AF_INET;
    int fd = l->n < LISTENERS_MAX ? listen_at(family, address, local) : -EMFILE;

    if (fd < 0)
        return fd;
    int port = port_of(fd);
    l->fds[l->n] = (struct pollfd){.fd = fd, .events = POLLIN};
    l->ports[l->n].local = port;
    l->ports[l->n].remote = remote;
    l->n++;
    printf(family == AF_INET6 ? "Forwarding from [%s]:%d -> %d\n" : "Forwarding from %s:%d -> %d\n", address, port,
           remote);
    return port;
}

static int listen_for(struct listeners *l, const char *addresses, const struct forward_port *p) {
    int first = -EINVAL;

    for (const char *a = addresses; *a;) {
        size_t n = strcspn(a, ",");
        _cleanup_free_ char *address = xstrndup(a, n);
        bool localhost = strcmp(address, "localhost") == 0;
        int r = add_listener(l, localhost ? "127.0.0.1" : address, p->local, p->remote);
        if (localhost) { /* one of both families is enough */
            int six = add_listener(l, "::1", r > 0 ? r : p->local, p->remote);
            r = r < 0 ? six : r;
        }
        if (r < 0)
            return cli_fail("unable to listen on %s port %d: %s", address, p->local, strerror(-r));
        first = r;
        a += n + (a[n] == ',');
    }
    return first < 0 ? cli_fail("no address to listen on") : 0;
}

int forward_ports(struct cli *c, const char *target, const char *addresses, const struct forward_port *ports,
                  size_t n_ports) {
    struct listeners l = {.n = 0};

    for (size_t i = 0; i < n_ports; i++)
        if (listen_for(&l, addresses, &ports[i]) != 0)
            return 1;
    (void) fflush(stdout);
    (void) signal(SIGCHLD, SIG_IGN); /* nobody asks how they ended */
    (void) signal(SIGPIPE, SIG_IGN);
    for (;;) {
        if (poll(l.fds, l.n, -1) < 0 && errno != EINTR)
            return cli_fail("poll: %s", strerror(errno));
        for (size_t i = 0; i < l.n; i++) {
            int fd = l.fds[i].revents ? accept4(l.fds[i].fd, NULL, NULL, SOCK_CLOEXEC) : -1;
            if (fd < 0)
                continue;
            printf("Handling connection for %d\n", l.ports[i].local);
            (void) fflush(stdout);
            serve(c, target, fd, l.ports[i].remote);
        }
    }
}
