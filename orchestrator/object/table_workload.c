/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cells of what makes pods: controllers, jobs, autoscalers. */
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "orchestrator/object/field_path.h"
#include "orchestrator/object/selector.h"
#include "orchestrator/object/table_cells.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

/* The pod template, wherever the kind has it. */
static const struct json *template_spec(const struct json *o) {
    static const char *const paths[] = {"spec.template.spec", "spec.jobTemplate.spec.template.spec", "template.spec"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (field_path_get(o, paths[i]))
            return field_path_get(o, paths[i]);
    return NULL;
}

static struct json *of_containers(const struct json *o, const char *member) {
    const struct json *containers = json_get(template_spec(o), "containers");
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    for (size_t i = 0; i < json_len(containers); i++)
        table_join(&b, ",", json_str_or(json_get(json_at(containers, i), member), ""));
    return table_text(&b, "");
}

static struct json *containers(const struct json *o, uint64_t now_usec) {
    return of_containers(o, "name");
}

static struct json *images(const struct json *o, uint64_t now_usec) {
    return of_containers(o, "image");
}

static struct json *node_selector(const struct json *o, uint64_t now_usec) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    table_add_map(&b, json_get(template_spec(o), "nodeSelector"));
    return table_text(&b, "<none>");
}

static struct json *label_selector(const struct json *object) {
    _cleanup_(selector_freep) struct selector *s = NULL;
    if (selector_from_object(object, &s, NULL) < 0)
        return json_string("<error>");
    _cleanup_free_ char *text = selector_to_text(s);
    return json_string(*text ? text : "<none>");
}

static struct json *selector(const struct json *o, uint64_t now_usec) {
    return label_selector(json_path(o, "spec", "selector"));
}

static struct json *cronjob_selector(const struct json *o, uint64_t now_usec) {
    return label_selector(field_path_get(o, "spec.jobTemplate.spec.selector"));
}

static struct json *pod_selector(const struct json *o, uint64_t now_usec) {
    return label_selector(json_path(o, "spec", "podSelector"));
}

static struct json *map_selector(const struct json *o, uint64_t now_usec) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    table_add_map(&b, json_path(o, "spec", "selector"));
    return table_text(&b, "<none>");
}

static int64_t number(const struct json *o, const char *path) {
    return json_int_or(field_path_get(o, path), 0);
}

static struct json *ready_of_replicas(const struct json *o, uint64_t now_usec) {
    return json_stringf("%" PRId64 "/%" PRId64, number(o, "status.readyReplicas"), number(o, "spec.replicas"));
}

static struct json *job_status(const struct json *o, uint64_t now_usec) {
    const struct json *conditions = json_path(o, "status", "conditions");
    if (table_condition_is_true(conditions, "Complete"))
        return json_string("Complete");
    if (table_condition_is_true(conditions, "Failed"))
        return json_string("Failed");
    if (!json_is_null(json_path(o, "metadata", "deletionTimestamp")))
        return json_string("Terminating");
    if (table_condition_is_true(conditions, "Suspended"))
        return json_string("Suspended");
    return json_string(table_condition_is_true(conditions, "FailureTarget") ? "FailureTarget" : "Running");
}

static struct json *job_completions(const struct json *o, uint64_t now_usec) {
    int64_t succeeded = number(o, "status.succeeded"), parallelism = number(o, "spec.parallelism");
    if (!json_is_null(json_path(o, "spec", "completions")))
        return json_stringf("%" PRId64 "/%" PRId64, succeeded, number(o, "spec.completions"));
    if (parallelism > 1)
        return json_stringf("%" PRId64 "/1 of %" PRId64, succeeded, parallelism);
    return json_stringf("%" PRId64 "/1", succeeded);
}

static struct json *job_duration(const struct json *o, uint64_t now_usec) {
    uint64_t start, end = now_usec;
    if (timestamp_parse(table_str(o, "status.startTime"), &start) < 0)
        return json_string("");
    if (timestamp_parse(table_str(o, "status.completionTime"), &end) < 0)
        end = now_usec;
    char text[TIMESTAMP_SIZE];
    duration_human(((int64_t) end - (int64_t) start) / (int64_t) USEC_PER_SEC, text);
    return json_string(text);
}

static struct json *cronjob_suspend(const struct json *o, uint64_t now_usec) {
    const struct json *v = json_path(o, "spec", "suspend");
    return json_string(json_is_null(v) ? "<unset>" : json_bool_or(v, false) ? "True" : "False");
}

