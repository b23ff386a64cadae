/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests and limits: QoS class, a container's cgroup settings, a pod's unit properties. Pure. Source: the kubelet's
 * qos and cm packages. */
#ifndef PODIUM_AGENT_RESOURCES_H
#define PODIUM_AGENT_RESOURCES_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/json.h"

/* The OCI linux.resources section, without devices; the caller unrefs. qos_memory: what pods may have of the node's
 * memory, when memory that is requested is kept and what is beyond is throttled (the kubelet's MemoryQoS); 0: not. */
struct json *container_resources(const struct json *pod, const struct json *container, int64_t qos_memory);
/* oom_score_adj as the kubelet sets it; node_memory in bytes. */
int container_oom_score_adj(const struct json *pod, const struct json *container, int64_t node_memory);
/* For the whole pod: UINT64_MAX: no limit; weight 0: not set. */
struct pod_limits {
    uint64_t memory_max, cpu_quota_per_sec_usec, cpu_weight;
};
void pod_limits_compute(const struct json *pod, struct pod_limits *ret);
/* What the pod counts for on its node: containers and sidecars together, or the neediest init container. */
void pod_requests(const struct json *pod, int64_t *ret_cpu_milli, int64_t *ret_memory);
/* What its unit may use: its limits, and room for its supervisor. memory_qos: it keeps what is requested. */
struct unit_limits;
void pod_unit_limits(const struct json *pod, bool memory_qos, struct unit_limits *ret);
bool pod_asks_for(const struct json *pod, const char *resource); /* a limit on "cpu" or "memory" in any container */

#endif
