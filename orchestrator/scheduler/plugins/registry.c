/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/scheduler/plugins/registry.h"

static const struct sched_plugin *const registry[] = {
    &plugin_node_unschedulable, &plugin_node_name,      &plugin_taint_toleration, &plugin_node_affinity,
    &plugin_node_ports,         &plugin_node_resources, &plugin_balanced,         &plugin_spread,
};
_Static_assert(sizeof(registry) / sizeof(registry[0]) <= SCHED_PLUGINS_MAX, "one bit each in refusals.plugins");

const struct sched_plugin *const *sched_plugins(size_t *ret_n) {
    *ret_n = sizeof(registry) / sizeof(registry[0]);
    return registry;
}
