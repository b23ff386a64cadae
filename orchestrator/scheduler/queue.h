/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scheduling queue: pods that wait for a node.
 *
 * A pod is in one of four places:
 *   active         to be tried now; highest priority first, then first come
 *   back-off       to be tried when its time comes: 1 s after the first failure, doubling to 10 s
 *   unschedulable  nothing to try until something happens that may let it fit
 *   out            handed out by sched_queue_pop(): being decided on or bound
 *
 * An event moves only those unschedulable pods that it may help: some plugin that refused the pod cares for this kind
 * of event, and the pod now passes the filters on the node in question. As a safety net, as upstream, whoever waits for
 * five minutes is tried again.
 *
 * Pure but for its own state: the time (monotonic microseconds) is passed in. One loop thread.
 */
#ifndef PODIUM_SCHEDULER_QUEUE_H
#define PODIUM_SCHEDULER_QUEUE_H

#include "orchestrator/scheduler/model.h"

struct sched_queue;

struct sched_queue *sched_queue_new(void);
void sched_queue_free(struct sched_queue *q);
DEFINE_CLEANUP(struct sched_queue *, sched_queue_free)

/* Adds a pod, or updates one that is waiting (same key): a changed spec or labels get an unschedulable pod tried again,
 * a changed uid is another pod. Takes the pod_info. */
void sched_queue_put(struct sched_queue *q, struct pod_info *take, uint64_t now);
/* Removes it wherever it is, also when it is out. Unknown keys are fine. */
void sched_queue_remove(struct sched_queue *q, const char *key);
/* The next pod to try, now out; borrowed until it is removed or replaced; NULL when there is none. */
const struct pod_info *sched_queue_pop(struct sched_queue *q, uint64_t now);
/* Give a pod that is out back. Nothing happens when it is not out any more. */
void sched_queue_unschedulable(struct sched_queue *q, const char *key, unsigned plugins, uint64_t now);
void sched_queue_back_off(struct sched_queue *q, const char *key, uint64_t now);
/* Something happened (enum sched_event) on a node. Returns how many pods were moved. */
size_t sched_queue_event(struct sched_queue *q, unsigned events, const struct node_info *node, uint64_t now);
/* When sched_queue_pop() may next have a pod: 0 now, UINT64_MAX never unless something happens. */
uint64_t sched_queue_next_time(const struct sched_queue *q);

struct sched_queue_sizes {
    size_t active, back_off, unschedulable, out;
};
struct sched_queue_sizes sched_queue_sizes(const struct sched_queue *q);

#endif
