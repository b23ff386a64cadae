/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the node, its pods and their containers use at this moment, as their cgroups and /proc tell it. What nobody
 * tells is not there: memory without the memory controller, everything of a container that has just ended.
 *
 * Reading takes a dozen small files for each group. Ownership: node_usage_finish(); names are borrowed from the agent
 * until its loop turns. Threads: the loop's.
 */
#ifndef PODIUM_AGENT_USAGE_H
#define PODIUM_AGENT_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/json.h"

struct agent;

/* Time that tasks had to wait since the group exists: some of them, and all at once. */
struct pressure {
    bool known;
    uint64_t some_usec, full_usec;
};

struct usage {
    bool has_cpu, has_memory, has_processes;
    uint64_t cpu_usec;                 /* since the group exists */
    uint64_t memory, working_set, rss; /* bytes; working_set: without what the kernel can drop at once */
    uint64_t memory_limit;             /* 0: none */
    uint64_t faults, major_faults;     /* of pages */
    uint64_t processes;
    struct pressure cpu_pressure, memory_pressure, io_pressure;
};

struct interface_usage {
    char name[16];
    uint64_t rx_bytes, rx_errors, tx_bytes, tx_errors;
};

struct network_usage {
    struct interface_usage *interfaces; /* all but lo */
    size_t n;
};

struct disk_space {
    bool known;
    uint64_t capacity, available, inodes, inodes_free; /* bytes; inodes */
};

struct container_usage {
    const char *name;
    bool running;
    uint64_t started; /* real time, microseconds */
    unsigned restarts;
    struct usage usage;
};

struct pod_usage {
    const char *ns, *name, *uid;
    bool running;     /* its unit */
    uint64_t started; /* as above; 0: not yet */
    struct usage usage;
    uint64_t supervisor_working_set; /* what of it is not its containers' */
    struct network_usage network;    /* empty with the node's own network */
    struct container_usage *containers;
    size_t n_containers;
};

struct node_usage {
    const char *name;
    uint64_t now, booted; /* real time, microseconds */
    struct usage usage;
    uint64_t memory_available; /* bytes */
    uint64_t processes_max;
    struct network_usage network;
    struct disk_space disk;
    struct pod_usage *pods;
    size_t n_pods;
};

void node_usage_read(const struct agent *agent, struct node_usage *ret);
void node_usage_finish(struct node_usage *u);

/* cgroup_statistics() taken apart. */
void usage_of_statistics(const struct json *statistics, struct usage *ret);
/* The text of /proc/PID/net/dev. */
void network_usage_parse(const char *text, struct network_usage *ret);

#endif
