/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which endpoints a Service with a selector has, by upstream's pkg/controller/endpointslice. Pure. */
#ifndef PODIUM_CONTROLLER_ENDPOINTSLICE_DECIDE_H
#define PODIUM_CONTROLLER_ENDPOINTSLICE_DECIDE_H

#include "orchestrator/controller/slices.h"

#define ENDPOINTSLICE_MANAGER "endpointslice-controller.k8s.io"
#define ENDPOINTSLICE_MAX     100 /* --max-endpoints-per-slice */

struct endpointslice_nodes {
    const struct json *(*get)(void *userdata, const char *name); /* NULL: no such node */
    void *userdata;
};
/* Groups for slices_decide(), NULL when there is no endpoint. Pods on nodes that are not known are left out, and
 * *ret_missing says so. pods: those it does not select are passed over. */
struct json *endpointslice_groups(const struct json *service, struct json *const *pods, size_t n,
                                  const struct endpointslice_nodes *nodes, bool *ret_missing);
/* The labels of its slices: the Service's own, and who they belong to. New. */
struct json *endpointslice_labels(const struct json *service);

#endif
