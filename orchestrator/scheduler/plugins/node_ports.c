/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two pods cannot have the same host port, unless each has it on an address of its own. */
#include "orchestrator/scheduler/plugins/registry.h"

#include <string.h>

static bool conflict(const struct host_port *a, const struct host_port *b) {
    return a->port == b->port && a->protocol == b->protocol && (!*a->ip || !*b->ip || strcmp(a->ip, b->ip) == 0);
}

static bool filters(const struct pod_info *pod) {
    return pod->demand.n_ports > 0;
}

static bool filter(const struct pod_info *pod, const struct node_info *node, struct refusals *r) {
    for (size_t i = 0; i < pod->demand.n_ports; i++)
        for (size_t j = 0; j < node->n_ports; j++)
            if (conflict(&pod->demand.ports[i], &node->ports[j]))
                return sched_refuse(r, "node(s) didn't have free ports for the requested pod ports", NULL, NULL);
    return true;
}

const struct sched_plugin plugin_node_ports = {
    .name = "NodePorts",
    .events = EVENT_NODE_ADDED | EVENT_POD_GONE,
    .filters = filters,
    .filter = filter,
};
