/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a controller wrote and its informer has not shown yet, by the key of the work: deciding again before would write
 * the same twice. And the writing of a slice plan. One loop thread.
 */
#ifndef PODIUM_CONTROLLER_WRITES_H
#define PODIUM_CONTROLLER_WRITES_H

#include "orchestrator/client/informer.h"
#include "orchestrator/controller/slices.h"
#include "orchestrator/controller/task.h"

struct write_tracker;
/* informer: of the objects written. */
struct write_tracker *write_tracker_new(const struct informer *informer);
void write_tracker_free(struct write_tracker *w);

/* `object` is how the server answered a write for `key`. */
void write_tracker_expect(struct write_tracker *w, const char *key, const struct json *object);
/* True when something written for the key is still to be seen, or the key rests. The caller then ends its task; it
 * comes again by write_tracker_saw(), at the latest after a few seconds. */
bool write_tracker_waits(struct write_tracker *w, struct task *t);
/* What was written for the key is big: what changes within this time is written together. */
void write_tracker_rest(struct write_tracker *w, const char *key, uint64_t usec);
/* From the informer's handler. True when the key should be worked on: the change is not (only) what was written. */
bool write_tracker_saw(struct write_tracker *w, const char *key, const struct json *old, const struct json *object);

/* The same for a slice managed by `manager`, with the keys of its services: those to be worked on are queued. */
void write_tracker_slice_changed(struct write_tracker *w, struct task_queue *q, const char *manager,
                                 const struct json *old, const struct json *slice);

/* A plan being written. Part of the task's own state; zero it, then set what is above the line. */
struct slice_writes {
    struct write_tracker *tracker;
    const struct resource *resource;
    const char *ns;
    void (*done)(struct task *t, int result); /* once; ends the task */
    /* --- */
    int result;
};
/* Calls done at once when there is nothing to write. */
void slices_write(struct task *t, struct slice_writes *w, const struct slice_plan *plan);

#endif
