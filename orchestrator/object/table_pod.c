/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `kubectl get pods` shows: one word for the state of several containers. */
#include <inttypes.h>
#include <string.h>

#include "orchestrator/object/field_path.h"
#include "orchestrator/object/table_cells.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

struct summary {
    char reason[160];
    int64_t ready, total;
    int64_t restarts, sidecar_restarts;
    uint64_t last_restart, last_sidecar_restart; /* usec, 0 when there was none */
};

static void set_reason(struct summary *s, const char *prefix, const char *reason) {
    snprintf(s->reason, sizeof(s->reason), "%s%s", prefix, reason);
}

/* Why a container ended: its reason, else its signal or exit code. */
static void set_ended(struct summary *s, const char *prefix, const struct json *terminated) {
    const char *reason = json_str_or(json_get(terminated, "reason"), "");
    int64_t signal = json_int_or(json_get(terminated, "signal"), 0);
    if (*reason != '\0')
        set_reason(s, prefix, reason);
    else
        snprintf(s->reason, sizeof(s->reason), "%s%s:%" PRId64, prefix, signal ? "Signal" : "ExitCode",
                 signal ? signal : json_int_or(json_get(terminated, "exitCode"), 0));
}

static bool is_sidecar(const struct json *container) {
    return strcmp(json_str_or(json_get(container, "restartPolicy"), ""), "Always") == 0;
}

static const struct json *by_name(const struct json *containers, const char *name) {
    for (size_t i = 0; i < json_len(containers); i++)
        if (strcmp(json_str_or(json_get(json_at(containers, i), "name"), ""), name) == 0)
            return json_at(containers, i);
    return NULL;
}

static void note_restart(const struct json *status, int64_t *count, uint64_t *last) {
    uint64_t at;
    *count += json_int_or(json_get(status, "restartCount"), 0);
    const char *finished = json_str(json_path(status, "lastState", "terminated", "finishedAt"));
    if (finished && timestamp_parse(finished, &at) == 0 && at > *last)
        *last = at;
}

/* Returns true when this init container keeps the pod from going on. */
static bool init_container_blocks(struct summary *s, const struct json *status, bool sidecar, size_t number,
                                  size_t total) {
    const struct json *terminated = json_path(status, "state", "terminated");
    const char *waiting = json_str_or(json_path(status, "state", "waiting", "reason"), "");
    if (json_is_object(terminated) && json_int_or(json_get(terminated, "exitCode"), 0) == 0)
        return false;
    if (sidecar && json_bool_or(json_get(status, "started"), false)) {
        s->ready += json_bool_or(json_get(status, "ready"), false);
        return false;
    }
    if (json_is_object(terminated))
        set_ended(s, "Init:", terminated);
    else if (*waiting != '\0' && strcmp(waiting, "PodInitializing") != 0)
        set_reason(s, "Init:", waiting);
    else
        snprintf(s->reason, sizeof(s->reason), "Init:%zu/%zu", number, total);
    return true;
}

static bool look_at_init_containers(struct summary *s, const struct json *pod) {
    const struct json *containers = json_path(pod, "spec", "initContainers");
    const struct json *statuses = json_path(pod, "status", "initContainerStatuses");
    for (size_t i = 0; i < json_len(containers); i++)
        s->total += is_sidecar(json_at(containers, i));
    for (size_t i = 0; i < json_len(statuses); i++) {
        const struct json *status = json_at(statuses, i);
        bool sidecar = is_sidecar(by_name(containers, json_str_or(json_get(status, "name"), "")));
        note_restart(status, &s->restarts, &s->last_restart);
        if (sidecar)
            note_restart(status, &s->sidecar_restarts, &s->last_sidecar_restart);
        if (init_container_blocks(s, status, sidecar, i, json_len(containers)))
            return true;
    }
    return false;
}

