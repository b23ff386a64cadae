/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Jobs and CronJobs. */
#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "orchestrator/object/selector.h"
#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

#define INDEXED_PARALLELISM_MAX   100000
#define FAILED_INDEXES_MAX        100000
#define MANY_COMPLETIONS          100000
#define MANY_PARALLELISM_MAX      10000
#define MANY_FAILED_INDEXES_MAX   10000
#define RULES_MAX                 20u
#define EXIT_CODES_MAX            255u
#define SUCCEEDED_INDEXES_MAX     65536u
#define MANAGED_BY_MAX            63u
#define WITH_MANY_COMPLETIONS_FMT "when completions are above %d and used with backoff limit per index"

static const struct place spec_place = {.name = "spec"};

/* --- podFailurePolicy --- */

/* As Go prints a list of numbers. */
static void complain_codes(struct field_errors *e, const struct place *at, const struct json *list,
                           const char *detail) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    strbuf_adds(&b, "[]int32{");
    for (size_t i = 0; i < json_len(list); i++)
        strbuf_addf(&b, "%s%lld", i ? ", " : "", (long long) json_int_or(json_at(list, i), 0));
    strbuf_addf(&b, "}: %s", detail);
    complain_invalid_bare(e, at, strbuf_str(&b));
}

static void check_exit_code_values(struct field_errors *e, const struct place *at, const struct json *list, bool in) {
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    bool ordered = true;
    if (!json_len(list))
        complain_codes(e, at, list, "at least one value is required");
    else if (json_len(list) > EXIT_CODES_MAX)
        complain_too_many(e, at, json_len(list), EXIT_CODES_MAX);
    for (size_t i = 0; i < json_len(list); i++) {
        struct place one = place_at(at, i);
        _cleanup_free_ char *field = place_text(&one), *text = json_to_text(json_at(list, i));
        if (in && json_int_or(json_at(list, i), 1) == 0)
            complain_invalid(e, &one, json_at(list, i), "must not be 0 for the In operator");
        if (seen_before(&seen, text))
            field_errors_add(e, "FieldValueDuplicate", field, json_at(list, i), NULL);
        ordered = ordered && (!i || json_int_or(json_at(list, i - 1), 0) <= json_int_or(json_at(list, i), 0));
    }
    if (!ordered)
        complain_codes(e, at, list, "must be ordered");
}

static bool has_container(const struct json *pod_spec, const char *name) {
    static const char *const lists[] = {"containers", "initContainers"};
    for (size_t l = 0; l < ARRAY_LEN(lists); l++)
        for (size_t i = 0; i < json_len(json_get(pod_spec, lists[l])); i++)
            if (json_get_is(json_at(json_get(pod_spec, lists[l]), i), "name", name))
                return true;
    return false;
}

static void check_exit_codes(struct field_errors *e, const struct place *at, const struct json *codes,
                             const struct json *pod_spec) {
    static const char *const operators[] = {"In", "NotIn", NULL};
    struct place values = place_in(at, "values"), op = place_in(at, "operator"), name = place_in(at, "containerName");
    const char *container = json_str(json_get(codes, "containerName"));
    if (!*json_get_str(codes, "operator"))
        complain_required(e, &op, "valid values: [\"In\" \"NotIn\"]");
    else
        check_one_of(e, at, codes, "operator", true, operators);
    if (container && !has_container(pod_spec, container))
        complain_invalid_text(e, &name, container,
                              "must be one of the container or initContainer names in the pod template");
    check_exit_code_values(e, &values, json_get(codes, "values"), json_get_is(codes, "operator", "In"));
}

static void check_pod_conditions(struct field_errors *e, const struct place *at, const struct json *list) {
    static const char *const states[] = {"False", "True", "Unknown", NULL};
    if (json_len(list) > RULES_MAX)
        complain_too_many(e, at, json_len(list), RULES_MAX);
    for (size_t i = 0; i < json_len(list); i++) {
        struct place one = place_at(at, i), type = place_in(&one, "type"), status = place_in(&one, "status");
        check_name(e, &type, json_get_str(json_at(list, i), "type"), name_form_qualified);
        if (!*json_get_str(json_at(list, i), "status"))
            complain_required(e, &status, "valid values: [\"False\" \"True\" \"Unknown\"]");
        else
            check_one_of(e, &one, json_at(list, i), "status", true, states);
    }
}

