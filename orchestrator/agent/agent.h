/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The node agent: makes the pods of this node what the control plane wants, and tells what is.
 *
 * What it is. Desired pods come in through node_api.h; for each the agent prepares volumes, OCI configurations and
 * an address, starts one transient systemd unit whose main process is `baton pod`, and follows it over its control
 * socket (podium/runtime.h). It knows systemd, images and netns, and nothing of the API server.
 *
 * Invariants. Level-triggered: every change marks a pod; plan.c (pure) compares desired and observed and says what to
 * do; act.c does it. Ending or crashing the agent ends no pod: a new one finds units by name and takes the supervisors
 * up again. Nothing is polled; what must be retried has a timer with back-off.
 *
 * Ownership. agent_new() keeps copies of the options' strings; loop, bus, units and images are borrowed and must
 * outlive the agent.
 *
 * Threads. One: the loop's. Nothing here blocks except short file and netlink work.
 */
#ifndef PODIUM_AGENT_AGENT_H
#define PODIUM_AGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/cleanup.h"
#include "podium/base/error.h"

typedef struct sd_event sd_event;
struct agent;
struct eviction_config;
struct unit_manager; /* orchestrator/systemd/units.h */

enum agent_controllers {
    AGENT_CONTROLLERS_PREFERRED, /* a missing cgroup controller is told in a node condition; pods run without the limit
                                  */
    AGENT_CONTROLLERS_REQUIRED,  /* pods that ask for a limit that cannot be set are refused */
};

#define IMAGE_GC_HIGH_DEFAULT    85
#define IMAGE_GC_LOW_DEFAULT     80
#define IMAGE_GC_MIN_AGE_DEFAULT (120ull * 1000000ull)

struct agent_options {
    const char *node_name;
    const char *run_dir;   /* NULL: /run/podium */
    const char *state_dir; /* NULL: /var/lib/podium */
    const char *image_dir; /* NULL: <state_dir>/images */
    const char *baton;     /* the runtime's absolute path; NULL: "baton" beside this program, then /usr/bin/baton */
    const char *bridge;    /* NULL: NETNS_BRIDGE_DEFAULT */
    const char *cluster_domain; /* NULL: cluster.local */
    const char *node_address;   /* NULL: the source address towards the default route */
    enum agent_controllers controllers;
    struct unit_manager *units; /* see unit_manager_new_systemd(); borrowed */
    bool no_network;            /* leave links, routes and nftables alone (tests); pods get no address */
    int max_pods;               /* 0: 110 */
    const char *podium;         /* the program that has `image-worker`; NULL: the one that runs */
    const char *config_dir;     /* registries.conf, certs.d, auth.json, policy.json; NULL: /etc/podium */
    const char *skopeo;         /* NULL: from PATH */
    unsigned parallel_pulls;    /* 0: 3 */
    unsigned image_gc_high;     /* percent of disk use above which unused images go; 0: the defaults of all three */
    unsigned image_gc_low;      /* percent to come down to */
    uint64_t image_gc_min_age_usec;
    unsigned pod_pids_limit;                /* processes and threads of a pod; 0: no limit of its own */
    const struct eviction_config *eviction; /* eviction/thresholds.h; NULL: the kubelet's defaults */
    bool memory_qos;                        /* memory.min and memory.high by requests (resources.h) */
    const char *allowed_unsafe_sysctls;     /* names and name*, separated by commas (sysctls.h); NULL: none */
};

int agent_new(sd_event *loop, const struct agent_options *options, struct agent **ret, struct error *err) _must_check_;
/* Lets go of everything; pods run on. */
void agent_free(struct agent *agent);
DEFINE_CLEANUP(struct agent *, agent_free)

#endif
