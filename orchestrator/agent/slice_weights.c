/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/slice_weights.h"

#include <string.h>

#include "orchestrator/agent/model.h"
#include "orchestrator/agent/resources.h"
#include "orchestrator/object/strategy.h"
#include "podium/base/alloc.h"
#include "podium/base/log.h"
#include "podium/cgroups.h"

#define WEIGHT_MAX 10000 /* systemd's and the kernel's */

struct slice_weight {
    uint64_t sum, told;
};

static void change(struct agent *agent, const char *slice, int64_t by) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct slice_weight *w = hashmap_get(agent->slice_weights, slice);

    if (!w)
        hashmap_put(agent->slice_weights, slice, w = xnew0(struct slice_weight));
    w->sum = (uint64_t) ((int64_t) w->sum + by);
    const uint64_t weight = w->sum < WEIGHT_MAX ? w->sum : WEIGHT_MAX;
    if (weight == 0 || weight == w->told) /* an empty slice may keep its weight: it is told anew with its next pod */
        return;
    w->told = weight;
    int r = unit_weigh(agent->units, slice, weight, &err);
    if (r < 0)
        log_warning("%s keeps its CPU weight: %s", slice, error_text(&err, r));
}

/* "podium-burstable-3.slice" → "podium-burstable.slice" */
static char *class_of(const char *slice) {
    return xasprintf("%.*s.slice", (int) (strrchr(slice, '-') - slice), slice);
}

static void change_both(struct agent_pod *pod, int64_t by) {
    _cleanup_free_ char *class = class_of(pod->weighed_slice);

    change(pod->agent, class, by);
    change(pod->agent, pod->weighed_slice, by);
}

void slice_weights_add(struct agent_pod *pod) {
    const struct json *spec = json_get(pod->desired, "spec");
    struct pod_limits limits;

    if (pod->weight > 0 || !spec || (pod->agent->controllers_missing & CGROUP_CPU) ||
        strcmp(pod_qos_class(spec), "BestEffort") == 0)
        return;
    pod_limits_compute(pod->desired, &limits);
    pod->weighed_slice = unit_pod_slice(pod_qos_class(spec), pod->uid);
    pod->weight = limits.cpu_weight;
    change_both(pod, (int64_t) pod->weight);
}

void slice_weights_remove(struct agent_pod *pod) {
    if (pod->weight == 0)
        return;
    change_both(pod, -(int64_t) pod->weight);
    pod->weight = 0;
    free(steal(&pod->weighed_slice));
}
