/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a ReplicaSet or ReplicationController needs done, as upstream's pkg/controller/replicaset: pure functions of the
 * owner and its pods; no I/O, no clock.
 */
#ifndef PODIUM_CONTROLLER_REPLICASET_DECIDE_H
#define PODIUM_CONTROLLER_REPLICASET_DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/json.h"

/* Requests of one sync, so that a huge owner does not drown the server. */
#define REPLICASET_BURST 500

struct replicaset_plan {
    size_t create;
    struct json **remove; /* borrowed, the most expendable first; the caller frees the array */
    size_t n_remove;
};
void replicaset_plan_finish(struct replicaset_plan *p);
/* pods: the active pods of the owner. related: active pods of all replicators of the same Deployment (the owner's
 * included), which tell how crowded a node is. now: real time. */
void replicaset_decide(const struct json *owner, struct json *const *pods, size_t n, struct json *const *related,
                       size_t n_related, uint64_t now, struct replicaset_plan *ret);

/* The pod to create (without name: generateName). New. */
struct json *replicaset_pod(const struct json *owner);

/* The new status: a new reference; equal (json_equal) to the old one when nothing is to be written. failure: NULL, or
 * why creating or deleting failed. *ret_wait: time until a ready pod becomes available, UINT64_MAX when none waits. */
struct json *replicaset_status(const struct json *owner, struct json *const *pods, size_t n, const char *failure,
                               uint64_t now, uint64_t *ret_wait);

#endif
