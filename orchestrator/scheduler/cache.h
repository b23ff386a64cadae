/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The node cache: every node with what its pods take, current also for pods whose binding is still under way
 * ("assumed"), so that the next cycle sees them.
 *
 * A pod is known by its key and uid. Pods bound to a node whose object is unknown are kept on a placeholder, which
 * takes part in no cycle. One loop thread; no I/O.
 */
#ifndef PODIUM_SCHEDULER_CACHE_H
#define PODIUM_SCHEDULER_CACHE_H

#include "orchestrator/scheduler/model.h"

struct sched_cache;

struct sched_cache *sched_cache_new(void);
void sched_cache_free(struct sched_cache *c);
DEFINE_CLEANUP(struct sched_cache *, sched_cache_free)

/* The nodes that exist, in no particular order; valid until the cache changes. */
struct node_info *const *sched_cache_nodes(const struct sched_cache *c, size_t *ret_n);
struct node_info *sched_cache_node(const struct sched_cache *c, const char *name); /* NULL: unknown */

/* Returns the sched_event bits of what changed. */
unsigned sched_cache_set_node(struct sched_cache *c, struct json *node);
void sched_cache_remove_node(struct sched_cache *c, const char *name);

/* Puts an unassigned pod on a node for the time until its binding is seen. */
void sched_cache_assume(struct sched_cache *c, const struct pod_info *p, const char *node_name);
bool sched_cache_is_assumed(const struct sched_cache *c, const char *key);
/* The binding failed. Nothing happens when the pod is not, or no more, merely assumed. Returns the node it leaves. */
struct node_info *sched_cache_forget(struct sched_cache *c, const char *key, const char *uid);
/* An assigned pod was seen: added, moved from assumed to confirmed, or changed. Returns the node whose room grew by
 * that (in-place resize, or assumed elsewhere), or NULL. */
struct node_info *sched_cache_set_pod(struct sched_cache *c, const struct pod_info *p);
/* Returns the node it leaves, or NULL when it was unknown. */
struct node_info *sched_cache_remove_pod(struct sched_cache *c, const char *key);
size_t sched_cache_pods(const struct sched_cache *c);

#endif
