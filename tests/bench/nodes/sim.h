/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Simulated nodes: one process that is thousands of agents, each with a connection of its own to the link's unix socket
 * and the agent's own end of the link (orchestrator/link/agent_link.h). A simulated node says what a real one says: its
 * status, heartbeats, Running with addresses and container statuses for each pod it is given, and the end of pods that
 * are to go. No container runs: pods are Running as soon as they are told of.
 *
 * The process is a child that is told what to do through a pipe and counts in memory shared with its parent.
 */
#ifndef PODIUM_BENCH_NODES_SIM_H
#define PODIUM_BENCH_NODES_SIM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SIM_POD_PREFIX "p-"       /* pods of this name and a number have their times noted … */
#define SIM_PODS_MAX   (1u << 19) /* … while the number is below this */

struct sim_counts {
    atomic_uint registered;                 /* nodes that are connected now */
    atomic_uint synced;                     /* nodes that have got their first full set since they connected */
    atomic_uint pods;                       /* held by all nodes */
    atomic_ullong told;                     /* statuses */
    atomic_ullong finished;                 /* pods that were to go and are gone */
    atomic_ullong network;                  /* calls about the network */
    atomic_ullong disconnects;              /* connections that ended without having been cut by us */
    _Atomic uint64_t applied[SIM_PODS_MAX]; /* monotonic: when the pod reached its node; 0: not yet */
};

struct sim {
    pid_t pid;
    int pipe;
    struct sim_counts *counts;
};

/* The process, with no node yet. server: as of struct agent_link_options. False with a message on stderr. */
bool sim_start(struct sim *s, const char *server);
/* Nodes [from, to) connect. */
void sim_connect(struct sim *s, unsigned from, unsigned to);
/* Nodes [from, to) vanish: their connections end, and what they held is forgotten. */
void sim_vanish(struct sim *s, unsigned from, unsigned to);
void sim_stop(struct sim *s);

/* "node-00042" */
#define SIM_NODE_FORMAT "node-%05u"

#endif
