/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From changes of pods to the Services whose endpoints they change, from Services to their pods, and since when changes
 * are due. One loop thread.
 */
#ifndef PODIUM_CONTROLLER_SERVICEWATCH_H
#define PODIUM_CONTROLLER_SERVICEWATCH_H

#include "orchestrator/client/informer.h"
#include "orchestrator/controller/task.h"

/* Adds the indexes the functions below need: a namespace may have thousands of both. */
void service_indexes_add(struct informer *services, struct informer *pods);
/* The pods the service selects may all be found among these: a fresh array, as informer_list() gives it. */
struct json **service_pods(const struct informer *pods, const struct json *service, size_t *ret_n);

struct service_triggers;
/* Services that may show something else after this change of a pod (old or pod NULL: new, gone), added to the queue. */
void services_of_pod_change(struct task_queue *q, struct service_triggers *triggers, const struct informer *services,
                            const struct json *old, const struct json *pod);

/* endpoints.kubernetes.io/last-change-trigger-time: the earliest change since endpoints were last written, as pods and
 * services date them (upstream's TriggerTimeTracker). */
struct service_triggers *service_triggers_new(void);
void service_triggers_free(struct service_triggers *t);
/* usec since the epoch; 0: nothing. */
void service_triggers_note(struct service_triggers *t, const char *key, uint64_t usec);
/* The time as the annotation wants it, and forgets it; NULL: unknown. The caller frees. */
char *service_triggers_take(struct service_triggers *t, const char *key);

#endif
