/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/nodelifecycle/decide.h"

#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/podstate.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/clock.h"

#define NO_SCHEDULE "NoSchedule"
#define NO_EXECUTE  "NoExecute"

/* --- conditions --- */

static const char *const observed_conditions[] = {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"};

/* The slot of status.conditions[type], appended when absent. */
static struct json **condition_slot(struct json **status, const char *type) {
    struct json **list = json_edit(status, "conditions");
    for (size_t i = 0; i < json_len(*list); i++)
        if (strcmp(json_get_str(json_at(*list, i), "type"), type) == 0)
            return json_edit_at(list, i);
    struct json *c = json_object();
    json_set(&c, "type", json_string(type));
    return json_append(list, c);
}

struct json *node_status_overdue(const struct json *node, uint64_t now) {
    const struct json *old = json_get(node, "status");
    struct json *status = json_is_object(old) ? json_ref(old) : json_object();
    char text[TIMESTAMP_SIZE];
    timestamp_format(now, text);
    for (size_t i = 0; i < ARRAY_LEN(observed_conditions); i++) {
        const char *type = observed_conditions[i];
        bool known = condition_find(node, type) != NULL;
        if (strcmp(condition_status(node, type), "Unknown") == 0)
            continue;
        struct json **c = condition_slot(&status, type);
        json_set(c, "status", json_string("Unknown"));
        json_set(c, "lastTransitionTime", json_string(text));
        if (!known)
            json_set(c, "lastHeartbeatTime", json_ref(json_path(node, "metadata", "creationTimestamp")));
        json_set(c, "reason", json_string(known ? "NodeStatusUnknown" : "NodeStatusNeverUpdated"));
        json_set(c, "message",
                 json_string(known ? "The node's agent stopped posting node status."
                                   : "The node's agent never posted node status."));
    }
    return status;
}

/* --- taints --- */

struct rule {
    const char *condition, *status, *key, *effect;
};

/* Upstream's nodeConditionToTaintKeyStatusMap, and its NoExecute pair. */
static const struct rule rules[] = {
    {"Ready", "False", TAINT_NOT_READY, NO_SCHEDULE},
    {"Ready", "False", TAINT_NOT_READY, NO_EXECUTE},
    {"Ready", "Unknown", TAINT_UNREACHABLE, NO_SCHEDULE},
    {"Ready", "Unknown", TAINT_UNREACHABLE, NO_EXECUTE},
    {"MemoryPressure", "True", "node.kubernetes.io/memory-pressure", NO_SCHEDULE},
    {"DiskPressure", "True", "node.kubernetes.io/disk-pressure", NO_SCHEDULE},
    {"PIDPressure", "True", "node.kubernetes.io/pid-pressure", NO_SCHEDULE},
    {"NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable", NO_SCHEDULE},
    {NULL, NULL, "node.kubernetes.io/unschedulable", NO_SCHEDULE},
};

static bool holds(const struct json *node, const struct rule *r) {
    if (!r->condition)
        return json_bool_or(json_path(node, "spec", "unschedulable"), false);
    return strcmp(condition_status(node, r->condition), r->status) == 0;
}

static const struct rule *rule_of(const struct json *taint) {
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (strcmp(json_get_str(taint, "key"), rules[i].key) == 0 &&
            strcmp(json_get_str(taint, "effect"), rules[i].effect) == 0)
            return &rules[i];
    return NULL;
}

bool node_has_taint(const struct json *node, const char *key, const char *effect) {
    const struct json *all = json_path(node, "spec", "taints");
    for (size_t i = 0; i < json_len(all); i++)
        if (strcmp(json_get_str(json_at(all, i), "key"), key) == 0 &&
            strcmp(json_get_str(json_at(all, i), "effect"), effect) == 0)
            return true;
    return false;
}

struct json *node_taints_wanted(const struct json *node, uint64_t now) {
    const struct json *old = json_path(node, "spec", "taints");
    struct json *list = NULL;
    char text[TIMESTAMP_SIZE];
    timestamp_format(now, text);
    /* A node that never reported Ready keeps the taint it was registered with until it does. */
    bool silent = !condition_find(node, "Ready");
    for (size_t i = 0; i < json_len(old); i++) {
        const struct rule *r = rule_of(json_at(old, i));
        bool waiting = r && silent && strcmp(r->key, TAINT_NOT_READY) == 0;
        if (!r || waiting || holds(node, r))
            json_append(&list, json_ref(json_at(old, i)));
    }
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if (!holds(node, &rules[i]) || node_has_taint(node, rules[i].key, rules[i].effect))
            continue;
        struct json *t = json_object();
        json_set(&t, "key", json_string(rules[i].key));
        json_set(&t, "effect", json_string(rules[i].effect));
        json_set(&t, "timeAdded", json_string(text));
        json_append(&list, t);
    }
    return list ? list : json_null();
}

/* --- evictions --- */

static bool tolerates(const struct json *toleration, const struct json *taint) {
    const char *effect = json_get_str(toleration, "effect"), *key = json_get_str(toleration, "key");
    if (*effect && strcmp(effect, json_get_str(taint, "effect")) != 0)
        return false;
    if (*key && strcmp(key, json_get_str(taint, "key")) != 0)
        return false;
    if (strcmp(json_get_str(toleration, "operator"), "Exists") == 0)
        return true;
    return *key && strcmp(json_get_str(toleration, "value"), json_get_str(taint, "value")) == 0;
}

static bool is_node_state(const struct json *taint) {
    return strcmp(json_get_str(taint, "key"), TAINT_NOT_READY) == 0 ||
           strcmp(json_get_str(taint, "key"), TAINT_UNREACHABLE) == 0;
}

/* The time one taint leaves the pod: the shortest of the tolerations that match it. */
static uint64_t delay_of(const struct json *taint, const struct json *pod, uint64_t default_delay) {
    const struct json *all = json_path(pod, "spec", "tolerations");
    uint64_t shortest = EVICT_NEVER;
    bool tolerated = false;
    for (size_t i = 0; i < json_len(all); i++) {
        const struct json *t = json_at(all, i), *seconds = json_get(t, "tolerationSeconds");
        if (!tolerates(t, taint))
            continue;
        tolerated = true;
        if (json_is_null(seconds))
            continue;
        int64_t n = json_int_or(seconds, 0);
        uint64_t delay = n > 0 ? (uint64_t) n * USEC_PER_SEC : 0;
        shortest = delay < shortest ? delay : shortest;
    }
    if (tolerated)
        return shortest;
    return is_node_state(taint) ? default_delay : 0;
}

uint64_t node_eviction_delay(const struct json *node, const struct json *pod, uint64_t default_delay) {
    const struct json *taints = json_path(node, "spec", "taints");
    uint64_t shortest = EVICT_NEVER;
    for (size_t i = 0; i < json_len(taints); i++) {
        if (strcmp(json_get_str(json_at(taints, i), "effect"), NO_EXECUTE) != 0)
            continue;
        uint64_t delay = delay_of(json_at(taints, i), pod, default_delay);
        shortest = delay < shortest ? delay : shortest;
    }
    return shortest;
}

struct json *pod_status_not_ready(const struct json *pod, uint64_t now) {
    if (!pod_is_ready(pod))
        return NULL;
    struct json *status = json_ref(json_get(pod, "status"));
    char text[TIMESTAMP_SIZE];
    timestamp_format(now, text);
    struct json **c = condition_slot(&status, "Ready");
    json_set(c, "status", json_string("False"));
    json_set(c, "lastTransitionTime", json_string(text));
    return status;
}
