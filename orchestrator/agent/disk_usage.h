/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The size limits of emptyDirs on disk. Volumes that have one are measured every DISK_USAGE_USEC by a child that walks
 * them (blocks used, hard links once, as du(1) counts); a pod that holds more is evicted, as the kubelet does it: phase
 * Failed, reason Evicted. A node without such volumes has no timer and no child. Medium Memory needs none of this: the
 * tmpfs has the size.
 */
#ifndef PODIUM_AGENT_DISK_USAGE_H
#define PODIUM_AGENT_DISK_USAGE_H

#include "podium/base/cleanup.h"

struct agent;
struct agent_pod;
struct disk_usage;

#define DISK_USAGE_USEC (10ull * 1000000ull) /* the kubelet's monitoring interval */

struct disk_usage *disk_usage_new(struct agent *agent);
void disk_usage_free(struct disk_usage *u);
/* Starts measuring if the pod has a volume with a limit. */
void disk_usage_watch(struct disk_usage *u, const struct agent_pod *pod);

#endif
