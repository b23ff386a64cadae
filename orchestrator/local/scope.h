/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the node containers' cgroups go. Without systemd as PID 1: below the cgroup2 root. With it the tree is
 * systemd's, and others may only make groups where it says so: in a transient scope of the cluster with Delegate=yes
 * (systemd: CGROUP_DELEGATION, "the single-writer rule"). A scope lives as long as a process is in it.
 */
#ifndef PODIUM_LOCAL_SCOPE_H
#define PODIUM_LOCAL_SCOPE_H

#include "orchestrator/local/cluster.h"

/* Sets c->cgroup. Under systemd the calling process moves into the cluster's scope, into a group of its own, until it
 * ends; an existing scope is used. Blocks for a few milliseconds. */
int local_scope_enter(struct local_cluster *c, struct error *err) _must_check_;

#endif
