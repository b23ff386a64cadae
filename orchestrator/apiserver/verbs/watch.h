/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One watch: initial state, then changes, filtered by selectors, with bookmarks and an end. Pulled by the transport.
 *
 * Threads. One at a time, save for the wake function, which the store's commit thread calls after api_watch_next()
 * returned 0. Timers are the transport's: it must pull again at api_watch_due().
 */
#ifndef PODIUM_APISERVER_WATCH_H
#define PODIUM_APISERVER_WATCH_H

#include "orchestrator/apiserver/request.h"

struct watch_event {
    const char *type;        /* "ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR" */
    struct store_item *item; /* the object; borrowed until the next call; or NULL and … */
    struct json *object;     /* … the object as a document, borrowed likewise */
    bool shared;             /* the item is a change: every other watcher is being given the same */
};

/* Before the first pull. */
void api_watch_set_wake(struct api_watch *w, store_wake_fn wake, void *userdata);
/* Nothing is dropped before this watch has seen it: store_watch_hold(). */
void api_watch_hold(struct api_watch *w);
/* 1: *ret filled; 0: nothing now, wake is armed; -1: the watch has ended. */
int api_watch_next(struct api_watch *w, struct watch_event *ret);
/* Monotonic microseconds at which to pull even without a wake. */
uint64_t api_watch_due(const struct api_watch *w);
const struct resource *api_watch_resource(const struct api_watch *w);
void api_watch_free(struct api_watch *w); /* NULL is fine */

#endif
