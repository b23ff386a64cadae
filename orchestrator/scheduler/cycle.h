/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One scheduling decision: a snapshot and a pod in, a node or the reasons against all of them out.
 *
 * Pure: no I/O, no clock, no randomness of its own, no allocation beyond the scratch space, which is reused. In big
 * clusters not every node is looked at: the search starts where the last one ended and stops when enough nodes are
 * found to choose among (upstream's percentageOfNodesToScore, adaptive: 50 % of 100 nodes … 10 % of 5,000, at least 5
 * %).
 */
#ifndef PODIUM_SCHEDULER_CYCLE_H
#define PODIUM_SCHEDULER_CYCLE_H

#include "orchestrator/scheduler/model.h"
#include "orchestrator/scheduler/plugins/plugin.h"

/* Zero-initialise; sched_scratch_finish() at the end. */
struct sched_scratch {
    const struct node_info **feasible;
    int64_t *score, *total;
    size_t cap;
    struct refusals refusals; /* of the last cycle */
};
void sched_scratch_finish(struct sched_scratch *s);

struct sched_request {
    struct node_info *const *nodes;
    size_t n_nodes;
    const struct pod_info *pod;
    size_t start;        /* any number; where to begin among the nodes */
    unsigned percentage; /* of nodes to choose among; 0: adaptive */
    uint64_t random;     /* decides between equals */
};
struct sched_choice {
    const struct node_info *node; /* NULL: none, see scratch->refusals */
    size_t examined, feasible;
    size_t next_start;
};
void sched_cycle(const struct sched_request *q, struct sched_scratch *s, struct sched_choice *ret);

/* How many feasible nodes are enough. */
size_t sched_enough_nodes(size_t n_nodes, unsigned percentage);
/* Whether every filter lets the pod onto the node. */
bool sched_would_fit(const struct pod_info *pod, const struct node_info *node);
/* "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable." The caller frees. */
char *sched_refusal_message(const struct refusals *r, size_t n_nodes);

#endif
