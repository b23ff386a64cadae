/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a local cluster: nodes, links, cgroup, files. */
#ifndef PODIUM_LOCAL_REMOVE_H
#define PODIUM_LOCAL_REMOVE_H

#include "orchestrator/local/cluster.h"
#include "orchestrator/local/node.h"

/* Kills what runs and removes everything `podium up` made, and nothing else. Goes on after a failure and tells the
 * first one; then the folder stays, so that a second try can end it. */
int local_cluster_remove(const struct local_cluster *c, const struct local_tools *t, struct error *err) _must_check_;

#endif
