/* SPDX-License-Identifier: GPL-2.0-or-later */
/* HorizontalPodAutoscalers, of both versions: what v1 lacks is not there. */
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "orchestrator/object/quantity.h"

#define STABILIZATION_SECONDS_MAX 3600
#define PERIOD_SECONDS_MAX        1800

static const struct place spec_place = {.name = "spec"};

static void check_path_name(struct field_errors *e, const struct place *at, const struct json *object, const char *key,
                            const char *missing) {
    struct place place = place_in(at, key);
    if (*json_get_str(object, key))
        check_name(e, &place, json_get_str(object, key), name_form_path_segment);
    else
        complain_required(e, &place, missing);
}

static void check_reference(struct field_errors *e, const struct place *at, const struct json *reference) {
    check_path_name(e, at, reference, "kind", "");
    check_path_name(e, at, reference, "name", "");
}

/* --- metrics --- */

static void check_target(struct field_errors *e, const struct place *at, const struct json *target) {
    static const char *const types[] = {"Utilization", "Value", "AverageValue"}, *const amounts[] = {"value",
                                                                                                     "averageValue"};
    struct place type = place_in(at, "type"), utilization = place_in(at, "averageUtilization");
    const char *said = json_get_str(target, "type");
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        known = known || strcmp(types[i], said) == 0;
    if (!*said)
        complain_required(e, &type, "must specify a metric target type");
    if (!known)
        complain_invalid_text(e, &type, said, "must be either Utilization, Value, or AverageValue");
    for (size_t i = 0; i < ARRAY_LEN(amounts); i++) {
        struct place amount = place_in(at, amounts[i]);
        const struct json *v = json_get(target, amounts[i]);
        if (!json_is_null(v) && quantity_json_milli(v, 1) <= 0)
            complain_invalid(e, &amount, v, "must be positive");
    }
    if (json_int_or(json_get(target, "averageUtilization"), 1) < 1)
        complain_invalid(e, &utilization, json_get(target, "averageUtilization"), "must be greater than 0");
}

static void check_resource_source(struct field_errors *e, const struct place *at, const struct json *source,
                                  bool container) {
    struct place name = place_in(at, "name"), target = place_in(at, "target"), of = place_in(at, "container");
    struct place utilization = place_in(&target, "averageUtilization"), value = place_in(&target, "averageValue");
    const struct json *wanted = json_get(source, "target");
    bool percent = !json_is_null(json_get(wanted, "averageUtilization")),
         raw = !json_is_null(json_get(wanted, "averageValue"));
    if (container && !*json_get_str(source, "container"))
        complain_required(e, &of, "must specify a container");
    if (!*json_get_str(source, "name"))
        complain_required(e, &name, "must specify a resource name");
    check_target(e, &target, wanted);
    if (!percent && !raw)
        complain_required(e, &utilization, "must set either a target raw value or a target utilization");
    else if (percent && raw)
        complain_forbidden(e, &value, "may not set both a target raw value and a target utilization");
}

static void check_pods_source(struct field_errors *e, const struct place *at, const struct json *source) {
    struct place metric = place_in(at, "metric"), target = place_in(at, "target"),
                 value = place_in(&target, "averageValue");
    const struct json *amount = json_path(source, "target", "averageValue");
    check_path_name(e, &metric, json_get(source, "metric"), "name", "must specify a metric name");
    check_target(e, &target, json_get(source, "target"));
    if (json_is_null(amount) || quantity_json_milli(amount, 0) <= 0)
        complain_required(e, &value, "must specify a positive target averageValue");
}

static void check_value_source(struct field_errors *e, const struct place *at, const struct json *source,
                               bool external) {
    struct place metric = place_in(at, "metric"), target = place_in(at, "target"), value = place_in(&target, "value"),
                 average = place_in(&target, "averageValue"), object = place_in(at, "describedObject");
    const struct json *wanted = json_get(source, "target");
    bool one = !json_is_null(json_get(wanted, "value")), other = !json_is_null(json_get(wanted, "averageValue"));
    if (!external)
        check_reference(e, &object, json_get(source, "describedObject"));
    check_path_name(e, &metric, json_get(source, "metric"), "name", "must specify a metric name");
    check_target(e, &target, wanted);
    if (!one && !other)
        complain_required(e, &average, "must set either a target value for metric or a per-pod target");
    else if (external && one && other)
        complain_forbidden(e, &value, "may not set both a target value for metric and a per-pod target");
}

static const struct source {
    const char *type, *member;
} sources[] = {{"ContainerResource", "containerResource"},
               {"External", "external"},
               {"Object", "object"},
               {"Pods", "pods"},
               {"Resource", "resource"}};

static void check_source(struct field_errors *e, const struct place *at, const struct source *s,
                         const struct json *source) {
    if (strcmp(s->member, "pods") == 0)
        check_pods_source(e, at, source);
    else if (strcmp(s->member, "object") == 0 || strcmp(s->member, "external") == 0)
        check_value_source(e, at, source, strcmp(s->member, "external") == 0);
    else
        check_resource_source(e, at, source, strcmp(s->member, "containerResource") == 0);
}

