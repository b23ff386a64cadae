/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scheduler: gives pods without a node the node that suits them best.
 *
 * What it is. Informers of pods and nodes keep a cache and a queue; while there is something to try, one pod after the
 * other is decided on (cycle.c, pure) and bound: POST pods/NAME/binding. Until the binding is seen in the informer
 * the pod is assumed to be on its node, so decisions do not wait for writes. Pods that fit nowhere get a
 * FailedScheduling event and the condition PodScheduled=False, and wait for something that may help them.
 *
 * Left alone: pods with another schedulerName, with a nodeName, being deleted, or finished. Pods with schedulingGates
 * wait with the reason SchedulingGated.
 *
 * Reading order: model.h (what it knows), cycle.c and plugins/ (deciding), queue.c, cache.c, scheduler.c (wiring),
 * bind.c and condition.c (writing).
 *
 * Threads: the loop's. Ownership: loop, client and informers must outlive it.
 */
#ifndef PODIUM_SCHEDULER_SCHEDULER_H
#define PODIUM_SCHEDULER_SCHEDULER_H

#include <systemd/sd-event.h>

#include "orchestrator/client/client.h"
#include "orchestrator/client/informer.h"
#include "podium/base/error.h"

struct scheduler;

struct scheduler_options {
    const char *name;      /* of spec.schedulerName and in events; NULL: "default-scheduler" */
    unsigned percentage;   /* of the nodes to choose among; 0: adaptive, as upstream */
    unsigned bindings_max; /* bindings under way at a time; 0: 1024 */
};

/* Starts with the loop, as soon as both informers are in sync. options may be NULL. */
int scheduler_new(sd_event *loop, struct client *client, struct informer_set *informers,
                  const struct scheduler_options *options, struct scheduler **ret, struct error *err) _must_check_;
/* Bindings under way are cancelled; whether they happened is found out by the next one that starts. */
void scheduler_free(struct scheduler *s);
DEFINE_CLEANUP(struct scheduler *, scheduler_free)

struct scheduler_stats {
    size_t nodes, pods; /* in the cache: pods with a node, assumed ones too */
    size_t active, back_off, unschedulable, binding;
    uint64_t scheduled, attempts; /* since the start */
};
struct scheduler_stats scheduler_stats(const struct scheduler *s);

#endif
