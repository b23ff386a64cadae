/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A node that runs short helps itself before the kernel does it blindly: it says so in its conditions, takes no pods
 * that would make it worse, gives back what nobody uses (images, layers of containers that ended), and evicts pods, one
 * after another, until there is enough again. decide.h and rank.h have the rules; here is what they are fed with and
 * what is done about it. Part of the agent (model.h); the loop's thread.
 *
 * When it looks. At once, when the kernel says that tasks wait for memory or for the disk (PSI triggers of the
 * machine, which the pods are a part of); when pods came, went or were changed, with the housekeeping after it; when
 * something that it waits for is done; and by a timer, which is set to the earliest moment at which a threshold can be
 * crossed at a pace that the kernel would not tell of: every ten seconds near a threshold, every five minutes far from
 * all. Without PSI it is the kubelet's ten seconds.
 *
 * Source: the kubelet's eviction manager. What differs: the amount of memory that is available counts slab memory that
 * can be had at once, too; logs are the journal's and count for nobody; a reclaim of images or layers, and the end of
 * an evicted pod, are waited for by their events.
 */
#ifndef PODIUM_AGENT_EVICTION_MANAGER_H
#define PODIUM_AGENT_EVICTION_MANAGER_H

#include <stdbool.h>

#include "orchestrator/agent/eviction/decide.h"

struct agent;
struct agent_pod;
struct eviction;

#define EVICTION_GRACE_IMMEDIATE 1 /* seconds; the kubelet's immediateEvictionGracePeriodSeconds */

/* config: copied. Looks for the first time, and from then on does what it finds necessary. */
int eviction_new(struct agent *agent, const struct eviction_config *config, struct eviction **ret,
                 struct error *err) _must_check_;
void eviction_free(struct eviction *e); /* NULL is fine */
const struct eviction_config *eviction_config(const struct eviction *e);
/* What the node is short of: 1 << enum eviction_condition. */
unsigned eviction_conditions(const struct eviction *e);
/* Something that takes memory, disk or processes happened. */
void eviction_look(struct eviction *e);
/* A pod is down, its folders are on their way out. NULL is fine. */
void eviction_pod_ended(struct eviction *e, const struct agent_pod *pod);
/* Before the first start of a pod: false, it was refused. */
bool eviction_admit(const struct eviction *e, struct agent_pod *pod);
/* Such pods are never evicted: static ones, and those of the system's priority classes. */
bool eviction_is_critical(const struct agent_pod *pod);

/* observe.c: what the node has. image_dir, state_dir: on the disks that are looked at. */
void eviction_observe(const char *image_dir, const char *state_dir, struct eviction_observation ret[EVICTION_SIGNALS]);

#endif
