/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/resources.h"

#include <string.h>
#include <unistd.h>

#include "orchestrator/object/quantity.h"
#include "orchestrator/object/strategy.h"
#include "orchestrator/systemd/units.h"
#include "podium/base/cleanup.h"

#define SYSTEM_NODE_CRITICAL 2000001000 /* priority of the class system-node-critical */
#define CPU_PERIOD_USEC      100000
#define CPU_QUOTA_MIN_USEC   1000 /* the kernel's minimum */
/* The supervisor is in its pod's group: without room of its own, a pod whose containers are at their limits would be
 * out of memory as a whole. */
#define SUPERVISOR_MEMORY        (UINT64_C(4) << 20)
#define MEMORY_THROTTLING_FACTOR 0.9 /* the kubelet's default */
#define SHARES_MIN               2
#define SHARES_MAX               262144

static const char *const lists[] = {"containers", "initContainers"};

static int64_t cpu_of(const struct json *container, const char *what) {
    return quantity_json_milli(json_path(container, "resources", what, "cpu"), -1);
}

static int64_t memory_of(const struct json *container, const char *what) {
    return quantity_json(json_path(container, "resources", what, "memory"), -1);
}

/* What a container requests: its request, or its limit when only that is given. */
static int64_t request_of(const struct json *container, int64_t (*get)(const struct json *, const char *)) {
    int64_t v = get(container, "requests");
    return v >= 0 ? v : get(container, "limits");
}

static int64_t shares_of(int64_t milli) {
    int64_t shares = milli * 1024 / 1000;
    return shares < SHARES_MIN ? SHARES_MIN : shares > SHARES_MAX ? SHARES_MAX : shares;
}

/* Whether some container of the pod has a share of the processor of its own. */
static bool any_requests_cpu(const struct json *pod) {
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct json *list = json_path(pod, "spec", lists[l]);
        for (size_t i = 0; i < json_len(list); i++)
            if (request_of(json_at(list, i), cpu_of) > 0)
                return true;
    }
    return false;
}

/* Both are said also when there is nothing to say: the container may have had them before. */
static void put_memory_qos(const struct json *container, int64_t qos_memory, struct json **r) {
    int64_t request = request_of(container, memory_of), limit = memory_of(container, "limits");
    int64_t keep = request > 0 ? request : 0, most = limit > 0 ? limit : qos_memory, page = sysconf(_SC_PAGESIZE);
    int64_t high = (int64_t) ((double) keep + MEMORY_THROTTLING_FACTOR * (double) (most - keep)) / page * page;
    bool throttled = keep != (limit > 0 ? limit : 0) && high > keep;

    json_set_path(r, json_stringf("%lld", (long long) keep), "unified", "memory.min");
    json_set_path(r, throttled ? json_stringf("%lld", (long long) high) : json_string("max"), "unified", "memory.high");
}

struct json *container_resources(const struct json *pod, const struct json *container, int64_t qos_memory) {
    int64_t request = request_of(container, cpu_of), limit = cpu_of(container, "limits");
    int64_t memory = memory_of(container, "limits");
    struct json *r = json_object();

    /* beside those that ask for some, who asks for nothing gets the least; else the kernel's default is as good */
    if (request > 0 || any_requests_cpu(pod))
        json_set_path(&r, json_int(shares_of(request > 0 ? request : 0)), "cpu", "shares");
    if (limit > 0) {
        int64_t quota = limit * CPU_PERIOD_USEC / 1000;
        json_set_path(&r, json_int(quota < CPU_QUOTA_MIN_USEC ? CPU_QUOTA_MIN_USEC : quota), "cpu", "quota");
        json_set_path(&r, json_int(CPU_PERIOD_USEC), "cpu", "period");
    }
    if (memory > 0) {
        json_set_path(&r, json_int(memory), "memory", "limit");
        /* what is over the limit is not swapped out instead: the node gets slow for all */
        json_set_path(&r, json_int(memory), "memory", "swap");
        /* one process out of memory takes the container along, as the kubelet sets it on cgroup2 */
        json_set_path(&r, json_string("1"), "unified", "memory.oom.group");
    }
    if (qos_memory > 0)
        put_memory_qos(container, qos_memory, &r);
    return r;
}

int container_oom_score_adj(const struct json *pod, const struct json *container, int64_t node_memory) {
    const char *qos = pod_qos_class(json_get(pod, "spec"));
    int64_t request = request_of(container, memory_of);

    if (strcmp(qos, "Guaranteed") == 0 || json_int_or(json_path(pod, "spec", "priority"), 0) >= SYSTEM_NODE_CRITICAL)
        return -997;
    if (strcmp(qos, "BestEffort") == 0 || node_memory <= 0)
        return 1000;
    int64_t adj = 1000 - (int64_t) (1000.0 * (double) (request > 0 ? request : 0) / (double) node_memory);
    return adj < 3 ? 3 : adj > 999 ? 999 : (int) adj;
}

