/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What pods hold on the node's disk: the writable layers of their containers, and their emptyDirs. A child walks them
 * (blocks used, hard links once, as du(1) counts). Logs are the journal's, which bounds itself, and count for nobody.
 *
 * Limits. Pods with a limit (emptyDir.sizeLimit, limits.ephemeral-storage) are measured every DISK_USAGE_USEC; one that
 * holds more is evicted, as the kubelet does it (eviction/rank.h has the rules). A node without such pods has no timer
 * and no child. Medium Memory needs none of this: the tmpfs has the size.
 *
 * What was measured last is in pod->disk: {"volumes": {NAME: BYTES}, "containers": {NAME: BYTES}, "inodes": N}.
 */
#ifndef PODIUM_AGENT_DISK_USAGE_H
#define PODIUM_AGENT_DISK_USAGE_H

#include "podium/base/cleanup.h"
#include "podium/base/error.h"

struct agent;
struct agent_pod;
struct disk_usage;

#define DISK_USAGE_USEC (10ull * 1000000ull) /* the kubelet's monitoring interval */

struct disk_usage *disk_usage_new(struct agent *agent);
void disk_usage_free(struct disk_usage *u);
/* Starts measuring if the pod has a limit. */
void disk_usage_watch(struct disk_usage *u, const struct agent_pod *pod);
/* Measures all pods that run, once; done() comes from the loop. One at a time: -EBUSY. */
int disk_usage_measure_all(struct disk_usage *u, void (*done)(void *userdata), void *userdata,
                           struct error *err) _must_check_;

#endif
