/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a node's root has other than the host's: written into the overlay's upper folder before the node boots. */
#ifndef PODIUM_LOCAL_NODE_FILES_H
#define PODIUM_LOCAL_NODE_FILES_H

#include "orchestrator/local/cluster.h"

/* Makes the node's folders and files: its identity (machine-id, hostname, hosts), its own set of units in place of
 * everything the host has enabled, no generators, no fstab, and the options of server and agent. Idempotent. */
int node_files_write(const struct local_cluster *c, const struct local_node *n, struct error *err) _must_check_;

#endif
