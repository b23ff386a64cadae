/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CPU and memory of a node should be used up alike: what is left of one is worth little without the other. */
#include "orchestrator/scheduler/plugins/registry.h"

static double used_share(int64_t allocatable, int64_t used) {
    double share = (double) used / (double) allocatable;

    return share > 1 ? 1 : share;
}

/* 100 less the standard deviation of the two shares in percent; of two values that is half their distance. */
static int64_t score(const struct pod_info *pod, const struct node_info *node) {
    double share[2];

    for (size_t i = SCHED_CPU; i <= SCHED_MEMORY; i++) {
        if (node->allocatable[i] == 0)
            return SCHED_SCORE_MAX;
        share[i] = used_share(node->allocatable[i], node->requested[i] + pod->demand.request[i]);
    }
    double distance = share[0] > share[1] ? share[0] - share[1] : share[1] - share[0];
    return (int64_t) ((1 - distance / 2) * SCHED_SCORE_MAX);
}

/* A pod that asks for nothing changes no balance; upstream skips it, too. */
static bool scores(const struct pod_info *pod) {
    return pod->demand.request[SCHED_CPU] > 0 || pod->demand.request[SCHED_MEMORY] > 0;
}

const struct sched_plugin plugin_balanced = {
    .name = "NodeResourcesBalancedAllocation",
    .weight = 1,
    .normalize = SCORE_AS_IS,
    .scores = scores,
    .score = score,
};