static struct json *cronjob_last_schedule(const struct json *o, uint64_t now_usec) {
    const struct json *v = json_path(o, "status", "lastScheduleTime");
    return json_is_null(v) ? json_string("<none>") : table_age(v, now_usec);
}

static struct json *revision_controller(const struct json *o, uint64_t now_usec) {
    const struct json *owners = json_path(o, "metadata", "ownerReferences");
    for (size_t i = 0; i < json_len(owners); i++) {
        const struct json *owner = json_at(owners, i);
        if (!json_bool_or(json_get(owner, "controller"), false))
            continue;
        const char *group = table_str(owner, "apiVersion"), *slash = strchr(group, '/');
        _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
        for (const char *p = table_str(owner, "kind"); *p; p++)
            strbuf_addc(&b, (char) tolower((unsigned char) *p));
        if (slash)
            strbuf_addf(&b, ".%.*s", (int) (slash - group), group);
        strbuf_addf(&b, "/%s", table_str(owner, "name"));
        return table_text(&b, "");
    }
    return json_string("<none>");
}

/* --- autoscalers --- */

static struct json *hpa_reference(const struct json *o, uint64_t now_usec) {
    const struct json *ref = json_path(o, "spec", "scaleTargetRef");
    return json_stringf("%s/%s", table_str(ref, "kind"), table_str(ref, "name"));
}

/* A metric value: quantity text, or a utilization in percent; `absent` when there is none. */
static void add_metric_value(struct strbuf *b, const struct json *v, const char *absent) {
    const struct json *utilization = json_get(v, "averageUtilization");
    const char *average = json_str(json_get(v, "averageValue")), *value = json_str(json_get(v, "value"));
    if (!json_is_null(utilization))
        strbuf_addf(b, "%" PRId64 "%%", json_int_or(utilization, 0));
    else
        strbuf_adds(b, average ? average : value ? value : absent);
}

static void add_metric(struct strbuf *b, const struct json *metric, const struct json *current) {
    static const struct {
        const char *type, *member;
        bool named, average;
    } types[] = {{"Resource", "resource", true, false},
                 {"ContainerResource", "containerResource", true, false},
                 {"Pods", "pods", false, false},
                 {"Object", "object", false, true},
                 {"External", "external", false, true}};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (strcmp(table_str(metric, "type"), types[i].type) != 0)
            continue;
        const struct json *spec = json_get(metric, types[i].member), *target = json_get(spec, "target");
        if (types[i].named)
            strbuf_addf(b, "%s: ", table_str(spec, "name"));
        add_metric_value(b, json_path(current, types[i].member, "current"), "<unknown>");
        strbuf_addc(b, '/');
        add_metric_value(b, target, "<auto>");
        if (types[i].average && json_is_string(json_get(target, "averageValue")))
            strbuf_adds(b, " (avg)");
        return;
    }
    strbuf_adds(b, "<unknown type>");
}

static struct json *hpa_targets(const struct json *o, uint64_t now_usec) {
    const struct json *metrics = json_path(o, "spec", "metrics"), *current = json_path(o, "status", "currentMetrics");
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    for (size_t i = 0; i < json_len(metrics) && i < 2; i++) {
        if (i > 0)
            strbuf_adds(&b, ", ");
        add_metric(&b, json_at(metrics, i), json_at(current, i));
    }
    if (json_len(metrics) > 2)
        strbuf_addf(&b, " + %zu more...", json_len(metrics) - 2);
    return table_text(&b, "<none>");
}

const struct table_cell table_workload_cells[] = {
    {"ReplicationController", "Selector", map_selector},
    {"CronJob", "Selector", cronjob_selector},
    {"NetworkPolicy", "Pod-Selector", pod_selector},
    {"ReplicaSet", "Selector", selector},
    {"Deployment", "Selector", selector},
    {"DaemonSet", "Selector", selector},
    {"Job", "Selector", selector},
    {"DaemonSet", "Node Selector", node_selector},
    {"Deployment", "Ready", ready_of_replicas},
    {"StatefulSet", "Ready", ready_of_replicas},
    {"Job", "Status", job_status},
    {"Job", "Completions", job_completions},
    {"Job", "Duration", job_duration},
    {"CronJob", "Suspend", cronjob_suspend},
    {"CronJob", "Last Schedule", cronjob_last_schedule},
    {"ControllerRevision", "Controller", revision_controller},
    {"HorizontalPodAutoscaler", "Reference", hpa_reference},
    {"HorizontalPodAutoscaler", "Targets", hpa_targets},
    {NULL, "Containers", containers},
    {NULL, "Images", images},
    {NULL, NULL, NULL},
};
