/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/eviction/choice.h"

#include <string.h>

#include "orchestrator/agent/disposal.h"
#include "orchestrator/agent/eviction/manager.h"
#include "orchestrator/agent/eviction/rank.h"
#include "orchestrator/agent/model.h"
#include "orchestrator/agent/queries/usage.h"
#include "orchestrator/agent/resources.h"
#include "orchestrator/agent/status.h"
#include "orchestrator/object/quantity.h"
#include "podium/base/alloc.h"
#include "podium/base/log.h"

static bool can_go(const struct agent_pod *pod) {
    return pod->unit_exists && pod->desired && pod->wanted && !pod->final && !pod->deleting && !pod->refused_reason &&
           !eviction_is_critical(pod);
}

static int64_t sum(const struct json *bytes) {
    int64_t n = 0;

    for (size_t i = 0; i < json_len(bytes); i++)
        n += json_int_or(json_value_at(bytes, i), 0);
    return n;
}

static int64_t storage_request(const struct agent_pod *pod) {
    const struct json *list = json_path(pod->desired, "spec", "containers");
    int64_t n = 0;

    for (size_t i = 0; i < json_len(list); i++)
        n += quantity_json(json_path(json_at(list, i), "resources", "requests", "ephemeral-storage"), 0);
    return n;
}

static void fill(const struct pod_usage *u, struct agent_pod *pod, struct eviction_candidate *ret) {
    int64_t cpu, memory;

    pod_requests(pod->desired, &cpu, &memory);
    *ret = (struct eviction_candidate){
        .pod = pod,
        .priority = json_int_or(json_path(pod->desired, "spec", "priority"), 0),
        .used = {.memory = (int64_t) (u->usage.working_set - u->supervisor_working_set),
                 .disk = sum(json_get(pod->disk, "volumes")) + sum(json_get(pod->disk, "containers")),
                 .inodes = json_int_or(json_get(pod->disk, "inodes"), 0),
                 .processes = (int64_t) u->usage.processes},
        .requested = {.memory = memory, .disk = storage_request(pod)},
    };
}

static struct json *memory_of_containers(const struct pod_usage *u) {
    struct json *used = json_object();

    for (size_t i = 0; i < u->n_containers; i++)
        if (u->containers[i].running && u->containers[i].usage.has_memory)
            json_set(&used, u->containers[i].name, json_int((int64_t) u->containers[i].usage.working_set));
    return used;
}

static struct json *use_of(enum eviction_signal signal, const struct node_usage *u, const struct agent_pod *pod) {
    if (signal == EVICTION_NODEFS || signal == EVICTION_IMAGEFS)
        return json_ref(json_get(pod->disk, "containers"));
    for (size_t i = 0; signal == EVICTION_MEMORY && i < u->n_pods; i++)
        if (strcmp(u->pods[i].uid, pod->uid) == 0)
            return memory_of_containers(&u->pods[i]);
    return NULL;
}

struct agent_pod *eviction_choose(struct agent *agent, enum eviction_signal signal, struct json **ret_used) {
    struct agent_pod *chosen = NULL;
    struct node_usage u;
    size_t n = 0;

    node_usage_read(agent, &u);
    _cleanup_free_ struct eviction_candidate *list = xcalloc(u.n_pods + 1, sizeof(*list));
    for (size_t i = 0; i < u.n_pods; i++) {
        struct agent_pod *pod = hashmap_get(agent->pods, u.pods[i].uid);
        if (pod && can_go(pod))
            fill(&u.pods[i], pod, &list[n++]);
    }
    eviction_rank(signal, list, n);
    if (n > 0) {
        chosen = list[0].pod;
        *ret_used = use_of(signal, &u, chosen);
    }
    node_usage_finish(&u);
    return chosen;
}

/* Init containers that did their work; others may be started again. */
static bool is_over(const struct json *container_state) {
    return json_bool_or(json_get(container_state, "init"), false) &&
           !json_bool_or(json_get(container_state, "sidecar"), false) &&
           json_get_is(container_state, "state", "terminated") &&
           json_int_or(json_get(container_state, "exitCode"), 1) == 0;
}

void eviction_dispose_of_ended(struct agent *agent) {
    struct hashmap_iter it = {0};

    while (hashmap_next(agent->pods, &it)) {
        const struct agent_pod *pod = it.value;
        const struct json *list = json_get(pod->state, "containers");
        for (size_t i = 0; pod->unit_exists && i < json_len(list); i++) {
            _cleanup_(error_clear) struct error err = ERROR_INIT;
            _cleanup_free_ char *path =
                xasprintf("%s/containers/%s", pod->state_dir, json_str_or(json_get(json_at(list, i), "name"), ""));
            if (!is_over(json_at(list, i)))
                continue;
            int r = disposal_take(agent->disposal, path, &err);
            if (r < 0)
                log_warning("pod %s/%s: %s", pod->namespace, pod->name, error_text(&err, r));
        }
    }
}
