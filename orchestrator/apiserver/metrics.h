/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /metrics in Prometheus' text form, under the names that dashboards made for kube-apiserver look for: requests by
 * verb, resource and code, their durations, what is under way, open watches, stored objects, the process itself.
 *
 * Threads. Counting takes a lock that belongs (nearly) to the calling thread alone; reading adds all of them up.
 */
#ifndef PODIUM_APISERVER_METRICS_H
#define PODIUM_APISERVER_METRICS_H

#include "orchestrator/apiserver/request.h"

struct metrics;
struct metrics *metrics_new(void);
void metrics_free(struct metrics *m); /* NULL is fine */

/* A request with its method set begins; it ends with the code it was answered with. Long-running ones (watches, logs,
 * exec …) end, as far as this is concerned, when their answer begins. */
void metrics_begin(struct metrics *m, const struct api_request *req);
void metrics_end(struct metrics *m, const struct api_request *req, unsigned code, uint64_t usec);
/* An open watch more or less. */
void metrics_watches(struct metrics *m, int change);

enum api_progress metrics_serve(struct api_request *req);

#endif