static void check_failure_rule(struct field_errors *e, const struct place *at, const struct json *rule,
                               const struct json *job_spec) {
    static const char *const actions[] = {"Count", "FailIndex", "FailJob", "Ignore", NULL};
    struct place action = place_in(at, "action"), exit = place_in(at, "onExitCodes"),
                 list = place_in(at, "onPodConditions");
    const struct json *codes = json_get(rule, "onExitCodes"), *conditions = json_get(rule, "onPodConditions");
    if (!*json_get_str(rule, "action"))
        complain_required(e, &action, "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]");
    else if (json_get_is(rule, "action", "FailIndex") && json_is_null(json_get(job_spec, "backoffLimitPerIndex")))
        complain_invalid(e, &action, json_get(rule, "action"), "requires the backoffLimitPerIndex to be set");
    else
        check_one_of(e, at, rule, "action", true, actions);
    if (!json_is_null(codes))
        check_exit_codes(e, &exit, codes, json_path(job_spec, "template", "spec"));
    check_pod_conditions(e, &list, conditions);
    if (!json_is_null(codes) && json_len(conditions))
        complain_invalid_bare(e, at, "specifying both OnExitCodes and OnPodConditions is not supported");
    else if (json_is_null(codes) && !json_len(conditions))
        complain_invalid_bare(e, at, "specifying one of OnExitCodes and OnPodConditions is required");
}

static void check_failure_policy(struct field_errors *e, const struct place *spec, const struct json *object) {
    struct place at = place_in(spec, "podFailurePolicy"), rules = place_in(&at, "rules");
    const struct json *list = json_path(object, "podFailurePolicy", "rules");
    if (json_len(list) > RULES_MAX)
        complain_too_many(e, &rules, json_len(list), RULES_MAX);
    for (size_t i = 0; i < json_len(list); i++) {
        struct place one = place_at(&rules, i);
        check_failure_rule(e, &one, json_at(list, i), object);
    }
}

/* --- successPolicy --- */

/* One end of an interval; NULL, or the complaint (the caller frees). */
static char *parse_index(const char *s, int64_t completions, int64_t *ret) {
    size_t n = strspn(s, "0123456789");
    if (!n || s[n] || n > 10)
        return xasprintf("cannot convert string to integer for index: \"%s\"", s);
    *ret = strtoll(s, NULL, 10);
    return *ret < completions ? NULL : xasprintf("too large index: \"%s\"", s);
}

/* "1,3-5": how many; NULL, or the complaint. */
static char *count_indexes(const char *text, int64_t completions, int64_t *ret_total) {
    _cleanup_free_ char *copy = xstrdup(text);
    int64_t last = -1;
    *ret_total = 0;
    for (char *rest = copy, *part; *text && (part = strsep(&rest, ","));) {
        int64_t first = 0, end;
        _cleanup_free_ char *whole = xstrdup(part);
        char *to = part, *from = strsep(&to, "-");
        if (to && strchr(to, '-'))
            return xasprintf("the fragment \"%s\" violates the requirement that an index interval can have at most two "
                             "parts separated by '-'",
                             whole);
        char *problem = parse_index(from, completions, &first);
        end = first;
        if (!problem && to)
            problem = parse_index(to, completions, &end);
        if (!problem && to && first >= end)
            problem =
                xasprintf("non-increasing order, previous: %lld, current: %lld", (long long) first, (long long) end);
        if (!problem && last >= first)
            problem =
                xasprintf("non-increasing order, previous: %lld, current: %lld", (long long) last, (long long) first);
        if (problem)
            return problem;
        *ret_total += end - first + 1;
        last = end;
    }
    return NULL;
}

