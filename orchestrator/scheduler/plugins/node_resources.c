/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Does the pod fit beside what is there; and the emptier the node would be with it, the better (LeastAllocated). */
#include "orchestrator/scheduler/plugins/registry.h"

#include <string.h>

static bool fits_extended(const struct pod_info *pod, const struct node_info *node, struct refusals *r) {
    bool fits = true;

    for (size_t i = 0; i < pod->demand.n_extended; i++) {
        const struct extended_amount *want = &pod->demand.extended[i];
        int64_t free_amount = 0;
        for (size_t j = 0; j < node->n_extended; j++)
            if (strcmp(node->extended[j].name, want->name) == 0)
                free_amount = node->extended[j].allocatable - node->extended[j].requested;
        if (want->amount > 0 && want->amount > free_amount)
            fits = sched_refuse(r, "Insufficient", want->name, NULL);
    }
    return fits;
}

static bool filter(const struct pod_info *pod, const struct node_info *node, struct refusals *r) {
    static const char *const insufficient[SCHED_RESOURCES] = {"Insufficient cpu", "Insufficient memory",
                                                              "Insufficient ephemeral-storage"};
    const int64_t *want = pod->demand.request;
    bool fits = true;

    if (node->n_pods + 1 > node->allowed_pods)
        fits = sched_refuse(r, "Too many pods", NULL, NULL);
    for (size_t i = 0; i < SCHED_RESOURCES; i++)
        if (want[i] > 0 && want[i] > node->allocatable[i] - node->requested[i])
            fits = sched_refuse(r, insufficient[i], NULL, NULL);
    if (pod->demand.n_extended > 0 && !fits_extended(pod, node, r))
        fits = false;
    return fits;
}

static int64_t free_share(int64_t allocatable, int64_t used) {
    if (allocatable <= 0 || used > allocatable)
        return 0;
    return (int64_t) ((double) (allocatable - used) * SCHED_SCORE_MAX / (double) allocatable);
}

static int64_t score(const struct pod_info *pod, const struct node_info *node) {
    int64_t sum = 0, kinds = 0;

    for (size_t i = SCHED_CPU; i <= SCHED_MEMORY; i++) {
        if (node->allocatable[i] == 0)
            continue;
        sum += free_share(node->allocatable[i], node->assumed[i] + pod->demand.assumed[i]);
        kinds++;
    }
    return kinds ? sum / kinds : 0;
}

const struct sched_plugin plugin_node_resources = {
    .name = "NodeResourcesFit",
    .events = EVENT_NODE_ADDED | EVENT_NODE_ALLOCATABLE | EVENT_POD_GONE,
    .filter = filter,
    .weight = 1,
    .normalize = SCORE_AS_IS,
    .score = score,
};
