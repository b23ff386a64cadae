/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pods of one controller go to different nodes where they can: what upstream's PodTopologySpread does by its default
 * constraint on kubernetes.io/hostname for pods that state none. Weighed like it.
 */
#include "orchestrator/scheduler/plugins/registry.h"

static bool scores(const struct pod_info *pod) {
    return pod->demand.owner != 0;
}

static int64_t score(const struct pod_info *pod, const struct node_info *node) {
    return node_info_owner_pods(node, pod->demand.owner);
}

const struct sched_plugin plugin_spread = {
    .name = "PodTopologySpread",
    .weight = 2,
    .normalize = SCORE_REVERSED,
    .scores = scores,
    .score = score,
};
