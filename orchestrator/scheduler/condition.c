/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The condition PodScheduled=False: why a pod still has no node. */
#include "orchestrator/scheduler/internal.h"

#include <string.h>

#include "orchestrator/object/timestamp.h"
#include "podium/base/clock.h"
#include "podium/base/log.h"

static const struct json *find_condition(const struct json *pod) {
    const struct json *list = json_path(pod, "status", "conditions");

    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_str_or(json_get(json_at(list, i), "type"), ""), "PodScheduled") == 0)
            return json_at(list, i);
    return NULL;
}

static bool field_is(const struct json *condition, const char *field, const char *value) {
    return strcmp(json_str_or(json_get(condition, field), ""), value) == 0;
}

/* A strategic merge patch: conditions are merged by their type, all others stay. */
static struct json *make_patch(const struct json *pod, const struct json *now, const char *reason,
                               const char *message) {
    struct json *patch = json_object(), *c = json_object();
    char stamp[TIMESTAMP_SIZE];

    json_set(&c, "type", json_string("PodScheduled"));
    json_set(&c, "status", json_string("False"));
    json_set(&c, "reason", json_string(reason));
    json_set(&c, "message", json_string(message));
    if (!field_is(now, "status", "False")) {
        timestamp_format(now_realtime_usec(), stamp);
        json_set(&c, "lastTransitionTime", json_string(stamp));
    }
    /* another pod of the same name is not meant */
    json_set_path(&patch, json_string(json_str_or(json_path(pod, "metadata", "uid"), "")), "metadata", "uid");
    json_append(json_edit(json_edit(&patch, "status"), "conditions"), c);
    return patch;
}

static void on_written(void *userdata, const struct client_result *result) {
    struct sched_write *w = userdata;

    w->call = NULL;
    /* Not tried again: it is written anew with the pod's next attempt, and a pod that is gone needs none. */
    if (!client_ok(result) && result->code != 404 && result->code != 409)
        log_debug("scheduler: cannot write the condition of pod %s: %d %s", w->key, result->code,
                  result->message ? result->message : "");
    sched_write_free(w);
}

void sched_set_condition(struct scheduler *s, struct json *pod, const char *reason, const char *message) {
    const struct json *now = find_condition(pod);

    if (field_is(now, "status", "False") && field_is(now, "reason", reason) && field_is(now, "message", message))
        return;
    struct sched_write *w = sched_write_new(s, pod, NULL);
    _cleanup_json_ struct json *patch = make_patch(pod, now, reason, message);
    const struct client_request r = {
        .verb = CLIENT_PATCH,
        .resource = resource_by_plural("", "v1", "pods"),
        .ns = json_str(json_path(pod, "metadata", "namespace")),
        .name = json_str(json_path(pod, "metadata", "name")),
        .subresource = "status",
        .patch_type = PATCH_STRATEGIC,
        .body = patch,
        .field_manager = "podium-scheduler",
        .code_only = true,
    };

    w->call = client_start(s->client, &r, on_written, w);
}
