/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kinds that keep pods running from a template. */
#include <ctype.h>
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "orchestrator/object/selector.h"

static const struct place spec_place = {.name = "spec"};
static const char *const counts[] = {"replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds",
                                     NULL};

static void check_template_labels(struct field_errors *e, const struct json *spec, const struct selector *selector) {
    struct place template = place_in(&spec_place, "template"), metadata = place_in(&template, "metadata");
    struct place labels = place_in(&metadata, "labels");
    const struct json *have = json_path(spec, "template", "metadata", "labels");
    _cleanup_json_ struct json *none = json_object();
    if (!selector_matches(selector, have))
        complain_invalid(e, &labels, have ? have : none, "`selector` does not match template `labels`");
}

/* Pods of these kinds run for ever. */
static void check_template(struct field_errors *e, const struct json *spec, const char *kind) {
    static const char *const always[] = {"Always", NULL};
    struct place template = place_in(&spec_place, "template"), pod = place_in(&template, "spec");
    struct place deadline = place_in(&pod, "activeDeadlineSeconds");
    const struct json *pod_spec = json_path(spec, "template", "spec");
    rules_pod_template(e, &template, json_get(spec, "template"));
    check_one_of(e, &pod, pod_spec, "restartPolicy", false, always);
    if (!json_is_null(json_get(pod_spec, "activeDeadlineSeconds")))
        complain_forbidden(e, &deadline, "activeDeadlineSeconds in %s is not Supported", kind);
}

/* kind: as the messages name it; word: in "empty selector is invalid for …". */
static void check_selector_and_template(struct field_errors *e, const struct json *spec, const char *kind,
                                        const char *word) {
    struct place at = place_in(&spec_place, "selector");
    const struct json *labels = json_get(spec, "selector");
    if (json_is_null(labels)) {
        complain_required(e, &at, "");
    } else {
        check_label_selector(e, &at, labels);
        if (!json_len(json_get(labels, "matchLabels")) && !json_len(json_get(labels, "matchExpressions")))
            complain_invalid(e, &at, labels, "empty selector is invalid for %s", word);
    }
    _cleanup_(selector_freep) struct selector *selector = NULL;
    if (!json_is_null(labels) && selector_from_object(labels, &selector, NULL) == 0 && !selector_is_empty(selector))
        check_template_labels(e, spec, selector);
    check_template(e, spec, kind);
    check_non_negative(e, &spec_place, spec, counts);
}

void rules_replication_controller_status(struct field_errors *e, const struct json *object, const struct json *old) {
    static const char *const all[] = {"replicas",          "fullyLabeledReplicas", "readyReplicas",
                                      "availableReplicas", "observedGeneration",   NULL};
    static const struct place status_place = {.name = "status"};
    const struct json *status = json_get(object, "status");
    struct place available = place_in(&status_place, "availableReplicas");
    int64_t most = json_int_or(json_get(status, "replicas"), 0);
    (void) old;
    check_non_negative(e, &status_place, status, all);
    for (size_t i = 1; i < 4; i++) {
        struct place at = place_in(&status_place, all[i]);
        if (json_int_or(json_get(status, all[i]), 0) > most)
            complain_invalid(e, &at, json_get(status, all[i]), "cannot be greater than status.replicas");
    }
    if (json_int_or(json_get(status, "availableReplicas"), 0) > json_int_or(json_get(status, "readyReplicas"), 0))
        complain_invalid(e, &available, json_get(status, "availableReplicas"), "cannot be greater than readyReplicas");
}

void rules_replication_controller(struct field_errors *e, const struct json *object) {
    const struct json *spec = json_get(object, "spec"), *map = json_get(spec, "selector");
    struct place at = place_in(&spec_place, "selector"), template = place_in(&spec_place, "template");
    check_non_negative(e, &spec_place, spec, counts);
    if (!json_len(map))
        complain_required(e, &at, "");
    else
        check_labels(e, &at, map);
    if (json_is_null(json_get(spec, "template"))) {
        complain_required(e, &template, "");
        return;
    }
    _cleanup_(selector_freep) struct selector *selector = NULL;
    if (json_len(map) && selector_from_map(map, &selector, NULL) == 0)
        check_template_labels(e, spec, selector);
    check_template(e, spec, "ReplicationController");
}

void rules_replica_set(struct field_errors *e, const struct json *object) {
    check_selector_and_template(e, json_get(object, "spec"), "ReplicaSet", "deployment");
}

