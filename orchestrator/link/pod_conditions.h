/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose conditions in a pod's status are whose: the node writes its own, others write theirs, neither undoes the other.
 * Pure. */
#ifndef PODIUM_LINK_POD_CONDITIONS_H
#define PODIUM_LINK_POD_CONDITIONS_H

#include <stdbool.h>

#include "podium/base/json.h"

/* The status to write for what the node told, given the pod as it is in the store: conditions the node does not own
 * stay as they are there. The caller unrefs. */
struct json *pod_status_to_write(const struct json *pod, const struct json *told);
/* Whether the pod has conditions that others may write at any moment (readiness gates). */
bool pod_has_gates(const struct json *pod);
/* Whether a change of status alone is something the node should hear of: a condition its readiness waits for, or a pod
 * made unready, which may not have been the node's own doing. */
bool pod_status_is_news(const struct json *old, const struct json *pod);

#endif
