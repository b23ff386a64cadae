/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taints keep pods away (NoSchedule, NoExecute) or make a node less liked (PreferNoSchedule), unless tolerated. */
#include "orchestrator/scheduler/plugins/registry.h"

static bool filter(const struct pod_info *pod, const struct node_info *node, struct refusals *r) {
    for (size_t i = 0; i < node->n_taints; i++) {
        const struct taint *t = &node->taints[i];
        if ((t->effect & (TAINT_NO_SCHEDULE | TAINT_NO_EXECUTE)) && !pod_tolerates(pod, t))
            return sched_refuse(r, "node(s) had untolerated taint", t->key, t->value);
    }
    return true;
}

/* How many PreferNoSchedule taints the pod does not tolerate. */
static int64_t score(const struct pod_info *pod, const struct node_info *node) {
    int64_t n = 0;

    for (size_t i = 0; i < node->n_taints; i++)
        n += node->taints[i].effect == TAINT_PREFER_NO_SCHEDULE && !pod_tolerates(pod, &node->taints[i]);
    return n;
}

const struct sched_plugin plugin_taint_toleration = {
    .name = "TaintToleration",
    .events = EVENT_NODE_ADDED | EVENT_NODE_TAINTS,
    .filter = filter,
    .weight = 3,
    .normalize = SCORE_REVERSED,
    .score = score,
};