/* -1: neither a number nor a percentage. */
static int64_t percent_of(const char *s) {
    size_t digits = 0;
    while (isdigit((unsigned char) s[digits]))
        digits++;
    return digits && digits < 10 && s[digits] == '%' && !s[digits + 1] ? strtoll(s, NULL, 10) : -1;
}

/* A count or a percentage; above 100 % only where `over` allows it. */
static void check_amount(struct field_errors *e, const struct place *at, const struct json *v, bool over) {
    const char *text = json_str(v);
    if (!text) {
        if (json_int_or(v, 0) < 0)
            complain_invalid(e, at, v, "must be greater than or equal to 0");
        return;
    }
    int64_t percent = percent_of(text);
    if (percent < 0)
        complain_invalid_amount(
            e, at, v,
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
            "regex used for validation is '[0-9]+%')");
    else if (!over && percent > 100)
        complain_invalid_amount(e, at, v, "must not be greater than 100%");
}

static bool is_zero(const struct json *v) {
    return json_is_string(v) ? percent_of(json_str(v)) == 0 : json_int_or(v, 0) == 0;
}

static void check_rolling(struct field_errors *e, const struct place *strategy, const struct json *object) {
    struct place at = place_in(strategy, "rollingUpdate"), unavailable = place_in(&at, "maxUnavailable");
    struct place surge = place_in(&at, "maxSurge");
    const struct json *rolling = json_get(object, "rollingUpdate");
    const struct json *less = json_get(rolling, "maxUnavailable"), *more = json_get(rolling, "maxSurge");
    if (json_is_null(rolling)) {
        complain_required(e, &at, "this should be defaulted and never be nil");
        return;
    }
    check_amount(e, &unavailable, less, false);
    check_amount(e, &surge, more, true);
    if (is_zero(less) && is_zero(more))
        complain_invalid_amount(e, &unavailable, less, "may not be 0 when `maxSurge` is 0");
}

void rules_deployment(struct field_errors *e, const struct json *object) {
    const struct json *spec = json_get(object, "spec"), *strategy = json_get(spec, "strategy");
    struct place at = place_in(&spec_place, "strategy"), rolling = place_in(&at, "rollingUpdate");
    struct place deadline = place_in(&spec_place, "progressDeadlineSeconds");
    check_selector_and_template(e, spec, "ReplicaSet", "deployment");
    const char *type = json_str_or(json_get(strategy, "type"), "");
    if (strcmp(type, "Recreate") == 0 && !json_is_null(json_get(strategy, "rollingUpdate")))
        complain_forbidden(e, &rolling, "may not be specified when strategy `type` is 'Recreate'");
    else if (strcmp(type, "RollingUpdate") == 0)
        check_rolling(e, &at, strategy);
    const struct json *seconds = json_get(spec, "progressDeadlineSeconds");
    if (!json_is_null(seconds) && json_int_or(seconds, 0) <= json_int_or(json_get(spec, "minReadySeconds"), 0))
        complain_invalid(e, &deadline, seconds, "must be greater than minReadySeconds");
}

void rules_deployment_status(struct field_errors *e, const struct json *object, const struct json *old) {
    static const char *const all[] = {"replicas",          "updatedReplicas",     "readyReplicas",
                                      "availableReplicas", "unavailableReplicas", NULL};
    static const char *const parts[] = {"updatedReplicas", "readyReplicas", "availableReplicas"};
    static const struct place at = {.name = "status"};
    struct place count = place_in(&at, "collisionCount");
    const struct json *status = json_get(object, "status");
    int64_t was = json_int_or(json_path(old, "status", "collisionCount"), 0);
    int64_t total = json_int_or(json_get(status, "replicas"), 0);
    check_non_negative(e, &at, status, all);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct place place = place_in(&at, parts[i]);
        if (json_int_or(json_get(status, parts[i]), 0) > total)
            complain_invalid(e, &place, json_get(status, parts[i]), "cannot be greater than status.replicas");
    }
    _cleanup_json_ struct json *now = json_int(json_int_or(json_get(status, "collisionCount"), 0));
    if (json_int_or(now, 0) < was)
        complain_invalid(e, &count, now, "cannot be decremented");
}

void rules_daemon_set(struct field_errors *e, const struct json *object) {
    const struct json *spec = json_get(object, "spec"), *rolling = json_path(spec, "updateStrategy", "rollingUpdate");
    struct place strategy = place_in(&spec_place, "updateStrategy"), at = place_in(&strategy, "rollingUpdate");
    struct place unavailable = place_in(&at, "maxUnavailable"), surge = place_in(&at, "maxSurge");
    check_selector_and_template(e, spec, "DaemonSet", "daemonset");
    if (json_is_null(rolling))
        return;
    const struct json *less = json_get(rolling, "maxUnavailable"), *more = json_get(rolling, "maxSurge");
    check_amount(e, &unavailable, less, false);
    check_amount(e, &surge, more, false);
    if (is_zero(less) && is_zero(more))
        complain_required(e, &unavailable, "cannot be 0 when maxSurge is 0");
    else if (!is_zero(less) && !is_zero(more))
        complain_invalid_amount(e, &surge, more, "may not be set when maxUnavailable is non-zero");
}

