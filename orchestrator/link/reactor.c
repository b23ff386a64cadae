/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/link/reactor.h"

#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/list.h"

#define BATCH             64 /* descriptors in a turn of the loop: it has other work, too */
#define MESSAGES_PER_TURN 32 /* of one bus */

struct reactor {
    sd_event *loop;
    int epoll;
    sd_event_source *ready;
    sd_event_source *again; /* while buses have more to do than their descriptors say */
    struct list busy;       /* those pumps */
    struct epoll_event events[BATCH];
    int n_events; /* of the batch under way */
};

struct fd_watch {
    struct reactor *reactor;
    int fd;
    uint32_t events;
    fd_watch_fn fn;
    void *userdata;
};

struct bus_pump {
    struct list busy;
    struct reactor *reactor;
    sd_bus *bus;
    struct fd_watch *watch;
    sd_event_source *timer; /* of calls that must be answered in time */
    uint64_t due;
    bool turning;
};

/* --- descriptors --- */

static int on_ready(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
    struct reactor *r = userdata;

    r->n_events = epoll_wait(r->epoll, r->events, BATCH, 0);
    for (int i = 0; i < r->n_events; i++) {
        struct fd_watch *w = r->events[i].data.ptr;
        if (w) /* else: freed meanwhile */
            w->fn(w->userdata, r->events[i].events);
    }
    r->n_events = 0;
    return 0;
}

int fd_watch_new(struct reactor *r, int fd, uint32_t events, fd_watch_fn fn, void *userdata, struct fd_watch **ret,
                 struct error *err) {
    struct fd_watch *w = xnew0(struct fd_watch);
    struct epoll_event e = {.events = events, .data.ptr = w};

    *w = (struct fd_watch){.reactor = r, .fd = fd, .events = events, .fn = fn, .userdata = userdata};
    if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &e) < 0) {
        free(w);
        return error_set_errno(err, -errno, "cannot watch a connection");
    }
    *ret = w;
    return 0;
}

void fd_watch_set(struct fd_watch *w, uint32_t events) {
    struct epoll_event e = {.events = events, .data.ptr = w};

    if (events == w->events)
        return;
    w->events = events;
    (void) epoll_ctl(w->reactor->epoll, EPOLL_CTL_MOD, w->fd, &e);
}

void fd_watch_free(struct fd_watch *w) {
    if (!w)
        return;
    (void) epoll_ctl(w->reactor->epoll, EPOLL_CTL_DEL, w->fd, NULL);
    for (int i = 0; i < w->reactor->n_events; i++)
        if (w->reactor->events[i].data.ptr == w)
            w->reactor->events[i].data.ptr = NULL;
    free(w);
}

/* --- buses --- */

static void process(struct bus_pump *p);

static int on_again(sd_event_source *s, void *userdata) {
    struct reactor *r = userdata;
    struct list taken;

    list_init(&taken);
    while (!list_empty(&r->busy)) { /* those that are put there meanwhile wait for the next turn */
        struct list *l = r->busy.next;
        list_remove(l);
        list_append(&taken, l);
    }
    while (!list_empty(&taken)) {
        struct bus_pump *p = list_entry(taken.next, struct bus_pump, busy);
        list_remove(&p->busy);
        process(p);
    }
    return 0;
}

static void put_busy(struct bus_pump *p) {
    if (list_empty(&p->busy))
        list_append(&p->reactor->busy, &p->busy);
    (void) sd_event_source_set_enabled(p->reactor->again, SD_EVENT_ONESHOT);
}

static int on_due(sd_event_source *s, uint64_t usec, void *userdata) {
    struct bus_pump *p = userdata;

    p->due = UINT64_MAX;
    process(p);
    return 0;
}

static void set_due(struct bus_pump *p, uint64_t due) {
    int r = 0;

    if (due == p->due)
        return;
    p->due = due;
    if (due == UINT64_MAX)
        (void) sd_event_source_set_enabled(p->timer, SD_EVENT_OFF);
    else if (!p->timer)
        r = sd_event_add_time(p->reactor->loop, &p->timer, CLOCK_MONOTONIC, due, 0, on_due, p);
    else {
        (void) sd_event_source_set_time(p->timer, due);
        r = sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
    }
    if (r < 0)
        put_busy(p); /* without a timer: asked again at once */
}

void bus_pump_sent(struct bus_pump *p) {
    uint64_t due = UINT64_MAX;

    if (!p || p->turning)
        return;
    int events = sd_bus_get_events(p->bus);
    fd_watch_set(p->watch, events > 0 ? (uint32_t) events : 0); /* poll(2)'s and epoll(7)'s bits are the same */
    if (sd_bus_get_timeout(p->bus, &due) >= 0 && due == 0) {
        put_busy(p); /* messages read but not dispatched, or the connection is going */
        due = UINT64_MAX;
    }
    set_due(p, due);
}

static void process(struct bus_pump *p) {
    int r = 1;

    p->turning = true;
    for (int i = 0; i < MESSAGES_PER_TURN && r > 0; i++)
        r = sd_bus_process(p->bus, NULL);
    p->turning = false;
    if (r > 0)
        put_busy(p);
    bus_pump_sent(p);
}

static void on_bus_ready(void *userdata, uint32_t revents) {
    process(userdata);
}

int bus_pump_new(struct reactor *r, sd_bus *bus, struct bus_pump **ret, struct error *err) {
    struct bus_pump *p = xnew0(struct bus_pump);

    list_init(&p->busy);
    p->reactor = r;
    p->bus = bus;
    p->due = UINT64_MAX;
    int n = fd_watch_new(r, sd_bus_get_fd(bus), EPOLLIN, on_bus_ready, p, &p->watch, err);
    if (n < 0) {
        free(p);
        return n;
    }
    bus_pump_sent(p);
    *ret = p;
    return 0;
}

void bus_pump_free(struct bus_pump *p) {
    if (!p)
        return;
    list_remove(&p->busy);
    fd_watch_free(p->watch);
    sd_event_source_disable_unref(p->timer);
    free(p);
}

/* --- the whole --- */

int reactor_new(sd_event *loop, struct reactor **ret, struct error *err) {
    struct reactor *r = xnew0(struct reactor);

    list_init(&r->busy);
    r->loop = loop;
    r->epoll = epoll_create1(EPOLL_CLOEXEC);
    int n = r->epoll < 0 ? -errno : sd_event_add_io(loop, &r->ready, r->epoll, EPOLLIN, on_ready, r);
    if (n >= 0)
        n = sd_event_add_defer(loop, &r->again, on_again, r);
    if (n >= 0)
        n = sd_event_source_set_enabled(r->again, SD_EVENT_OFF);
    if (n < 0) {
        reactor_free(r);
        return error_set_errno(err, n, "cannot watch connections");
    }
    *ret = r;
    return 0;
}

void reactor_free(struct reactor *r) {
    if (!r)
        return;
    sd_event_source_disable_unref(r->ready);
    sd_event_source_disable_unref(r->again);
    if (r->epoll >= 0)
        (void) close(r->epoll);
    free(r);
}
