/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Work queue of keys ("ns/name"): a key queued several times is worked on once; a key re-queued while being worked on
 * runs again afterwards; failures come back with exponential back-off. Level-triggered: the sync function re-reads.
 * One loop thread; the queue runs its keys from a deferred event source, `concurrency` at a time.
 */
#ifndef PODIUM_CLIENT_WORKQUEUE_H
#define PODIUM_CLIENT_WORKQUEUE_H

#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "podium/base/cleanup.h"

struct workqueue;
/* Works on one key. Call workqueue_done() for it now or later, exactly once. The key is valid until that call. */
typedef void (*workqueue_sync_fn)(void *userdata, const char *key);

struct workqueue *workqueue_new(sd_event *loop, unsigned concurrency, workqueue_sync_fn sync, void *userdata);
/* Not from inside the sync function. Keys under way are forgotten: no workqueue_done() for them any more. */
void workqueue_free(struct workqueue *q);
DEFINE_CLEANUP(struct workqueue *, workqueue_free)
void workqueue_add(struct workqueue *q, const char *key);
/* Adds the key after a while; of several such calls for one key the earliest counts. */
void workqueue_add_after(struct workqueue *q, const char *key, uint64_t usec);
/* result 0: forget failures. < 0: run again after back-off (5 ms doubling to `max`, default 1000 s as upstream). */
void workqueue_done(struct workqueue *q, const char *key, int result);
void workqueue_set_max_backoff(struct workqueue *q, uint64_t usec);
/* Keys waiting to run now, running, or waiting for a timer. */
size_t workqueue_len(const struct workqueue *q);

#endif