static void check_success_rule(struct field_errors *e, const struct place *at, const struct json *rule,
                               int64_t completions) {
    static const char *const counts[] = {"succeededCount", NULL};
    struct place indexes = place_in(at, "succeededIndexes"), count = place_in(at, "succeededCount");
    const struct json *text = json_get(rule, "succeededIndexes"), *number = json_get(rule, "succeededCount");
    int64_t total = 0;
    if (json_is_null(text) && json_is_null(number))
        complain_required(e, at, "at least one of succeededCount or succeededIndexes must be specified");
    if (json_str_len(text) > SUCCEEDED_INDEXES_MAX)
        complain_too_long(e, &indexes, SUCCEEDED_INDEXES_MAX);
    _cleanup_free_ char *problem = count_indexes(json_str_or(text, ""), completions, &total);
    if (problem)
        complain_invalid(e, &indexes, text, "error parsing succeededIndexes: %s", problem);
    check_non_negative(e, at, rule, counts);
    if (json_int_or(number, 0) > completions)
        complain_invalid(e, &count, number, "must be less than or equal to %lld (the number of specified completions)",
                         (long long) completions);
    if (!json_is_null(text) && json_int_or(number, 0) > total)
        complain_invalid(e, &count, number,
                         "must be less than or equal to %lld (the number of indexes in the specified succeededIndexes "
                         "field)",
                         (long long) total);
}

static void check_success_policy(struct field_errors *e, const struct place *at, const struct json *spec) {
    struct place rules = place_in(at, "rules");
    const struct json *policy = json_get(spec, "successPolicy"), *list = json_get(policy, "rules");
    if (!json_get_is(spec, "completionMode", "Indexed")) {
        complain_invalid(e, at, policy, "requires indexed completion mode");
        return;
    }
    if (!json_len(list))
        complain_required(e, &rules, "at least one rules must be specified when the successPolicy is specified");
    else if (json_len(list) > RULES_MAX)
        complain_too_many(e, &rules, json_len(list), RULES_MAX);
    for (size_t i = 0; !json_is_null(json_get(spec, "completions")) && i < json_len(list); i++) {
        struct place one = place_at(&rules, i);
        check_success_rule(e, &one, json_at(list, i), json_int_or(json_get(spec, "completions"), 0));
    }
}

/* --- indexes --- */

static void check_many_completions(struct field_errors *e, const struct place *parallelism, const struct place *failed,
                                   const struct json *spec) {
    const struct json *max = json_get(spec, "maxFailedIndexes");
    if (json_int_or(json_get(spec, "completions"), 0) <= MANY_COMPLETIONS ||
        json_is_null(json_get(spec, "backoffLimitPerIndex")))
        return;
    if (json_is_null(max)) {
        _cleanup_free_ char *text = xasprintf("must be specified " WITH_MANY_COMPLETIONS_FMT, MANY_COMPLETIONS);
        complain_required(e, failed, text);
    }
    if (json_int_or(json_get(spec, "parallelism"), 0) > MANY_PARALLELISM_MAX)
        complain_invalid(e, parallelism, json_get(spec, "parallelism"),
                         "must be less than or equal to %d " WITH_MANY_COMPLETIONS_FMT, MANY_PARALLELISM_MAX,
                         MANY_COMPLETIONS);
    if (json_int_or(max, 0) > MANY_FAILED_INDEXES_MAX)
        complain_invalid(e, failed, max, "must be less than or equal to %d " WITH_MANY_COMPLETIONS_FMT,
                         MANY_FAILED_INDEXES_MAX, MANY_COMPLETIONS);
}

