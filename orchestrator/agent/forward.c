/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections to ports of pods for somebody far away: a socket made in the pod's network namespace, bytes through
 * callbacks. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "orchestrator/agent/model.h"
#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

#define CHUNK 65536

struct agent_forward {
    sd_event *loop;
    const struct agent_forward_callbacks *callbacks;
    void *userdata;
    int port, family, netns_fd; /* netns_fd: a duplicate while connecting; -1: the node's namespace */
    int fd;
    sd_event_source *io, *finish;
    struct strbuf input;
    char *error;
    char address[NETNS_ADDRESS_SIZE]; /* the pod's own, or "": its loopback */
    bool connected, paused, input_ended, input_shut;
};

static void forward_free(struct agent_forward *f) {
    (void) sd_event_source_disable_unref(f->io);
    (void) sd_event_source_disable_unref(f->finish);
    closep(&f->fd);
    closep(&f->netns_fd);
    strbuf_finish(&f->input);
    sd_event_unref(f->loop);
    free(f->error);
    free(f);
}

static int on_finish(sd_event_source *source, void *userdata) {
    struct agent_forward *f = userdata;

    f->callbacks->end(f->userdata, f->error);
    return 0;
}

/* The end is told from the loop, never from inside a call into the agent. */
static void finish(struct agent_forward *f, char *error_take) {
    f->io = sd_event_source_disable_unref(f->io);
    closep(&f->fd);
    f->fd = -EBADF;
    free(f->error);
    f->error = error_take;
    (void) sd_event_source_set_enabled(f->finish, SD_EVENT_ONESHOT);
}

static void watch(struct agent_forward *f) {
    bool writes = !f->connected || f->input.len > 0;

    if (f->io)
        (void) sd_event_source_set_io_events(f->io, (writes ? (uint32_t) EPOLLOUT : 0) |
                                                        (f->connected && !f->paused ? (uint32_t) EPOLLIN : 0));
}

static void flush(struct agent_forward *f) {
    size_t at = 0;

    while (f->connected && f->fd >= 0 && at < f->input.len) {
        ssize_t n = send(f->fd, f->input.data + at, f->input.len - at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN) /* not read any more; what comes back may still be wanted */
            n = (ssize_t) (f->input.len - at);
        if (n < 0)
            break;
        at += (size_t) n;
    }
    if (at > 0)
        strbuf_consume(&f->input, at);
    if (f->connected && f->fd >= 0 && f->input.len == 0 && f->input_ended && !f->input_shut) {
        f->input_shut = true;
        (void) shutdown(f->fd, SHUT_WR);
    }
    watch(f);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata);

/* Starts to connect to the next family's loopback; -errno when that fails at once. */
static int start(struct agent_forward *f, int family, struct error *err) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t) f->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t) f->port)};
    const int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;

    if (!*f->address || inet_pton(AF_INET, f->address, &v4.sin_addr) != 1)
        v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v6.sin6_addr = in6addr_loopback;
    f->family = family;
    f->io = sd_event_source_disable_unref(f->io);
    closep(&f->fd);
    f->fd = f->netns_fd >= 0 ? netns_socket(f->netns_fd, family, type, 0, err) : socket(family, type, 0);
    if (f->fd < 0)
        return f->netns_fd >= 0 ? f->fd : error_set_errno(err, -errno, "cannot make a socket");
    int r = family == AF_INET ? connect(f->fd, (struct sockaddr *) &v4, sizeof(v4))
                              : connect(f->fd, (struct sockaddr *) &v6, sizeof(v6));
    if (r < 0 && errno != EINPROGRESS)
        return error_set_errno(err, -errno, "cannot connect");
    (void) setsockopt(f->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    r = sd_event_add_io(f->loop, &f->io, f->fd, EPOLLOUT, on_io, f);
    return r < 0 ? error_set_errno(err, r, "cannot watch the connection") : 0;
}

static void refused(struct agent_forward *f, int error) {
    /* the reason of IPv4 is the one people expect: most programs listen there */
    char *text = f->error ? steal(&f->error)
                          : xasprintf("failed to connect to %s:%d inside the pod: %s",
                                      *f->address ? f->address : "localhost", f->port, strerror(error));

    if (f->family == AF_INET && !*f->address && start(f, AF_INET6, NULL) == 0)
        f->error = text;
    else
        finish(f, text);
}

static void check_connected(struct agent_forward *f) {
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error) {
        refused(f, error);
        return;
    }
    f->connected = true;
    free(steal(&f->error));
    closep(&f->netns_fd);
    f->netns_fd = -EBADF;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata) {
    struct agent_forward *f = userdata;
    bool was_full = f->input.len > AGENT_EXEC_BUFFER_HIGH;
    char chunk[CHUNK];

    if (!f->connected) {
        check_connected(f);
        if (f->connected)
            flush(f);
        return 0;
    }
    if (events & EPOLLOUT)
        flush(f);
    if (was_full && f->input.len <= AGENT_EXEC_BUFFER_HIGH)
        f->callbacks->writable(f->userdata);
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || f->paused)
        return 0;
    ssize_t n = recv(fd, chunk, sizeof(chunk), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) /* a reset is an end like another: nothing more comes */
        finish(f, NULL);
    else
        f->callbacks->data(f->userdata, chunk, (size_t) n);
    return 0;
}

int agent_forward_open(struct agent *agent, const char *uid, int port, bool pod_address,
                       const struct agent_forward_callbacks *callbacks, void *userdata, struct agent_forward **ret,
                       struct error *err) {
    struct agent_pod *pod = agent_pod_by_uid(agent, uid);

    if (!pod || !pod->connected || (!pod->host_network && pod->netns_fd < 0))
        return error_set(err, -ENOENT, "the pod is not running on this node");
    if (port < 1 || port > 65535)
        return error_set(err, -EINVAL, "%d is no port", port);
    struct agent_forward *f = xnew0(struct agent_forward);
    *f = (struct agent_forward){
        .loop = sd_event_ref(agent->loop), .callbacks = callbacks, .userdata = userdata, .port = port, .fd = -EBADF};
    if (pod_address)
        (void) snprintf(f->address, sizeof(f->address), "%s", pod->ip);
    f->netns_fd = pod->host_network ? -EBADF : fcntl(pod->netns_fd, F_DUPFD_CLOEXEC, 3);
    int r = !pod->host_network && f->netns_fd < 0 ? error_set_errno(err, -errno, "cannot hold the pod's network") : 0;
    if (r == 0)
        r = sd_event_add_defer(f->loop, &f->finish, on_finish, f);
    if (r >= 0)
        r = sd_event_source_set_enabled(f->finish, SD_EVENT_OFF);
    if (r >= 0)
        r = start(f, AF_INET, err);
    if (r < 0) {
        forward_free(f);
        return r;
    }
    *ret = f;
    return 0;
}

size_t agent_forward_write(struct agent_forward *f, const void *p, size_t n) {
    if (f->input_ended || !f->io)
        return 0;
    strbuf_add(&f->input, p, n);
    flush(f);
    return f->input.len;
}

void agent_forward_write_end(struct agent_forward *f) {
    f->input_ended = true;
    flush(f);
}

void agent_forward_pause(struct agent_forward *f, bool paused) {
    f->paused = paused;
    watch(f);
}

void agent_forward_close(struct agent_forward *f) {
    if (f)
        forward_free(f);
}
