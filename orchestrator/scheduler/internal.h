/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What scheduler.c, bind.c and condition.c share; nobody else includes it. */
#ifndef PODIUM_SCHEDULER_INTERNAL_H
#define PODIUM_SCHEDULER_INTERNAL_H

#include "orchestrator/client/events.h"
#include "orchestrator/scheduler/cache.h"
#include "orchestrator/scheduler/cycle.h"
#include "orchestrator/scheduler/queue.h"
#include "orchestrator/scheduler/scheduler.h"
#include "podium/base/list.h"

struct scheduler {
    struct client *client;
    struct informer *pods, *nodes; /* borrowed */
    struct event_recorder *recorder;
    struct sched_cache *cache;
    struct sched_queue *queue;
    struct sched_scratch scratch;
    sd_event_source *work;  /* runs cycles; on while there is something to try */
    sd_event_source *timer; /* the next back-off that ends */
    char *name;
    unsigned percentage, bindings_max;
    size_t start;       /* where the next search begins */
    struct list writes; /* struct sched_write: requests under way */
    size_t n_bindings;
    uint64_t scheduled, attempts;
};

/* A request under way: a binding, or a condition. */
struct sched_write {
    struct list link;
    struct scheduler *scheduler;
    struct client_call *call;
    struct json *pod;
    char *key, *node; /* node: NULL for a condition */
};
struct sched_write *sched_write_new(struct scheduler *s, struct json *pod, const char *node);
void sched_write_free(struct sched_write *w); /* cancels it if it is still under way */

/* scheduler.c: looks at a pod as if it had just changed; the informer has the newest state. */
void sched_reconsider(struct scheduler *s, const char *ns, const char *name);
void sched_kick(struct scheduler *s);

/* bind.c: the pod, assumed on the node, is bound to it. */
void sched_bind(struct scheduler *s, const struct pod_info *pod, const char *node_name);

/* condition.c: PodScheduled=False with this reason, unless the pod says so already. */
void sched_set_condition(struct scheduler *s, struct json *pod, const char *reason, const char *message);

#endif
