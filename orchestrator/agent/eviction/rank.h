/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose turn it is when a node is short of something, and what is told about it. Pure; any thread.
 *
 * Memory and disk: who uses more than it requests goes first, then lower priority, then who is furthest above its
 * request. Processes: lower priority, then more processes. Critical pods (static ones, and those of the system's
 * priority classes) never go.
 *
 * Source: pkg/kubelet/eviction/helpers.go (rankMemoryPressure, rankDiskPressureFunc, rankPIDPressure, evictionMessage).
 */
#ifndef PODIUM_AGENT_EVICTION_RANK_H
#define PODIUM_AGENT_EVICTION_RANK_H

#include "orchestrator/agent/eviction/decide.h"
#include "podium/base/json.h"

/* Of a container, or of a pod. */
struct eviction_use {
    int64_t memory, disk, inodes, processes; /* working set; bytes of layers and volumes */
};

struct eviction_candidate {
    void *pod; /* the caller's */
    int64_t priority;
    struct eviction_use used, requested;
};

/* The first is to go first. Equals stay in their order. */
void eviction_rank(enum eviction_signal signal, struct eviction_candidate *candidates, size_t n);

/* The pod's spec.priority is one of the system's. */
bool eviction_priority_is_critical(const struct json *pod_spec);
/* Whether a toleration of the spec is for the taint that a node under memory pressure has. */
bool eviction_tolerates_memory_pressure(const struct json *pod_spec);

/* The message about a pod that goes. used: container name → bytes; of the resource the signal is about, NULL when
 * nobody knows. *ret_annotations: those of the Event. The caller frees and unrefs. */
char *eviction_message(enum eviction_signal signal, const struct eviction_amount *threshold,
                       const struct eviction_observation *seen, const struct json *pod_spec, const struct json *used,
                       struct json **ret_annotations);

/* Local ephemeral storage: which limit of its spec a pod is over; NULL: none. volumes, containers: name → bytes. The
 * words are those of the kubelet; the caller frees. */
char *eviction_disk_excess(const struct json *pod_spec, const struct json *volumes, const struct json *containers);
/* Whether the spec has any such limit. */
bool eviction_disk_is_limited(const struct json *pod_spec);
/* Whether a volume of a spec is on the node's disk for as long as the pod. */
bool eviction_volume_is_local(const struct json *volume);

#endif
