/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All plugins: one file each; a new one is a line here and one in registry.c. */
#ifndef PODIUM_SCHEDULER_REGISTRY_H
#define PODIUM_SCHEDULER_REGISTRY_H

#include "orchestrator/scheduler/plugins/plugin.h"

extern const struct sched_plugin plugin_node_unschedulable;
extern const struct sched_plugin plugin_node_name;
extern const struct sched_plugin plugin_taint_toleration;
extern const struct sched_plugin plugin_node_affinity;
extern const struct sched_plugin plugin_node_ports;
extern const struct sched_plugin plugin_node_resources; /* fit and least-allocated */
extern const struct sched_plugin plugin_balanced;
extern const struct sched_plugin plugin_spread;

#endif
