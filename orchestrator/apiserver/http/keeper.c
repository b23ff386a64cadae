/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"

struct keeper {
    pthread_mutex_t lock;
    struct list entries;
    int epoll, timer, stop;
    uint64_t armed; /* what the timer is set to; 0: off */
    pthread_t thread;
};

static uint64_t round_up(uint64_t usec) {
    return (usec + USEC_PER_SEC - 1) / USEC_PER_SEC * USEC_PER_SEC;
}

/* Under the lock. */
static void arm(struct keeper *k, uint64_t due) {
    due = round_up(due);
    if (k->armed && k->armed <= due)
        return;
    struct itimerspec t = {.it_value = {.tv_sec = (time_t) (due / USEC_PER_SEC), .tv_nsec = 1}};
    (void) timerfd_settime(k->timer, TFD_TIMER_ABSTIME, &t, NULL);
    k->armed = due;
}

static void timer_expired(struct keeper *k) {
    uint64_t count, now = now_monotonic_usec(), next = 0;
    struct keeper_entry *e;
    (void) !read(k->timer, &count, sizeof(count));
    k->armed = 0;
    list_foreach(e, &k->entries, link) {
        if (e->due && e->due <= now) {
            e->due = 0; /* until it is set anew */
            e->wake(e, false);
        } else if (e->due && (!next || e->due < next)) {
            next = e->due;
        }
    }
    if (next)
        arm(k, next);
}

/* An event may be about an entry that has gone since epoll_wait() returned, and another may live at its address by now:
 * only known entries are touched, and the socket is asked again. */
static void peer_event(struct keeper *k, void *known) {
    struct keeper_entry *e;
    list_foreach(e, &k->entries, link) {
        if (e != known)
            continue;
        struct pollfd p = {.fd = e->fd, .events = (short) (POLLRDHUP | (e->input ? POLLIN : 0))};
        if (poll(&p, 1, 0) > 0)
            e->wake(e, (p.revents & ~POLLIN) != 0);
        return;
    }
}

static void *keeper_main(void *userdata) {
    struct keeper *k = userdata;
    struct epoll_event events[32];
    for (;;) {
        int n = epoll_wait(k->epoll, events, ARRAY_LEN(events), -1);
        (void) pthread_mutex_lock(&k->lock);
        bool stop = false;
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == &k->stop)
                stop = true;
            else if (events[i].data.ptr == &k->timer)
                timer_expired(k);
            else
                peer_event(k, events[i].data.ptr);
        }
        (void) pthread_mutex_unlock(&k->lock);
        if (stop)
            return NULL;
    }
}

static uint32_t events_of(const struct keeper_entry *e) {
    return EPOLLRDHUP | EPOLLONESHOT | (e->input ? (uint32_t) EPOLLIN : 0);
}

static int register_fd(struct keeper *k, int fd, uint32_t events, void *ptr) {
    struct epoll_event e = {.events = events, .data.ptr = ptr};
    return epoll_ctl(k->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

static void release(struct keeper *k) {
    closep(&k->epoll);
    closep(&k->timer);
    closep(&k->stop);
    (void) pthread_mutex_destroy(&k->lock);
    free(k);
}

int keeper_new(struct keeper **ret, struct error *err) {
    struct keeper *k = xnew0(struct keeper);
    list_init(&k->entries);
    (void) pthread_mutex_init(&k->lock, NULL);
    k->epoll = epoll_create1(EPOLL_CLOEXEC);
    k->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    k->stop = eventfd(0, EFD_CLOEXEC);
    int r = k->epoll < 0 || k->timer < 0 || k->stop < 0 ? -errno : 0;
    if (r == 0)
        r = register_fd(k, k->timer, EPOLLIN, &k->timer);
    if (r == 0)
        r = register_fd(k, k->stop, EPOLLIN, &k->stop);
    if (r == 0)
        r = -pthread_create(&k->thread, NULL, keeper_main, k);
    if (r == 0)
        (void) pthread_setname_np(k->thread, "watches");
    if (r < 0) {
        release(k);
        return error_set_errno(err, r, "cannot start the thread that looks after watches");
    }
    *ret = k;
    return 0;
}

void keeper_free(struct keeper *k) {
    if (!k)
        return;
    (void) !write(k->stop, &(uint64_t){1}, sizeof(uint64_t));
    (void) pthread_join(k->thread, NULL);
    release(k);
}

void keeper_add(struct keeper *k, struct keeper_entry *e, int socket) {
    (void) pthread_mutex_lock(&k->lock);
    e->fd = socket >= 0 ? fcntl(socket, F_DUPFD_CLOEXEC, 3) : -1;
    list_append(&k->entries, &e->link);
    if (e->fd >= 0)
        (void) register_fd(k, e->fd, events_of(e), e);
    if (e->due)
        arm(k, e->due);
    (void) pthread_mutex_unlock(&k->lock);
}

void keeper_listen(struct keeper *k, struct keeper_entry *e) {
    struct epoll_event event = {.events = events_of(e), .data.ptr = e};

    if (e->fd >= 0)
        (void) epoll_ctl(k->epoll, EPOLL_CTL_MOD, e->fd, &event);
}

void keeper_set_due(struct keeper *k, struct keeper_entry *e, uint64_t due) {
    (void) pthread_mutex_lock(&k->lock);
    if (e->due != due) {
        e->due = due;
        arm(k, due);
    }
    (void) pthread_mutex_unlock(&k->lock);
}

void keeper_remove(struct keeper *k, struct keeper_entry *e) {
    (void) pthread_mutex_lock(&k->lock);
    list_remove(&e->link);
    if (e->fd >= 0) {
        (void) epoll_ctl(k->epoll, EPOLL_CTL_DEL, e->fd, NULL); /* closing alone would leave it: the socket lives on */
        closep(&e->fd);
        e->fd = -EBADF;
    }
    (void) pthread_mutex_unlock(&k->lock);
}

void keeper_wake_all(struct keeper *k) {
    struct keeper_entry *e;
    (void) pthread_mutex_lock(&k->lock);
    list_foreach(e, &k->entries, link) e->wake(e, true);
    (void) pthread_mutex_unlock(&k->lock);
}
