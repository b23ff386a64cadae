/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a pod was granted of its node, and what becomes of a wish for another size (KEP-1287, in-place resize). Pure.
 *
 * What it is. An allocation is an object: container name → {resources, number, restart}. The number grows with every
 * grant that changes the container; `restart` is the number of the newest one for which its resizePolicy wants it to be
 * started anew. It stands in the pod's folder (pod.json), so a grant is carried out also by an agent that was not there
 * when it was made: the supervisor says with which number each container runs.
 *
 * Source of the behaviour: the kubelet of Kubernetes 1.32 (canResizePod, computePodResizeAction).
 */
#ifndef PODIUM_AGENT_ALLOCATION_H
#define PODIUM_AGENT_ALLOCATION_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/json.h"

/* The first: what the pod asks for. The caller unrefs, as always here. */
struct json *allocation_new(const struct json *pod);
/* Whether the pod asks for something else. */
bool allocation_differs(const struct json *allocation, const struct json *pod);
/* The pod with what it was granted in place of what it asks for: what the node works with. */
struct json *allocation_apply(const struct json *allocation, const struct json *pod);
/* What it asks for is granted. */
struct json *allocation_grant(const struct json *allocation, const struct json *pod);

enum resize_verdict { RESIZE_FITS, RESIZE_DEFERRED /* perhaps later */, RESIZE_INFEASIBLE /* never here */ };
struct resize_room {
    int64_t cpu_milli, memory;           /* what pods may have of the node */
    int64_t cpu_milli_used, memory_used; /* what the other pods were granted */
};
enum resize_verdict resize_judge(const struct resize_room *room, int64_t cpu_milli, int64_t memory);

enum resize_step { RESIZE_DONE, RESIZE_APPLY /* while it runs */, RESIZE_RESTART };
/* granted: the container's member of the allocation; state: its part of the supervisor's state. */
enum resize_step resize_next(const struct json *granted, const struct json *state);

#endif
