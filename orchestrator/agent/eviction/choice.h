/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the agent knows of its pods, in the terms of rank.h. Part of the agent (model.h); the loop's thread. */
#ifndef PODIUM_AGENT_EVICTION_CHOICE_H
#define PODIUM_AGENT_EVICTION_CHOICE_H

#include "orchestrator/agent/eviction/thresholds.h"
#include "podium/base/json.h"

struct agent;
struct agent_pod;

/* The pod that is to go; NULL: there is none. For the disk it goes by what was measured last (disk_usage.h). *ret_used:
 * container name → what it uses of the resource, NULL where that is not known; the caller unrefs. */
struct agent_pod *eviction_choose(struct agent *agent, enum eviction_signal signal, struct json **ret_used);
/* Layers of containers that ended for good, in pods that run: their folders are on their way out. */
void eviction_dispose_of_ended(struct agent *agent);

#endif
