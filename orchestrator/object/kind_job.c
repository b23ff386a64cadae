/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Jobs and CronJobs. */
#include <ctype.h>
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "orchestrator/object/selector.h"

#define INDEXED_PARALLELISM_MAX 100000
#define RULES_MAX               20u

static const struct place spec_place = {.name = "spec"};

static void check_exit_codes(struct field_errors *e, const struct place *at, const struct json *codes) {
    struct place values = place_in(at, "values");
    const struct json *list = json_get(codes, "values");
    bool in = json_get_is(codes, "operator", "In");
    check_required_text(e, at, codes, "operator");
    if (!json_len(list))
        complain_invalid(e, &values, list, "at least one value is required");
    else if (json_len(list) > 255)
        complain_too_many(e, &values, json_len(list), 255);
    for (size_t i = 0; i < json_len(list); i++) {
        struct place one = place_at(&values, i);
        if (in && json_int_or(json_at(list, i), 1) == 0)
            complain_invalid(e, &one, json_at(list, i), "must not be 0 for the In operator");
        if (i && json_equal(json_at(list, i), json_at(list, i - 1)))
            complain_duplicate(e, &one, "");
    }
}

static void check_failure_policy(struct field_errors *e, const struct place *spec, const struct json *object) {
    struct place at = place_in(spec, "podFailurePolicy"), rules = place_in(&at, "rules"),
                 template = place_in(spec, "template");
    struct place pod = place_in(&template, "spec"), restart = place_in(&pod, "restartPolicy");
    const struct json *policy = json_get(object, "podFailurePolicy"), *list = json_get(policy, "rules");
    if (json_is_null(policy))
        return;
    if (!json_get_is(json_path(object, "template", "spec"), "restartPolicy", "Never"))
        complain_invalid(e, &restart, json_path(object, "template", "spec", "restartPolicy"),
                         "only \"Never\" is supported when podFailurePolicy is specified");
    if (json_len(list) > RULES_MAX)
        complain_too_many(e, &rules, json_len(list), RULES_MAX);
    for (size_t i = 0; i < json_len(list) && i < RULES_MAX; i++) {
        const struct json *rule = json_at(list, i), *codes = json_get(rule, "onExitCodes");
        struct place one = place_at(&rules, i), exit = place_in(&one, "onExitCodes"), action = place_in(&one, "action");
        bool conditions = json_len(json_get(rule, "onPodConditions")) > 0;
        check_required_text(e, &one, rule, "action");
        if (json_get_is(rule, "action", "FailIndex") && json_is_null(json_get(object, "backoffLimitPerIndex")))
            complain_invalid(e, &action, json_get(rule, "action"), "requires the backoffLimitPerIndex to be set");
        if (!json_is_null(codes) && conditions)
            complain_invalid(e, &one, rule, "specifying both OnExitCodes and OnPodConditions is not supported");
        else if (json_is_null(codes) && !conditions)
            complain_invalid(e, &one, rule, "specifying one of OnExitCodes and OnPodConditions is required");
        if (!json_is_null(codes))
            check_exit_codes(e, &exit, codes);
    }
}

static void check_indexes(struct field_errors *e, const struct place *at, const struct json *spec) {
    struct place completions = place_in(at, "completions"), parallelism = place_in(at, "parallelism");
    struct place success = place_in(at, "successPolicy");
    bool indexed = json_get_is(spec, "completionMode", "Indexed");
    static const char *const only_indexed[] = {"backoffLimitPerIndex", "maxFailedIndexes"};
    if (indexed && json_is_null(json_get(spec, "completions")))
        complain_required(e, &completions, "when completion mode is Indexed");
    if (indexed && json_int_or(json_get(spec, "parallelism"), 0) > INDEXED_PARALLELISM_MAX)
        complain_invalid(e, &parallelism, json_get(spec, "parallelism"),
                         "must be less than or equal to %d when completion mode is Indexed", INDEXED_PARALLELISM_MAX);
    for (size_t i = 0; !indexed && i < ARRAY_LEN(only_indexed); i++) {
        struct place place = place_in(at, only_indexed[i]);
        if (!json_is_null(json_get(spec, only_indexed[i])))
            complain_invalid(e, &place, json_get(spec, only_indexed[i]), "requires indexed completion mode");
    }
    if (!indexed && !json_is_null(json_get(spec, "successPolicy")))
        complain_invalid(e, &success, json_get(spec, "successPolicy"), "requires indexed completion mode");
}