static void check_indexed(struct field_errors *e, const struct place *at, const struct json *spec) {
    struct place completions = place_in(at, "completions"), parallelism = place_in(at, "parallelism");
    struct place failed = place_in(at, "maxFailedIndexes");
    const struct json *total = json_get(spec, "completions"), *max = json_get(spec, "maxFailedIndexes");
    if (json_is_null(total))
        complain_required(e, &completions, "when completion mode is Indexed");
    if (json_int_or(json_get(spec, "parallelism"), 0) > INDEXED_PARALLELISM_MAX)
        complain_invalid(e, &parallelism, json_get(spec, "parallelism"),
                         "must be less than or equal to %d when completion mode is Indexed", INDEXED_PARALLELISM_MAX);
    if (!json_is_null(total) && json_int_or(max, 0) > json_int_or(total, 0))
        complain_invalid(e, &failed, max, "must be less than or equal to completions");
    if (json_int_or(max, 0) > FAILED_INDEXES_MAX)
        complain_invalid(e, &failed, max, "must be less than or equal to %d", FAILED_INDEXES_MAX);
    check_many_completions(e, &parallelism, &failed, spec);
}

static void check_indexes(struct field_errors *e, const struct place *at, const struct json *spec) {
    static const char *const modes[] = {"Indexed", "NonIndexed", NULL};
    static const char *const only_indexed[] = {"backoffLimitPerIndex", "maxFailedIndexes"};
    check_one_of(e, at, spec, "completionMode", false, modes);
    if (json_get_is(spec, "completionMode", "Indexed")) {
        check_indexed(e, at, spec);
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(only_indexed); i++) {
        struct place place = place_in(at, only_indexed[i]);
        if (!json_is_null(json_get(spec, only_indexed[i])))
            complain_invalid(e, &place, json_get(spec, only_indexed[i]), "requires indexed completion mode");
    }
}

/* --- the spec of jobs and of what CronJobs make --- */

static void check_replacement(struct field_errors *e, const struct place *at, const struct json *spec) {
    static const char *const any[] = {"Failed", "TerminatingOrFailed", NULL}, *const failed[] = {"Failed", NULL};
    check_one_of(e, at, spec, "podReplacementPolicy", false,
                 json_is_null(json_get(spec, "podFailurePolicy")) ? any : failed);
}

static void check_restart_policy(struct field_errors *e, const struct place *template, const struct json *spec) {
    static const char *const policies[] = {"Never", "OnFailure", NULL};
    struct place pod = place_in(template, "spec"), at = place_in(&pod, "restartPolicy");
    const struct json *pod_spec = json_path(spec, "template", "spec");
    const char *policy = json_str_or(json_get(pod_spec, "restartPolicy"), "Always");
    if (strcmp(policy, "Always") == 0)
        complain_required(e, &at, "valid values: \"OnFailure\", \"Never\"");
    else if (strcmp(policy, "OnFailure") == 0 && !json_is_null(json_get(spec, "podFailurePolicy")))
        complain_invalid_text(e, &at, policy, "only \"Never\" is supported when podFailurePolicy is specified");
    else
        check_one_of(e, &pod, pod_spec, "restartPolicy", true, policies);
}