static void check_claim_retention(struct field_errors *e, const struct json *policy) {
    static const char *const sorted[] = {"Delete", "Retain", NULL};
    struct place at = place_in(&spec_place, "persistentVolumeClaimRetentionPolicy");
    check_one_of(e, &at, policy, "whenDeleted", false, sorted);
    check_one_of(e, &at, policy, "whenScaled", false, sorted);
}

void rules_stateful_set(struct field_errors *e, const struct json *object) {
    static const char *const partition[] = {"partition", NULL}, *const start[] = {"start", NULL};
    const struct json *spec = json_get(object, "spec"), *rolling = json_path(spec, "updateStrategy", "rollingUpdate");
    struct place strategy = place_in(&spec_place, "updateStrategy"), at = place_in(&strategy, "rollingUpdate");
    struct place ordinals = place_in(&spec_place, "ordinals"), policy = place_in(&spec_place, "podManagementPolicy");
    check_selector_and_template(e, spec, "StatefulSet", "statefulset");
    if (!json_get_is(spec, "podManagementPolicy", "OrderedReady") &&
        !json_get_is(spec, "podManagementPolicy", "Parallel"))
        complain_invalid(e, &policy, json_get(spec, "podManagementPolicy"), "must be 'OrderedReady' or 'Parallel'");
    if (!json_get_is(json_get(spec, "updateStrategy"), "type", "OnDelete") &&
        !json_get_is(json_get(spec, "updateStrategy"), "type", "RollingUpdate"))
        complain_invalid(e, &strategy, json_get(spec, "updateStrategy"), "must be 'RollingUpdate' or 'OnDelete'");
    check_claim_retention(e, json_get(spec, "persistentVolumeClaimRetentionPolicy"));
    if (!json_is_null(rolling) && strcmp(json_str_or(json_path(spec, "updateStrategy", "type"), ""), "OnDelete") == 0)
        complain_invalid(e, &at, rolling, "only allowed for updateStrategy 'RollingUpdate'");
    check_non_negative(e, &at, rolling, partition);
    check_non_negative(e, &ordinals, json_get(spec, "ordinals"), start);
}

void rules_stateful_set_update(struct field_errors *e, const struct json *object, const struct json *old) {
    static const char *const free_fields[] = {"replicas",        "ordinals",
                                              "template",        "updateStrategy",
                                              "minReadySeconds", "persistentVolumeClaimRetentionPolicy"};
    _cleanup_json_ struct json *a = json_ref(json_get(object, "spec")), *b = json_ref(json_get(old, "spec"));
    for (size_t i = 0; i < ARRAY_LEN(free_fields); i++) {
        json_del(&a, free_fields[i]);
        json_del(&b, free_fields[i]);
    }
    if (!json_equal(a, b))
        complain_forbidden(
            e, &spec_place,
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
            "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden");
}

void rules_selector_update(struct field_errors *e, const struct json *object, const struct json *old) {
    struct place at = place_in(&spec_place, "selector");
    check_immutable(e, &at, json_path(object, "spec", "selector"), json_path(old, "spec", "selector"));
}

void rules_disruption_budget_status(struct field_errors *e, const struct json *object, const struct json *old) {
    static const char *const all[] = {"disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods", NULL};
    static const struct place at = {.name = "status"};
    check_non_negative(e, &at, json_get(object, "status"), all);
}

void rules_disruption_budget(struct field_errors *e, const struct json *object) {
    const struct json *spec = json_get(object, "spec");
    struct place min = place_in(&spec_place, "minAvailable"), max = place_in(&spec_place, "maxUnavailable");
    struct place selector = place_in(&spec_place, "selector");
    if (!json_is_null(json_get(spec, "minAvailable")) && !json_is_null(json_get(spec, "maxUnavailable")))
        complain_invalid(e, &spec_place, spec, "minAvailable and maxUnavailable cannot be both set");
    check_amount(e, &min, json_get(spec, "minAvailable"), false);
    check_amount(e, &max, json_get(spec, "maxUnavailable"), false);
    check_label_selector(e, &selector, json_get(spec, "selector"));
}
