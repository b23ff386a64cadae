/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a pod's status says, and conditions of any object. Pure; the clock is passed in. */
#ifndef PODIUM_CONTROLLER_PODSTATE_H
#define PODIUM_CONTROLLER_PODSTATE_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/json.h"

const char *pod_phase(const struct json *pod); /* "" when unset */
const char *pod_node(const struct json *pod);  /* "" while unassigned */
/* For informer_add_index: adds the node's name unless the pod is unassigned. */
void pod_node_key(const struct json *pod, char ***keys);
bool pod_is_finished(const struct json *pod); /* Succeeded or Failed */
/* Neither finished nor being deleted. */
bool pod_is_active(const struct json *pod);
bool pod_is_ready(const struct json *pod);
/* Ready for at least min_ready seconds. now: real time in microseconds. When ready but not yet available, *ret_wait
 * (may be NULL) is lowered to the time until it will be. */
bool pod_is_available(const struct json *pod, int64_t min_ready, uint64_t now, uint64_t *ret_wait);
/* Since when it has been ready; 0 when it is not or does not say. */
uint64_t pod_ready_since(const struct json *pod);

/* status.conditions[type]; NULL when absent. Borrowed. */
const struct json *condition_find(const struct json *object, const char *type);
/* "True", "False", "Unknown"; "" when absent. */
const char *condition_status(const struct json *object, const char *type);

#endif