static void check_managed_by(struct field_errors *e, const struct place *at, const struct json *value) {
    if (json_is_null(value))
        return;
    check_domain_path(e, at, json_str_or(value, ""));
    if (json_str_len(value) > MANAGED_BY_MAX)
        complain_too_long(e, at, MANAGED_BY_MAX);
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
    struct place template = place_in(at, "template"), managed = place_in(at, "managedBy");
    struct place per_index = place_in(at, "backoffLimitPerIndex"), success = place_in(at, "successPolicy");
    check_non_negative(e, at, spec, counts);
    if (!json_is_null(json_get(spec, "maxFailedIndexes")) && json_is_null(json_get(spec, "backoffLimitPerIndex")))
        complain_required(e, &per_index, "when maxFailedIndexes is specified");
    check_managed_by(e, &managed, json_get(spec, "managedBy"));
    check_indexes(e, at, spec);
    check_failure_policy(e, at, spec);
    if (!json_is_null(json_get(spec, "successPolicy")))
        check_success_policy(e, &success, spec);
    check_replacement(e, at, spec);
    rules_pod_template(e, &template, json_get(spec, "template"));
    check_restart_policy(e, &template, spec);
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

static void carry(struct json **to, const struct json *from, const char *part, const char *key) {
    const struct json *v = json_path(from, part, key);
    if (v)
        json_set_path(to, json_ref(v), part, key);
    else
        (void) json_del(json_edit(to, part), key);
}

/* What says where pods go, and what they are called, from another template. */
static void carry_placement(struct json **to, const struct json *from) {
    static const char *const where[] = {"nodeSelector", "affinity", "tolerations", "schedulingGates"};
    carry(to, from, "metadata", "labels");
    carry(to, from, "metadata", "annotations");
    for (size_t i = 0; i < ARRAY_LEN(where); i++)
        carry(to, from, "spec", where[i]);
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
    if (!json_get_is(spec, "completionMode", "Indexed"))
        check_immutable(e, &completions, json_get(spec, "completions"), json_get(before, "completions"));
    else if (!json_equal(json_get(spec, "completions"), json_get(before, "completions")) &&
             !json_is_null(json_get(spec, "completions")) &&
             !json_equal(json_get(spec, "completions"), json_get(spec, "parallelism")))
        complain_invalid(e, &completions, json_get(spec, "completions"),
                         "can only be modified in tandem with spec.parallelism");
    /* A suspended job that never ran may still be placed elsewhere. */
    bool waiting =
        json_bool_or(json_get(before, "suspend"), false) && json_is_null(json_path(old, "status", "startTime"));
    _cleanup_json_ struct json *was = json_ref(json_get(before, "template"));
    if (waiting)
        carry_placement(&was, json_get(spec, "template"));
    check_immutable(e, &template, json_get(spec, "template"), was);
}

static void check_time_zone(struct field_errors *e, const struct place *at, const struct json *value) {
    const char *name = json_str(value);
    if (!name)
        return;
    if (!*name)
        complain_invalid_text(e, at, name, "timeZone must be nil or non-empty string");
    else if (strcasecmp(name, "Local") == 0)
        complain_invalid_text(e, at, name,
                              "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones");
}

void rules_cron_job(struct field_errors *e, const struct json *object) {
    static const char *const counts[] = {"startingDeadlineSeconds", "successfulJobsHistoryLimit",
                                         "failedJobsHistoryLimit", NULL};
    static const struct place metadata = {.name = "metadata"};
    struct place name = place_in(&metadata, "name"), schedule = place_in(&spec_place, "schedule");
    struct place zone = place_in(&spec_place, "timeZone"), template = place_in(&spec_place, "jobTemplate");
    struct place job = place_in(&template, "spec"), selector = place_in(&job, "selector"),
                 manual = place_in(&job, "manualSelector");
    const struct json *spec = json_get(object, "spec"), *job_spec = json_path(spec, "jobTemplate", "spec");
    if (json_str_len(json_path(object, "metadata", "name")) > 52)
        complain_invalid(e, &name, json_path(object, "metadata", "name"), "must be no more than 52 characters");
    const char *text = json_str_or(json_get(spec, "schedule"), "");
    if (!*text)
        complain_required(e, &schedule, "");
    else if (strstr(text, "TZ="))
        complain_invalid_text(e, &schedule, text, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
    else
        rules_schedule(e, &schedule, text);
    check_time_zone(e, &zone, json_get(spec, "timeZone"));
    check_required_text(e, &spec_place, spec, "concurrencyPolicy");
    check_non_negative(e, &spec_place, spec, counts);
    if (!json_is_null(json_get(job_spec, "selector")))
        complain_invalid(e, &selector, json_get(job_spec, "selector"), "`selector` will be auto-generated");
    if (json_bool_or(json_get(job_spec, "manualSelector"), false)) {
        _cleanup_free_ char *field = place_text(&manual);
        field_errors_add(e, "FieldValueNotSupported", field, json_get(job_spec, "manualSelector"),
                         "supported values: \"nil\", \"false\"");
    }
    check_job_spec(e, &job, job_spec);
}
