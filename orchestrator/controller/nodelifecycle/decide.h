/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What follows from the state of a node, as upstream's pkg/controller/nodelifecycle and tainteviction: conditions of a
 * silent node, taints from conditions, and when pods have to leave. Pure; no clock.
 */
#ifndef PODIUM_CONTROLLER_NODELIFECYCLE_DECIDE_H
#define PODIUM_CONTROLLER_NODELIFECYCLE_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/json.h"

#define TAINT_NOT_READY      "node.kubernetes.io/not-ready"
#define TAINT_UNREACHABLE    "node.kubernetes.io/unreachable"
#define TAINT_OUT_OF_SERVICE "node.kubernetes.io/out-of-service"
#define EVICT_NEVER          UINT64_MAX

/* The status of a node whose heartbeat is overdue: Ready and the pressure conditions Unknown. A new reference; equal to
 * the node's own when it says so already. now: real time. */
struct json *node_status_overdue(const struct json *node, uint64_t now);

/* The whole list of taints the node should have: those that are not ours untouched, ours by its conditions and its
 * `unschedulable`. A new reference, equal to the present list when nothing changes; JSON null for none. */
struct json *node_taints_wanted(const struct json *node, uint64_t now);
bool node_has_taint(const struct json *node, const char *key, const char *effect);

/* How long the pod may stay on the node once its NoExecute taints are there, in microseconds: 0 to leave at once,
 * EVICT_NEVER when it tolerates them for ever or there are none. default_delay: for the two node taints, what a pod
 * gets that does not ask for a time of its own (no toleration, or the very one admission adds). */
uint64_t node_eviction_delay(const struct json *node, const struct json *pod, uint64_t default_delay);

/* The status of a Ready pod on a silent node: Ready False. A new reference, or NULL when it is not Ready anyway. */
struct json *pod_status_not_ready(const struct json *pod, uint64_t now);

#endif