static void look_at_containers(struct summary *s, const struct json *pod) {
    const struct json *statuses = json_path(pod, "status", "containerStatuses");
    bool running = false;
    s->restarts = s->sidecar_restarts;
    s->last_restart = s->last_sidecar_restart;
    for (size_t i = json_len(statuses); i-- > 0;) {
        const struct json *status = json_at(statuses, i), *terminated = json_path(status, "state", "terminated");
        const char *waiting = json_str_or(json_path(status, "state", "waiting", "reason"), "");
        note_restart(status, &s->restarts, &s->last_restart);
        if (*waiting != '\0') {
            set_reason(s, "", waiting);
        } else if (json_is_object(terminated)) {
            set_ended(s, "", terminated);
        } else if (json_bool_or(json_get(status, "ready"), false) &&
                   json_is_object(json_path(status, "state", "running"))) {
            running = true;
            s->ready++;
        }
    }
    if (running && strcmp(s->reason, "Completed") == 0)
        set_reason(s, "",
                   table_condition_is_true(json_path(pod, "status", "conditions"), "Ready") ? "Running" : "NotReady");
}

static struct summary summarize(const struct json *pod) {
    struct summary s = {.total = (int64_t) json_len(json_path(pod, "spec", "containers"))};
    const struct json *status = json_get(pod, "status"), *conditions = json_get(status, "conditions");
    const char *phase = json_str_or(json_get(status, "phase"), ""), *why = json_str_or(json_get(status, "reason"), "");
    set_reason(&s, "", *why != '\0' ? why : phase);
    const char *scheduled = json_str_or(json_get(table_condition(conditions, "PodScheduled"), "reason"), "");
    if (strcmp(scheduled, "SchedulingGated") == 0)
        set_reason(&s, "", scheduled);
    if (!look_at_init_containers(&s, pod) || table_condition_is_true(conditions, "Initialized"))
        look_at_containers(&s, pod);
    bool finished = strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
    if (!json_is_null(json_path(pod, "metadata", "deletionTimestamp"))) {
        if (strcmp(why, "NodeLost") == 0)
            set_reason(&s, "", "Unknown");
        else if (!finished)
            set_reason(&s, "", "Terminating");
    }
    return s;
}

static struct json *ready(const struct json *pod, uint64_t now_usec) {
    struct summary s = summarize(pod);
    return json_stringf("%" PRId64 "/%" PRId64, s.ready, s.total);
}

static struct json *status(const struct json *pod, uint64_t now_usec) {
    struct summary s = summarize(pod);
    return json_string(s.reason);
}

static struct json *restarts(const struct json *pod, uint64_t now_usec) {
    struct summary s = summarize(pod);
    if (s.restarts == 0 || s.last_restart == 0)
        return json_stringf("%" PRId64, s.restarts);
    char ago[TIMESTAMP_SIZE];
    duration_human(((int64_t) now_usec - (int64_t) s.last_restart) / (int64_t) USEC_PER_SEC, ago);
    return json_stringf("%" PRId64 " (%s ago)", s.restarts, ago);
}

static struct json *ip(const struct json *pod, uint64_t now_usec) {
    const char *first = table_str(pod, "status.podIPs[0].ip");
    const char *single = table_str(pod, "status.podIP");
    return json_string(*first ? first : *single ? single : "<none>");
}

static struct json *readiness_gates(const struct json *pod, uint64_t now_usec) {
    const struct json *gates = json_path(pod, "spec", "readinessGates");
    size_t open = 0;
    if (json_len(gates) == 0)
        return json_string("<none>");
    for (size_t i = 0; i < json_len(gates); i++)
        open += table_condition_is_true(json_path(pod, "status", "conditions"),
                                        json_str_or(json_get(json_at(gates, i), "conditionType"), ""));
    return json_stringf("%zu/%zu", open, json_len(gates));
}

static struct json *template_labels(const struct json *template, uint64_t now_usec) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    table_add_map(&b, json_path(template, "template", "metadata", "labels"));
    return table_text(&b, "<none>");
}

const struct table_cell table_pod_cells[] = {
    {"Pod", "Ready", ready},
    {"Pod", "Status", status},
    {"Pod", "Restarts", restarts},
    {"Pod", "IP", ip},
    {"Pod", "Readiness Gates", readiness_gates},
    {"PodTemplate", "Pod Labels", template_labels},
    {NULL, NULL, NULL},
};
