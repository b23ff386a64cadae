/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs functions on the thread of an sd-event loop, from any thread, in order. One eventfd; idle when nothing is
 * queued. */
#ifndef PODIUM_APISERVER_LOOP_QUEUE_H
#define PODIUM_APISERVER_LOOP_QUEUE_H

#include <systemd/sd-event.h>

#include "podium/base/error.h"
#include "podium/base/list.h"

struct loop_queue;

/* Embedded in what is posted; in at most one queue at a time. */
struct loop_task {
    struct list link;
    void (*run)(struct loop_task *t);
};
int loop_queue_new(sd_event *loop, struct loop_queue **ret, struct error *err) _must_check_;
void loop_queue_free(struct loop_queue *q); /* on the loop's thread; drops what has not run */
void loop_queue_post(struct loop_queue *q, struct loop_task *t);
/* Waits for a task and runs what is there: for owners that must see their tasks through before they go. On the loop's
 * thread. */
void loop_queue_wait(struct loop_queue *q);
void loop_queue_run(struct loop_queue *q); /* the same without waiting */
/* Takes a task back: it will not run. On the loop's thread. */
void loop_queue_withdraw(struct loop_queue *q, struct loop_task *t);

#endif
