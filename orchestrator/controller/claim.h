/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Claiming: which children (pods, ReplicaSets) an owner controls by its selector. Children that match and have no
 * controller are adopted, controlled ones that match no more are released, as upstream's ControllerRefManager does. An
 * owner being deleted takes and releases nothing. Before the first adoption the owner is read live: the garbage
 * collector may just be orphaning these children.
 */
#ifndef PODIUM_CONTROLLER_CLAIM_H
#define PODIUM_CONTROLLER_CLAIM_H

#include "orchestrator/controller/task.h"
#include "orchestrator/object/selector.h"

/* Part of a task's state; claim_finish() in the task's finish. */
struct claim {
    const struct resource *owner_resource, *child_resource;
    struct json *owner;
    struct selector *selector;
    bool (*adoptable)(const struct json *child); /* NULL: all but those being deleted */
    struct json *candidates;                     /* kept while the owner is read */
    struct json *mine;                           /* the result: an array of children */
    int result;
    void (*done)(struct task *t, int result);
};

/* candidates: what the owner controls and the orphans of its namespace. Calls done(t, 0) with c->mine filled, maybe at
 * once, or done(t, -errno) when a child could not be settled: then nothing must be decided from c->mine. c->owner and
 * c->selector are taken over; the other inputs are set by the caller before. */
void claim_begin(struct task *t, struct claim *c, struct json *const *candidates, size_t n);
void claim_finish(struct claim *c);

#endif
