/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A server with simulated nodes and what is watched of it: what benchmark and test have in common. */
#ifndef PODIUM_BENCH_NODES_CLUSTER_H
#define PODIUM_BENCH_NODES_CLUSTER_H

#include "tests/bench/api/server.h"
#include "tests/bench/nodes/sim.h"
#include "tests/bench/nodes/watcher.h"

#define CLUSTER_NAMESPACE "bench"
#define CLUSTER_PODS      "/api/v1/namespaces/" CLUSTER_NAMESPACE "/pods"
#define CLUSTER_JSON      "Content-Type: application/json\r\n"

struct cluster {
    struct server server;
    struct sim sim;
    struct watcher *pods, *nodes;
    atomic_uint running;     /* pods that became Running since the watch began */
    atomic_uint not_running; /* pods that were Running and went */
    atomic_uint ready, lost; /* nodes whose Ready is True; that went from there to something else */
    uint64_t *created;       /* by number of the pod, monotonic: the request was sent … */
    _Atomic uint64_t *seen;  /* … and the watch showed it Running */
    uint8_t *node_state;     /* by number of the node: 0 unknown, 1 ready, 2 not ready; the watcher's */
};

/* False with a message on stderr. */
bool cluster_start(struct cluster *c, const char *program, const char *dir, const char *const *options);
/* The server ends and starts again; the nodes stay and come back by themselves. */
bool cluster_restart_server(struct cluster *c);
void cluster_stop(struct cluster *c);

/* Sends one request; the status, or -1. body may be NULL. */
int cluster_call(struct cluster *c, const char *method, const char *path, const char *body, struct strbuf *answer);
/* Number of items of a list, from all its pages; < 0: it could not be read. */
long cluster_count(struct cluster *c, const char *path);

/* Waits until *count is at least n. False after so many seconds without a change of it. */
bool cluster_await(const char *what, const atomic_uint *count, unsigned n, double patience);
bool cluster_await_exactly(const char *what, const atomic_uint *count, unsigned n, double patience);

/* Request number i: creates pod first + i, "p-NUMBER". The userdata of struct load. */
struct pod_maker {
    struct cluster *cluster;
    uint64_t first;
    uint64_t pause; /* microseconds from one to the next at least; 0: none */
    uint64_t next;
    struct strbuf body;
};
void make_pod(void *userdata, uint64_t i, struct strbuf *out);

#endif