void pod_limits_compute(const struct json *pod, struct pod_limits *ret) {
    const struct json *list = json_path(pod, "spec", "containers");
    int64_t memory = 0, cpu = 0, request = 0;
    bool memory_all = json_len(list) > 0, cpu_all = memory_all;

    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *c = json_at(list, i);
        int64_t m = memory_of(c, "limits"), limit = cpu_of(c, "limits"), q = request_of(c, cpu_of);
        memory_all = memory_all && m > 0;
        cpu_all = cpu_all && limit > 0;
        memory += m > 0 ? m : 0;
        cpu += limit > 0 ? limit : 0;
        request += q > 0 ? q : 0;
    }
    /* init containers run alone and may ask for more */
    const struct json *init = json_path(pod, "spec", "initContainers");
    for (size_t i = 0; i < json_len(init); i++) {
        int64_t m = memory_of(json_at(init, i), "limits"), limit = cpu_of(json_at(init, i), "limits");
        bool sidecar = json_get(json_at(init, i), "restartPolicy") != NULL;
        memory_all = memory_all && m > 0;
        cpu_all = cpu_all && limit > 0;
        memory = sidecar ? memory + m : m > memory ? m : memory;
        cpu = sidecar ? cpu + limit : limit > cpu ? limit : cpu;
    }
    ret->memory_max = memory_all ? (uint64_t) memory : UINT64_MAX;
    ret->cpu_quota_per_sec_usec = cpu_all ? (uint64_t) cpu * 1000 : UINT64_MAX;
    /* the conversion of shares to weight that runtimes agreed on */
    ret->cpu_weight = (uint64_t) (1 + (shares_of(request) - SHARES_MIN) * 9999 / (SHARES_MAX - SHARES_MIN));
}

static int64_t at_least_zero(int64_t v) {
    return v > 0 ? v : 0;
}

void pod_requests(const struct json *pod, int64_t *ret_cpu_milli, int64_t *ret_memory) {
    const struct json *mains = json_path(pod, "spec", "containers"), *init = json_path(pod, "spec", "initContainers");
    int64_t cpu = 0, memory = 0, cpu_peak = 0, memory_peak = 0, cpu_sidecars = 0, memory_sidecars = 0;

    for (size_t i = 0; i < json_len(mains); i++) {
        cpu += at_least_zero(request_of(json_at(mains, i), cpu_of));
        memory += at_least_zero(request_of(json_at(mains, i), memory_of));
    }
    for (size_t i = 0; i < json_len(init); i++) {
        int64_t c = at_least_zero(request_of(json_at(init, i), cpu_of)) + cpu_sidecars;
        int64_t m = at_least_zero(request_of(json_at(init, i), memory_of)) + memory_sidecars;
        if (json_get_is(json_at(init, i), "restartPolicy", "Always")) {
            cpu_sidecars = c;
            memory_sidecars = m;
        }
        cpu_peak = c > cpu_peak ? c : cpu_peak;
        memory_peak = m > memory_peak ? m : memory_peak;
    }
    cpu += cpu_sidecars;
    memory += memory_sidecars;
    *ret_cpu_milli = cpu > cpu_peak ? cpu : cpu_peak;
    *ret_memory = memory > memory_peak ? memory : memory_peak;
}

void pod_unit_limits(const struct json *pod, bool memory_qos, struct unit_limits *ret) {
    struct pod_limits l;
    int64_t cpu, memory = 0;

    pod_limits_compute(pod, &l);
    if (memory_qos)
        pod_requests(pod, &cpu, &memory);
    *ret = (struct unit_limits){
        .memory_max = l.memory_max < UNIT_UNLIMITED ? l.memory_max + SUPERVISOR_MEMORY : UNIT_UNLIMITED,
        .cpu_quota_per_sec_usec = l.cpu_quota_per_sec_usec,
        .cpu_weight = l.cpu_weight,
        .memory_min = (uint64_t) memory,
    };
}

bool pod_asks_for(const struct json *pod, const char *resource) {
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct json *list = json_path(pod, "spec", lists[l]);
        for (size_t i = 0; i < json_len(list); i++)
            if (!json_is_null(json_path(json_at(list, i), "resources", "limits", resource)))
                return true;
    }
    return false;
}