static void check_metric(struct field_errors *e, const struct place *at, const struct json *metric) {
    static const char *const types[] = {"ContainerResource", "External", "Object", "Pods", "Resource", NULL};
    struct place type = place_in(at, "type");
    const char *said = json_get_str(metric, "type");
    if (!*said) {
        complain_required(e, &type, "must specify a metric source type");
        complain_not_supported(e, &type, "", types);
    }
    check_one_of(e, at, metric, "type", false, types);
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        struct place place = place_in(at, sources[i].member);
        const struct json *source = json_get(metric, sources[i].member);
        bool wanted = strcmp(sources[i].type, said) == 0;
        if (!json_is_null(source))
            check_source(e, &place, &sources[i], source);
        if (wanted && json_is_null(source))
            complain_required(e, &place, "must populate information for the given metric source");
        else if (!wanted && !json_is_null(source))
            complain_forbidden(e, &place, "must populate the given metric source only");
    }
}

/* --- behaviour --- */

static void check_scaling_policy(struct field_errors *e, const struct place *at, const struct json *policy) {
    static const char *const types[] = {"Percent", "Pods", NULL};
    struct place type = place_in(at, "type"), value = place_in(at, "value"), period = place_in(at, "periodSeconds");
    _cleanup_json_ struct json *zero = json_int(0);
    const struct json *amount = json_get(policy, "value"), *seconds = json_get(policy, "periodSeconds");
    if (!*json_get_str(policy, "type"))
        complain_not_supported(e, &type, "", types);
    check_one_of(e, at, policy, "type", false, types);
    if (json_int_or(amount, 0) <= 0)
        complain_invalid(e, &value, amount ? amount : zero, "must be greater than zero");
    if (json_int_or(seconds, 0) <= 0)
        complain_invalid(e, &period, seconds ? seconds : zero, "must be greater than zero");
    else if (json_int_or(seconds, 0) > PERIOD_SECONDS_MAX)
        complain_invalid(e, &period, seconds, "must be less than or equal to %d", PERIOD_SECONDS_MAX);
}

static void check_scaling_rules(struct field_errors *e, const struct place *at, const struct json *rules) {
    static const char *const selections[] = {"Disabled", "Max", "Min", NULL};
    struct place window = place_in(at, "stabilizationWindowSeconds"), policies = place_in(at, "policies");
    const struct json *seconds = json_get(rules, "stabilizationWindowSeconds"), *list = json_get(rules, "policies");
    if (json_is_null(rules))
        return;
    if (json_int_or(seconds, 0) < 0)
        complain_invalid(e, &window, seconds, "must be greater than or equal to zero");
    else if (json_int_or(seconds, 0) > STABILIZATION_SECONDS_MAX)
        complain_invalid(e, &window, seconds, "must be less than or equal to %d", STABILIZATION_SECONDS_MAX);
    check_one_of(e, at, rules, "selectPolicy", false, selections);
    if (!json_len(list))
        complain_required(e, &policies, "must specify at least one Policy");
    for (size_t i = 0; i < json_len(list); i++) {
        struct place one = place_at(&policies, i);
        check_scaling_policy(e, &one, json_at(list, i));
    }
}

void rules_pod_autoscaler(struct field_errors *e, const struct json *object) {
    static const char *const ways[] = {"scaleUp", "scaleDown"};
    const struct json *spec = json_get(object, "spec"), *min = json_get(spec, "minReplicas");
    struct place min_place = place_in(&spec_place, "minReplicas"), max_place = place_in(&spec_place, "maxReplicas");
    struct place target = place_in(&spec_place, "scaleTargetRef"), metrics = place_in(&spec_place, "metrics");
    struct place behavior = place_in(&spec_place, "behavior");
    _cleanup_json_ struct json *max = json_int(json_int_or(json_get(spec, "maxReplicas"), 0));
    if (json_int_or(min, 1) < 1)
        complain_invalid(e, &min_place, min, "must be greater than or equal to 1");
    if (json_int_or(max, 0) < 1)
        complain_invalid(e, &max_place, max, "must be greater than 0");
    if (!json_is_null(min) && json_int_or(max, 0) < json_int_or(min, 0))
        complain_invalid(e, &max_place, max, "must be greater than or equal to `minReplicas`");
    check_reference(e, &target, json_get(spec, "scaleTargetRef"));
    for (size_t i = 0; i < json_len(json_get(spec, "metrics")); i++) {
        struct place one = place_at(&metrics, i);
        check_metric(e, &one, json_at(json_get(spec, "metrics"), i));
    }
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct place way = place_in(&behavior, ways[i]);
        check_scaling_rules(e, &way, json_path(spec, "behavior", ways[i]));
    }
}
