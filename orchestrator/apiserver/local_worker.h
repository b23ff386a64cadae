/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One thread that runs tasks in the order they were posted: where an in-process client's requests are decoded, checked
 * and encoded, so that the loop's thread only hands over and takes answers. One thread for each client keeps the order
 * in which a part of the server writes.
 */
#ifndef PODIUM_APISERVER_LOCAL_WORKER_H
#define PODIUM_APISERVER_LOCAL_WORKER_H

#include "orchestrator/apiserver/loop_queue.h"

struct local_worker;

/* Starts the thread, all signals blocked. */
int local_worker_new(struct local_worker **ret, struct error *err) _must_check_;
/* Any thread. The task is the poster's again when its run() is called, on the worker's thread. */
void local_worker_post(struct local_worker *w, struct loop_task *t);
/* Runs what is queued, then ends the thread. Not on the worker's thread. NULL: nothing. */
void local_worker_free(struct local_worker *w);

#endif
