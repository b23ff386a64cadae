/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/pod/loop.h"

#include <sys/epoll.h>

#include "podium/base/clock.h"

int pod_loop_init(struct pod_loop *loop, struct error *err) {
    *loop = (struct pod_loop){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    return loop->epoll_fd < 0 ? error_set_errno(err, -errno, "cannot make an epoll descriptor") : 0;
}

void pod_loop_finish(struct pod_loop *loop) {
    closep(&loop->epoll_fd);
    loop->epoll_fd = -1;
}

int pod_loop_add(struct pod_loop *loop, struct pod_watch *watch, int fd, uint32_t events,
                 void (*ready)(void *userdata, uint32_t events), void *userdata, struct error *err) {
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return error_set_errno(err, -errno, "cannot watch a descriptor");
    *watch = (struct pod_watch){fd, ready, userdata};
    return 0;
}

void pod_loop_set_events(struct pod_loop *loop, struct pod_watch *watch, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = watch};

    if (watch->fd >= 0)
        (void) epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event);
}

void pod_loop_remove(struct pod_loop *loop, struct pod_watch *watch) {
    if (watch->fd < 0)
        return;
    (void) epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->fd = -1;
    for (int i = 0; i < loop->n_pending; i++)
        if (loop->pending[i] == watch)
            loop->pending[i] = NULL;
}

int pod_loop_run_once(struct pod_loop *loop, uint64_t wake_at, struct error *err) {
    struct epoll_event events[POD_LOOP_BATCH];
    struct timespec timeout, *wait = NULL;

    if (wake_at > 0) {
        uint64_t now = now_monotonic_usec(), left = wake_at > now ? wake_at - now : 0;
        timeout =
            (struct timespec){.tv_sec = (time_t) (left / USEC_PER_SEC), .tv_nsec = (long) (left % USEC_PER_SEC) * 1000};
        wait = &timeout;
    }
    int n = epoll_pwait2(loop->epoll_fd, events, POD_LOOP_BATCH, wait, NULL);
    if (n < 0)
        return errno == EINTR ? 0 : error_set_errno(err, -errno, "cannot wait for events");
    for (int i = 0; i < n; i++)
        loop->pending[i] = events[i].data.ptr;
    loop->n_pending = n;
    for (int i = 0; i < n; i++) {
        struct pod_watch *watch = loop->pending[i];
        if (watch)
            watch->ready(watch->userdata, events[i].events);
    }
    loop->n_pending = 0;
    return 0;
}