static void check_job_spec(struct field_errors *e, const struct place *at, const struct json *spec) {
    static const char *const counts[] = {"parallelism",
                                         "completions",
                                         "activeDeadlineSeconds",
                                         "backoffLimit",
                                         "ttlSecondsAfterFinished",
                                         "maxFailedIndexes",
                                         "backoffLimitPerIndex",
                                         NULL};
    static const char *const policies[] = {"Never", "OnFailure", NULL};
    struct place template = place_in(at, "template"), pod = place_in(&template, "spec"),
                 restart = place_in(&pod, "restartPolicy");
    const struct json *pod_spec = json_path(spec, "template", "spec");
    check_non_negative(e, at, spec, counts);
    check_indexes(e, at, spec);
    check_failure_policy(e, at, spec);
    rules_pod_template(e, &template, json_get(spec, "template"));
    const char *policy = json_str_or(json_get(pod_spec, "restartPolicy"), "Always");
    if (strcmp(policy, "Always") == 0)
        complain_required(e, &restart, "valid values: \"OnFailure\", \"Never\"");
    else
        check_one_of(e, &pod, pod_spec, "restartPolicy", true, policies);
}

void rules_job(struct field_errors *e, const struct json *object) {
    const struct json *spec = json_get(object, "spec"), *labels = json_path(spec, "template", "metadata", "labels");
    struct place selector_place = place_in(&spec_place, "selector"), template = place_in(&spec_place, "template");
    struct place metadata = place_in(&template, "metadata"), labels_place = place_in(&metadata, "labels");
    if (json_is_null(json_get(spec, "selector")))
        complain_required(e, &selector_place, "");
    else
        check_label_selector(e, &selector_place, json_get(spec, "selector"));
    _cleanup_(selector_freep) struct selector *selector = NULL;
    if (selector_from_object(json_get(spec, "selector"), &selector, NULL) == 0 &&
        !json_is_null(json_get(spec, "selector")) && !selector_matches(selector, labels))
        complain_invalid(e, &labels_place, labels, "`selector` does not match template `labels`");
    check_job_spec(e, &spec_place, spec);
}

void rules_job_update(struct field_errors *e, const struct json *object, const struct json *old) {
    static const char *const fixed[] = {"selector",  "completionMode", "podFailurePolicy", "backoffLimitPerIndex",
                                        "managedBy", "successPolicy"};
    const struct json *spec = json_get(object, "spec"), *before = json_get(old, "spec");
    struct place template = place_in(&spec_place, "template"), completions = place_in(&spec_place, "completions");
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        struct place at = place_in(&spec_place, fixed[i]);
        check_immutable(e, &at, json_get(spec, fixed[i]), json_get(before, fixed[i]));
    }
    bool elastic = json_get_is(spec, "completionMode", "Indexed") &&
                   json_equal(json_get(spec, "completions"), json_get(spec, "parallelism"));
    if (!elastic)
        check_immutable(e, &completions, json_get(spec, "completions"), json_get(before, "completions"));
    /* A suspended job that never ran may still be placed elsewhere. */
    bool waiting =
        json_bool_or(json_get(before, "suspend"), false) && json_is_null(json_path(old, "status", "startTime"));
    if (!waiting)
        check_immutable(e, &template, json_get(spec, "template"), json_get(before, "template"));
}

/* Five fields of cron characters, or "@hourly" and the like. What each field means is the controller's business. */
static bool is_schedule(const char *s) {
    size_t fields = 0;
    if (*s == '@')
        return s[1] != 0;
    while (*s) {
        s += strspn(s, " \t");
        size_t n = strcspn(s, " \t");
        for (size_t i = 0; i < n; i++)
            if (!isalnum((unsigned char) s[i]) && !strchr("*/,-?", s[i]))
                return false;
        fields += n > 0;
        s += n;
    }
    return fields == 5;
}

void rules_cron_job(struct field_errors *e, const struct json *object) {
    static const char *const counts[] = {"startingDeadlineSeconds", "successfulJobsHistoryLimit",
                                         "failedJobsHistoryLimit", NULL};
    static const struct place metadata = {.name = "metadata"};
    struct place name = place_in(&metadata, "name"), schedule = place_in(&spec_place, "schedule");
    struct place zone = place_in(&spec_place, "timeZone"), template = place_in(&spec_place, "jobTemplate");
    struct place job = place_in(&template, "spec"), selector = place_in(&job, "selector");
    const struct json *spec = json_get(object, "spec"), *job_spec = json_path(spec, "jobTemplate", "spec");
    if (json_str_len(json_path(object, "metadata", "name")) > 52)
        complain_invalid(e, &name, json_path(object, "metadata", "name"), "must be no more than 52 characters");
    const char *text = json_str_or(json_get(spec, "schedule"), "");
    if (!*text)
        complain_required(e, &schedule, "");
    else if (strstr(text, "TZ="))
        complain_invalid_text(e, &schedule, text, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
    else if (!is_schedule(text))
        complain_invalid_text(e, &schedule, text, "expected exactly 5 fields");
    if (json_is_string(json_get(spec, "timeZone")) && !json_str_len(json_get(spec, "timeZone")))
        complain_invalid_text(e, &zone, "", "timeZone must be nil or non-empty string");
    check_required_text(e, &spec_place, spec, "concurrencyPolicy");
    check_non_negative(e, &spec_place, spec, counts);
    if (!json_is_null(json_get(job_spec, "selector")))
        complain_invalid(e, &selector, json_get(job_spec, "selector"), "`selector` will be auto-generated");
    check_job_spec(e, &job, job_spec);
}
