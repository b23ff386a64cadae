/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/curl/sockets.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "podium/base/alloc.h"

struct watched {
    sd_event_source *source;
    int fd; /* libcurl's; the source has its own */
    curl_socket_ready_fn ready;
    void *userdata;
};

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata) {
    const struct watched *w = userdata;

    w->ready(w->userdata, w->fd, events); /* may free it */
    return 0;
}

static void watched_free(struct watched *w) {
    if (!w)
        return;
    sd_event_source_disable_unref(w->source);
    free(w);
}

static struct watched *watched_new(sd_event *loop, int fd, uint32_t events, curl_socket_ready_fn ready,
                                   void *userdata) {
    struct watched *w = xnew0(struct watched);
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);

    *w = (struct watched){.fd = fd, .ready = ready, .userdata = userdata};
    if (own >= 0 && sd_event_add_io(loop, &w->source, own, events, on_io, w) >= 0) {
        (void) sd_event_source_set_io_fd_own(w->source, 1);
        return w;
    }
    if (own >= 0)
        (void) close(own);
    free(w);
    return NULL;
}

int curl_sockets_want(void *multi, sd_event *loop, int fd, int what, void *at_socket, curl_socket_ready_fn ready,
                      void *userdata) {
    struct watched *w = at_socket;
    uint32_t events =
        ((what & CURL_POLL_IN) ? (uint32_t) EPOLLIN : 0) | ((what & CURL_POLL_OUT) ? (uint32_t) EPOLLOUT : 0);

    if (what == CURL_POLL_REMOVE) {
        (void) curl_multi_assign(multi, fd, NULL);
        watched_free(w);
        return 0;
    }
    if (w)
        return sd_event_source_set_io_events(w->source, events) < 0 ? -1 : 0;
    w = watched_new(loop, fd, events, ready, userdata);
    if (!w)
        return -1;
    (void) curl_multi_assign(multi, fd, w);
    return 0;
}
