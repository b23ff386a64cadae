/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/podstate.h"

#include <string.h>

#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

const char *pod_phase(const struct json *pod) {
    return json_str_or(json_path(pod, "status", "phase"), "");
}

const char *pod_node(const struct json *pod) {
    return json_str_or(json_path(pod, "spec", "nodeName"), "");
}

void pod_node_key(const struct json *pod, char ***keys) {
    if (*pod_node(pod))
        strv_push_dup(keys, pod_node(pod));
}

bool pod_is_finished(const struct json *pod) {
    const char *phase = pod_phase(pod);
    return strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
}

bool pod_is_active(const struct json *pod) {
    return !pod_is_finished(pod) && !json_str(json_path(pod, "metadata", "deletionTimestamp"));
}

const struct json *condition_find(const struct json *object, const char *type) {
    const struct json *all = json_path(object, "status", "conditions");
    for (size_t i = 0; i < json_len(all); i++)
        if (strcmp(json_str_or(json_get(json_at(all, i), "type"), ""), type) == 0)
            return json_at(all, i);
    return NULL;
}

const char *condition_status(const struct json *object, const char *type) {
    return json_str_or(json_get(condition_find(object, type), "status"), "");
}

bool pod_is_ready(const struct json *pod) {
    return strcmp(condition_status(pod, "Ready"), "True") == 0;
}

uint64_t pod_ready_since(const struct json *pod) {
    const struct json *ready = condition_find(pod, "Ready");
    uint64_t usec = 0;
    const char *text = json_str(json_get(ready, "lastTransitionTime"));
    if (strcmp(json_str_or(json_get(ready, "status"), ""), "True") != 0 || !text || timestamp_parse(text, &usec) < 0)
        return 0;
    return usec;
}

bool pod_is_available(const struct json *pod, int64_t min_ready, uint64_t now, uint64_t *ret_wait) {
    if (!pod_is_ready(pod))
        return false;
    if (min_ready <= 0)
        return true;
    uint64_t since = pod_ready_since(pod), until = since + (uint64_t) min_ready * USEC_PER_SEC;
    if (since == 0)
        return false;
    if (until <= now)
        return true;
    if (ret_wait && until - now < *ret_wait)
        *ret_wait = until - now;
    return false;
}
