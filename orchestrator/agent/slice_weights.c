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
    uint64_t kept; /* memory */
};

static struct slice_weight *weight_of(struct agent *agent, const char *slice) {
    struct slice_weight *w = hashmap_get(agent->slice_weights, slice);

    if (!w)
        hashmap_put(agent->slice_weights, slice, w = xnew0(struct slice_weight));
    return w;
}

static void change(struct agent *agent, const char *slice, int64_t by) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct slice_weight *w = weight_of(agent, slice);

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

/* What is kept for a pod is kept for it by the kernel only as far as it is kept for all above it. */
static void change_kept(struct agent_pod *pod, int64_t by) {
    _cleanup_free_ char *class = class_of(pod->weighed_slice);
    const char *const slices[] = {"podium.slice", class, pod->weighed_slice};

    for (size_t i = 0; i < ARRAY_LEN(slices); i++) {
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        struct slice_weight *w = weight_of(pod->agent, slices[i]);
        w->kept = (uint64_t) ((int64_t) w->kept + by);
        int r = unit_keep(pod->agent->units, slices[i], w->kept, &err);
        if (r < 0)
            log_warning("%s", error_text(&err, r));
    }
}

void slice_weights_add(struct agent_pod *pod) {
    const struct json *spec = json_get(pod->desired, "spec");
    struct unit_limits limits;

    if (pod->weight > 0 || pod->kept > 0 || !spec || strcmp(pod_qos_class(spec), "BestEffort") == 0)
        return;
    pod_unit_limits(pod->desired, agent_keeps_memory(pod->agent), &limits);
    if (pod->agent->controllers_missing & CGROUP_CPU)
        limits.cpu_weight = 0;
    if (limits.cpu_weight == 0 && limits.memory_min == 0)
        return;
    pod->weighed_slice = unit_pod_slice(pod_qos_class(spec), pod->uid);
    pod->weight = limits.cpu_weight;
    pod->kept = limits.memory_min;
    if (pod->weight > 0)
        change_both(pod, (int64_t) pod->weight);
    if (pod->kept > 0)
        change_kept(pod, (int64_t) pod->kept);
}

void slice_weights_remove(struct agent_pod *pod) {
    if (pod->weight > 0)
        change_both(pod, -(int64_t) pod->weight);
    if (pod->kept > 0)
        change_kept(pod, -(int64_t) pod->kept);
    pod->weight = pod->kept = 0;
    free(steal(&pod->weighed_slice));
}
