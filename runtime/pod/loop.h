/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The supervisor's event loop: epoll with a callback per descriptor, nothing more.
 *
 * A watch is the caller's memory and must stay where it is while added. A callback may remove any watch, also its own
 * and ones with events pending in the same round (those are then skipped).
 */
#ifndef PODIUM_POD_LOOP_H
#define PODIUM_POD_LOOP_H

#include <stdint.h>

#include "podium/base/error.h"

struct pod_watch {
    int fd; /* borrowed; -1 when not added */
    void (*ready)(void *userdata, uint32_t events);
    void *userdata;
};
#define POD_WATCH_INIT                                                                                                 \
    { -1, NULL, NULL }

#define POD_LOOP_BATCH 16

struct pod_loop {
    int epoll_fd;
    struct pod_watch *pending[POD_LOOP_BATCH]; /* of the round being dispatched */
    int n_pending;
};

int pod_loop_init(struct pod_loop *loop, struct error *err) _must_check_;
void pod_loop_finish(struct pod_loop *loop);
int pod_loop_add(struct pod_loop *loop, struct pod_watch *watch, int fd, uint32_t events,
                 void (*ready)(void *userdata, uint32_t events), void *userdata, struct error *err) _must_check_;
void pod_loop_set_events(struct pod_loop *loop, struct pod_watch *watch, uint32_t events);
void pod_loop_remove(struct pod_loop *loop, struct pod_watch *watch); /* before its descriptor is closed */
/* Waits for events (wake_at: monotonic usec, 0: for ever) and dispatches them. */
int pod_loop_run_once(struct pod_loop *loop, uint64_t wake_at, struct error *err) _must_check_;

#endif
