/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starting and ending node containers with baton. Blocking functions for command-line verbs; called with the cluster's
 * lock held. What a failed start made (namespace, veth, container) is gone when it returns; files stay for the next
 * try.
 */
#ifndef PODIUM_LOCAL_NODE_H
#define PODIUM_LOCAL_NODE_H

#include <stdint.h>

#include "orchestrator/local/cluster.h"

struct local_tools {
    char *bin_dir; /* folder of podium and baton on the host */
    char *baton;   /* bin_dir/baton */
    char *init;    /* systemd of the host's root */
};
/* Finds the programs beside /proc/self/exe; -ENOENT tells what is missing and how to get it. */
int local_tools_find(struct local_tools *t, struct error *err) _must_check_;
void local_tools_finish(struct local_tools *t);

/* Makes the node's files, network and container; returns when its systemd runs as PID 1 (it goes on booting). */
int local_node_start(const struct local_cluster *c, const struct local_node *n, const struct local_tools *t,
                     struct error *err) _must_check_;
/* The last lines of a unit's journal in the node, or of its console; "" when there is nothing. The caller frees. */
char *local_node_last_words(const struct local_cluster *c, const struct local_node *n, const char *unit);
/* The host's pid of the node's systemd as a pidfd, or -ENOENT when it does not run. */
int local_node_pidfd(const struct local_cluster *c, const struct local_node *n, const struct local_tools *t);
/* Asks systemd to power off and waits up to grace_usec, then kills; grace 0 kills at once (a power failure). Removes
 * container and veth. Success when nothing ran. */
int local_node_stop(const struct local_cluster *c, const struct local_node *n, const struct local_tools *t,
                    uint64_t grace_usec, struct error *err) _must_check_;

#endif
