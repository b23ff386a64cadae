/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/link/pod_conditions.h"

#include <string.h>

#include "podium/base/cleanup.h"

static bool is_one_of(const char *type, const char *const *types, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

static bool is_nodes(const char *type) {
    static const char *const types[] = {"PodReadyToStartContainers", "Initialized",         "Ready",
                                        "ContainersReady",           "PodResizeInProgress", "PodResizePending"};
    return is_one_of(type, types, ARRAY_LEN(types));
}

/* Others' too, but the node may be the first to say them. */
static bool may_be_nodes(const char *type) {
    static const char *const types[] = {"PodScheduled", "DisruptionTarget"};
    return is_one_of(type, types, ARRAY_LEN(types));
}

static const char *type_of(const struct json *condition) {
    return json_str_or(json_get(condition, "type"), "");
}

static const struct json *find(const struct json *conditions, const char *type) {
    for (size_t i = 0; i < json_len(conditions); i++)
        if (strcmp(type_of(json_at(conditions, i)), type) == 0)
            return json_at(conditions, i);
    return NULL;
}

struct json *pod_status_to_write(const struct json *pod, const struct json *told) {
    const struct json *stored = json_path(pod, "status", "conditions"), *mine = json_get(told, "conditions");
    struct json *status = json_ref(told), *list = json_array();

    for (size_t i = 0; i < json_len(mine); i++) {
        const char *type = type_of(json_at(mine, i));
        if (is_nodes(type) || (may_be_nodes(type) && !find(stored, type)))
            json_append(&list, json_ref(json_at(mine, i)));
    }
    for (size_t i = 0; i < json_len(stored); i++)
        if (!is_nodes(type_of(json_at(stored, i))))
            json_append(&list, json_ref(json_at(stored, i)));
    if (json_len(list) > 0)
        json_set(&status, "conditions", list);
    else
        json_unref(list);
    return status;
}

bool pod_has_gates(const struct json *pod) {
    return json_len(json_path(pod, "spec", "readinessGates")) > 0;
}

static bool is_ready(const struct json *pod) {
    const struct json *ready = find(json_path(pod, "status", "conditions"), "Ready");
    return strcmp(json_str_or(json_get(ready, "status"), ""), "True") == 0;
}

bool pod_status_is_news(const struct json *old, const struct json *pod) {
    const struct json *gates = json_path(pod, "spec", "readinessGates");
    const struct json *before = json_path(old, "status", "conditions"), *now = json_path(pod, "status", "conditions");

    if (is_ready(old) && !is_ready(pod))
        return true;
    for (size_t i = 0; i < json_len(gates); i++) {
        const char *type = json_str_or(json_get(json_at(gates, i), "conditionType"), "");
        if (!json_equal(find(before, type), find(now, type)))
            return true;
    }
    return false;
}
