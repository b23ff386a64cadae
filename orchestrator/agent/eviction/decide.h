/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a node short of something does next: a pure function of its settings, what is seen, and what was seen before.
 *
 * Thresholds are met, for soft ones after their grace; once met, until the minimum to reclaim is there beyond them. A
 * met one, with or without its grace, makes a condition of the node, which stays for the transition period after it was
 * seen last, so that it does not flutter. Of those met one is to be reclaimed, memory before all others.
 *
 * Source: pkg/kubelet/eviction/eviction_manager.go (synchronize). What differs: the kubelet looks every ten seconds; we
 * look when the kernel says that memory is short (manager.h), and else when it can get so at the soonest.
 *
 * Times are monotonic, in microseconds. Any thread.
 */
#ifndef PODIUM_AGENT_EVICTION_DECIDE_H
#define PODIUM_AGENT_EVICTION_DECIDE_H

#include "orchestrator/agent/eviction/thresholds.h"

enum eviction_condition {
    EVICTION_MEMORY_PRESSURE,
    EVICTION_DISK_PRESSURE,
    EVICTION_PID_PRESSURE,
    EVICTION_CONDITIONS
};

struct eviction_observation {
    bool known;
    int64_t available, capacity;
};

/* Begins as zeros. */
struct eviction_state {
    struct {
        bool pending, met; /* below the threshold; for as long as its grace */
        uint64_t since;    /* pending */
    } thresholds[2 * EVICTION_SIGNALS];
    struct {
        bool seen;
        uint64_t last;
    } conditions[EVICTION_CONDITIONS];
};

struct eviction_decision {
    unsigned conditions;                      /* 1 << enum eviction_condition */
    const struct eviction_threshold *reclaim; /* of the config; NULL: nothing to do */
    uint64_t look_at;                         /* at the latest */
};

#define EVICTION_LOOK_MIN_USEC (10ull * 1000000ull)  /* the kubelet's monitoring interval */
#define EVICTION_LOOK_MAX_USEC (300ull * 1000000ull) /* the node's own housekeeping */

void eviction_decide(const struct eviction_config *config, const struct eviction_observation seen[EVICTION_SIGNALS],
                     uint64_t now, struct eviction_state *state, struct eviction_decision *ret);
/* Whether all thresholds, whatever their grace, are satisfied, with the minimum to reclaim beyond each. */
bool eviction_satisfied(const struct eviction_config *config, const struct eviction_observation seen[EVICTION_SIGNALS]);

enum eviction_condition eviction_condition_of(enum eviction_signal signal);
const char *eviction_condition_name(enum eviction_condition condition); /* "MemoryPressure" */
/* Whether a node with these conditions takes a pod. qos_class as pod_qos_class() says it; tolerates: the taint of
 * memory pressure. */
bool eviction_admits(unsigned conditions, bool critical, const char *qos_class, bool tolerates);

#endif
