/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/storage_version.h"

#include <string.h>

#include "orchestrator/object/schema.h"
#include "podium/base/alloc.h"

/* --- events --- */

static const struct {
    const char *core, *events;
} event_fields[] = {
    {"involvedObject", "regarding"},
    {"message", "note"},
    {"source", "deprecatedSource"},
    {"firstTimestamp", "deprecatedFirstTimestamp"},
    {"lastTimestamp", "deprecatedLastTimestamp"},
    {"count", "deprecatedCount"},
    {"reportingComponent", "reportingController"},
};

static void convert_event(struct json **doc, bool to_core) {
    struct json *out = json_object();
    for (size_t i = 0; i < json_len(*doc); i++) {
        const char *key = json_key_at(*doc, i);
        for (size_t k = 0; k < ARRAY_LEN(event_fields); k++)
            if (strcmp(key, to_core ? event_fields[k].events : event_fields[k].core) == 0) {
                key = to_core ? event_fields[k].core : event_fields[k].events;
                break;
            }
        json_set(&out, key, json_ref(json_value_at(*doc, i)));
    }
    json_unref(*doc);
    *doc = out;
}

/* --- autoscalers: v1 knows one metric; the rest travels in annotations, as upstream does it --- */

static const char metrics_key[] = "autoscaling.alpha.kubernetes.io/metrics";
static const char behavior_key[] = "autoscaling.alpha.kubernetes.io/behavior";

static bool is_cpu_utilization(const struct json *metric) {
    return strcmp(json_str_or(json_get(metric, "type"), ""), "Resource") == 0 &&
           strcmp(json_str_or(json_path(metric, "resource", "name"), ""), "cpu") == 0 &&
           !json_is_null(json_path(metric, "resource", "target", "averageUtilization"));
}

static void store_annotation(struct json **doc, const char *key, const struct json *value) {
    _cleanup_free_ char *text = json_to_text(value);
    json_set_path(doc, json_string(text), "metadata", "annotations", key);
}

/* Takes the annotation away and returns what it held, or NULL. */
static struct json *take_annotation(struct json **doc, const char *key) {
    const struct json *text = json_path(*doc, "metadata", "annotations", key);
    struct json *value = NULL;
    if (!json_is_string(text))
        return NULL;
    if (json_parse(json_str(text), json_str_len(text), NULL, &value, NULL) < 0)
        value = NULL;
    struct json **metadata = json_edit(doc, "metadata"), **annotations = json_edit(metadata, "annotations");
    json_del(annotations, key);
    if (!json_len(*annotations))
        json_del(metadata, "annotations");
    return value;
}

static void autoscaler_to_v1(struct json **doc) {
    const struct json *metrics = json_path(*doc, "spec", "metrics"),
                      *current = json_path(*doc, "status", "currentMetrics");
    _cleanup_json_ struct json *others = NULL;
    const struct json *target = NULL, *now = NULL;
    for (size_t i = 0; i < json_len(metrics); i++) {
        if (!target && is_cpu_utilization(json_at(metrics, i)))
            target = json_path(json_at(metrics, i), "resource", "target", "averageUtilization");
        else
            json_append(&others, json_ref(json_at(metrics, i)));
    }
    for (size_t i = 0; !now && i < json_len(current); i++)
        if (strcmp(json_str_or(json_path(json_at(current, i), "resource", "name"), ""), "cpu") == 0)
            now = json_path(json_at(current, i), "resource", "current", "averageUtilization");
    if (target)
        json_set_path(doc, json_ref(target), "spec", "targetCPUUtilizationPercentage");
    if (now)
        json_set_path(doc, json_ref(now), "status", "currentCPUUtilizationPercentage");
    if (others)
        store_annotation(doc, metrics_key, others);
    if (!json_is_null(json_path(*doc, "spec", "behavior")))
        store_annotation(doc, behavior_key, json_path(*doc, "spec", "behavior"));
    json_del(json_edit(doc, "spec"), "metrics");
    json_del(json_edit(doc, "spec"), "behavior");
    if (json_is_object(json_get(*doc, "status"))) {
        json_del(json_edit(doc, "status"), "currentMetrics");
        json_del(json_edit(doc, "status"), "conditions");
        if (json_is_null(json_path(*doc, "status", "currentReplicas")))
            json_set_path(doc, json_int(0), "status", "currentReplicas");
    }
}

static struct json *cpu_metric(const struct json *utilization, const char *value_of, bool target) {
    struct json *metric = json_object();
    json_set(&metric, "type", json_string("Resource"));
    json_set_path(&metric, json_string("cpu"), "resource", "name");
    if (target)
        json_set_path(&metric, json_string("Utilization"), "resource", value_of, "type");
    json_set_path(&metric, json_ref(utilization), "resource", value_of, "averageUtilization");
    return metric;
}

static void autoscaler_to_v2(struct json **doc) {
    _cleanup_json_ struct json *metrics = take_annotation(doc, metrics_key),
                               *behavior = take_annotation(doc, behavior_key);
    const struct json *target = json_path(*doc, "spec", "targetCPUUtilizationPercentage");
    const struct json *now = json_path(*doc, "status", "currentCPUUtilizationPercentage");
    if (!json_is_array(metrics))
        json_unref(steal(&metrics));
    if (!json_is_null(target)) {
        struct json *metric = cpu_metric(target, "target", true);
        json_insert_at(&metrics, 0, metric);
    }
    if (metrics)
        json_set_path(doc, json_ref(metrics), "spec", "metrics");
    if (json_is_object(behavior))
        json_set_path(doc, json_ref(behavior), "spec", "behavior");
    if (!json_is_null(now)) {
        struct json *current = json_array();
        json_append(&current, cpu_metric(now, "current", false));
        json_set_path(doc, current, "status", "currentMetrics");
        json_del(json_edit(doc, "status"), "currentCPUUtilizationPercentage");
    }
    json_del(json_edit(doc, "spec"), "targetCPUUtilizationPercentage");
}

/* --- both ways --- */

static void convert(const struct resource *from, const struct resource *to, struct json **doc) {
    if (from == to || !json_is_object(*doc))
        return;
    if (strcmp(from->kind, "Event") == 0)
        convert_event(doc, !*to->group);
    else if (strcmp(from->kind, "HorizontalPodAutoscaler") == 0 && strcmp(to->version, "v1") == 0)
        autoscaler_to_v1(doc);
    else if (strcmp(from->kind, "HorizontalPodAutoscaler") == 0)
        autoscaler_to_v2(doc);
    json_set(doc, "apiVersion", json_string(to->api_version));
    /* Empty values that only the old shape writes go, those of the new one come. */
    if (schema_decode(type_by_name(to->type), doc, NULL, NULL) == 0)
        schema_default(to->api_version, to->kind, doc);
}

void storage_version_encode(const struct resource *r, struct json **doc) {
    convert(r, resource_storage(r), doc);
}

void storage_version_decode(const struct resource *r, struct json **doc) {
    convert(resource_storage(r), r, doc);
}
