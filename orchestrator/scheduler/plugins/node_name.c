/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A pod that names its node goes there and nowhere else. */
#include "orchestrator/scheduler/plugins/registry.h"

#include <string.h>

static bool filters(const struct pod_info *pod) {
    return *pod->node_name;
}

static bool filter(const struct pod_info *pod, const struct node_info *node, struct refusals *r) {
    if (strcmp(pod->node_name, node->name) == 0)
        return true;
    return sched_refuse(r, "node(s) didn't match the requested node name", NULL, NULL);
}

const struct sched_plugin plugin_node_name = {
    .name = "NodeName",
    .events = EVENT_NODE_ADDED,
    .filters = filters,
    .filter = filter,
};
