/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A task: the work on one key of a controller's queue, which may take several requests to the API. It owns the requests
 * under way, so that ending the controller in the middle cancels everything and leaks nothing.
 *
 *   struct sync { struct task task; ...own state... };      task first
 *   static void sync(struct task *t) { ... task_call(t, &request, on_answer, arg); ... }   or task_done(t, 0) at once
 *   static void on_answer(struct task *t, const struct client_result *r, void *arg) { ... task_done(t, r); }
 *
 * Exactly one task_done() ends the task; requests still under way then are cancelled (the server may perform them).
 * One loop thread.
 */
#ifndef PODIUM_CONTROLLER_TASK_H
#define PODIUM_CONTROLLER_TASK_H

#include <stddef.h>

#include "orchestrator/client/client.h"
#include "orchestrator/client/workqueue.h"
#include "podium/base/list.h"

struct task;
typedef void (*task_fn)(struct task *t);
typedef void (*task_answer_fn)(struct task *t, const struct client_result *result, void *arg);

struct task_queue {
    struct client *client;
    struct workqueue *queue;
    struct list running;
    size_t size;    /* of the controller's task struct */
    task_fn sync;   /* begins a task; its memory is zeroed behind the struct task */
    task_fn finish; /* releases what the task's own state holds; may be NULL */
    void *userdata;
};

struct task {
    struct list link;
    struct task_queue *tasks;
    char *key;
    struct list calls;
    size_t pending; /* requests under way */
};

void task_queue_init(struct task_queue *q, sd_event *loop, struct client *c, unsigned concurrency, size_t size,
                     task_fn sync, task_fn finish, void *userdata);
void task_queue_finish(struct task_queue *q);
void task_queue_add(struct task_queue *q, const char *ns, const char *name);
/* The key of an object: "ns/name", "/name" for cluster scope. */
void task_queue_add_object(struct task_queue *q, const struct json *object);

/* answer is called once, with pending already lowered; it may end the task. */
void task_call(struct task *t, const struct client_request *r, task_answer_fn answer, void *arg);
/* The same for common requests. Creates `object`, or updates `have`, as the API has it, to it. */
void task_write(struct task *t, const struct resource *resource, const struct json *have, struct json *object,
                task_answer_fn answer, void *arg);
/* Deletes this very object: another one of its name (uid) stays. options_take: further DeleteOptions, or NULL. */
void task_delete(struct task *t, const struct resource *resource, const struct json *object, struct json *options_take,
                 task_answer_fn answer, void *arg);
/* A task_answer_fn for deletions that ends the task: it is gone, or another one by now. */
void task_removed(struct task *t, const struct client_result *result, void *arg);
/* result 0, or -errno: the key comes back after its back-off. Frees the task. */
void task_done(struct task *t, int result);
/* The key again after this time (microseconds), whatever else happens. */
void task_again_after(struct task *t, uint64_t usec);
/* True when the write was refused because its namespace is being deleted: no error, the end. */
bool task_namespace_is_ending(const struct client_result *r);

#endif
