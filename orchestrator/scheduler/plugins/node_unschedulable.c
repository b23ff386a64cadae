/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cordoned nodes take no new pods, except those that tolerate the taint cordoning stands for. */
#include "orchestrator/scheduler/plugins/registry.h"

static bool filter(const struct pod_info *pod, const struct node_info *node, struct refusals *r) {
    static const struct taint cordoned = {"node.kubernetes.io/unschedulable", "", TAINT_NO_SCHEDULE};

    if (!node->unschedulable || pod_tolerates(pod, &cordoned))
        return true;
    return sched_refuse(r, "node(s) were unschedulable", NULL, NULL);
}

const struct sched_plugin plugin_node_unschedulable = {
    .name = "NodeUnschedulable",
    .events = EVENT_NODE_ADDED | EVENT_NODE_SCHEDULABLE,
    .filter = filter,
};
