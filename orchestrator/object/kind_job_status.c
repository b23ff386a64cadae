/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Jobs: what holds at submission only, and what their status may say. */
#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "orchestrator/object/selector.h"
#include "podium/base/alloc.h"

static const struct place spec_place = {.name = "spec"}, status_place = {.name = "status"};

/* --- submission --- */

/* The selector the server makes finds the labels the server makes: one of the user's own beside it would not. */
static void check_generated_selector(struct field_errors *e, const struct json *object) {
    const struct json *spec = json_get(object, "spec");
    struct place at = place_in(&spec_place, "selector");
    const char *uid = json_str_or(json_path(object, "metadata", "uid"), "");
    const char *name = json_str_or(json_path(object, "metadata", "name"), "");
    _cleanup_(selector_freep) struct selector *selector = NULL;
    _cleanup_json_ struct json *labels = NULL;
    if (json_bool_or(json_get(spec, "manualSelector"), false) ||
        selector_from_object(json_get(spec, "selector"), &selector, NULL) < 0)
        return;
    json_set(&labels, "controller-uid", json_string(uid));
    json_set(&labels, "job-name", json_string(name));
    json_set(&labels, "batch.kubernetes.io/controller-uid", json_string(uid));
    json_set(&labels, "batch.kubernetes.io/job-name", json_string(name));
    if (!selector_matches(selector, labels))
        complain_invalid(e, &at, json_get(spec, "selector"), "`selector` not auto-generated");
}

void rules_job_create(struct field_errors *e, const struct json *object) {
    static const struct place metadata = {.name = "metadata"};
    struct place name = place_in(&metadata, "name");
    const char *problems[NAME_PROBLEMS_MAX], *text = json_str_or(json_path(object, "metadata", "name"), "");
    const struct json *spec = json_get(object, "spec");
    int64_t completions = json_int_or(json_get(spec, "completions"), 0);
    check_generated_selector(e, object);
    if (!json_get_is(spec, "completionMode", "Indexed") || completions <= 0)
        return;
    _cleanup_free_ char *host = xasprintf("%s-%lld", text, (long long) completions - 1);
    if (name_form_dns1123_label(host, problems))
        complain_invalid_text(e, &name, text, "will not able to create pod with invalid DNS name: %s", host);
}

/* --- status --- */

static bool has_condition(const struct json *object, const char *type) {
    const struct json *list = json_path(object, "status", "conditions");
    for (size_t i = 0; i < json_len(list); i++)
        if (json_get_is(json_at(list, i), "type", type) && json_get_is(json_at(list, i), "status", "True"))
            return true;
    return false;
}

static void check_conditions(struct field_errors *e, const struct json *object, const struct json *old) {
    static const char *const terminal[] = {"Failed", "Complete", "FailureTarget"};
    struct place at = place_in(&status_place, "conditions");
    bool complete = has_condition(object, "Complete");
    for (size_t i = 0; i < ARRAY_LEN(terminal); i++) {
        _cleanup_free_ char *text = xasprintf("cannot disable the terminal %s=True condition", terminal[i]);
        if (has_condition(old, terminal[i]) && !has_condition(object, terminal[i]))
            complain_invalid_bare(e, &at, text);
    }
    if (complete && has_condition(object, "Failed"))
        complain_invalid_bare(e, &at, "cannot set Complete=True and Failed=true conditions");
    if (complete && has_condition(object, "FailureTarget"))
        complain_invalid_bare(e, &at, "cannot set Complete=True and FailureTarget=true conditions");
}

static void check_times(struct field_errors *e, const struct json *object, const struct json *old) {
    struct place start = place_in(&status_place, "startTime"), end = place_in(&status_place, "completionTime");
    const struct json *started = json_path(object, "status", "startTime"),
                      *ended = json_path(object, "status", "completionTime"),
                      *was_started = json_path(old, "status", "startTime"),
                      *was_ended = json_path(old, "status", "completionTime");
    bool complete = has_condition(object, "Complete"), finished = complete || has_condition(object, "Failed");
    bool suspended = json_bool_or(json_path(object, "spec", "suspend"), false);
    if (finished && json_is_null(started))
        complain_required(e, &start, "startTime is required for finished job");
    if (complete && json_is_null(ended))
        complain_required(e, &end, "completionTime is required for Complete jobs");
    if (!complete && !json_is_null(ended))
        complain_invalid(e, &end, ended, "cannot set completionTime when there is no Complete=True condition");
    if (json_is_string(started) && json_is_string(ended) && strcmp(json_str(ended), json_str(started)) < 0)
        complain_invalid(e, &end, ended, "completionTime cannot be set before startTime");
    if (!json_is_null(ended) && !json_is_null(was_ended) && !json_equal(ended, was_ended))
        complain_invalid(e, &end, ended, "completionTime cannot be mutated");
    if (suspended || finished || json_is_null(was_started))
        return;
    if (json_is_null(started))
        complain_required(e, &start, "startTime cannot be removed for unsuspended job");
    else if (!json_equal(started, was_started))
        complain_invalid(e, &start, started, "startTime cannot be modified for unsuspended job");
}

void rules_job_status(struct field_errors *e, const struct json *object, const struct json *old) {
    static const char *const counts[] = {"active", "succeeded", "failed", "ready", "terminating", NULL};
    struct place active = place_in(&status_place, "active"), ready = place_in(&status_place, "ready");
    const struct json *status = json_get(object, "status");
    int64_t running = json_int_or(json_get(status, "active"), 0);
    check_non_negative(e, &status_place, status, counts);
    if (running > 0 && (has_condition(object, "Complete") || has_condition(object, "Failed")))
        complain_invalid(e, &active, json_get(status, "active"), "active>0 is invalid for finished job");
    if (json_int_or(json_get(status, "ready"), 0) > 0 && json_int_or(json_get(status, "ready"), 0) > running)
        complain_invalid(e, &ready, json_get(status, "ready"), "cannot set more ready pods than active");
    check_times(e, object, old);
    check_conditions(e, object, old);
    static const char *const rising[] = {"failed", "succeeded"};
    for (size_t i = 0; i < ARRAY_LEN(rising); i++) {
        struct place at = place_in(&status_place, rising[i]);
        _cleanup_json_ struct json *now = json_int(json_int_or(json_get(status, rising[i]), 0));
        if (json_int_or(now, 0) < json_int_or(json_path(old, "status", rising[i]), 0))
            complain_invalid(e, &at, now, "cannot decrease the %s counter", rising[i]);
    }
}
