/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events of events.k8s.io. Complaints name fields as the core Event does, which upstream validates. */
#include <string.h>

#include "orchestrator/object/kind_rules.h"

#define NAME_CHARS_MAX 128u
#define NOTE_CHARS_MAX 1024u
#define SERIES_MIN     2

static void check_length(struct field_errors *e, const struct place *at, const struct json *value, size_t max) {
    if (json_str_len(value) > max)
        complain_invalid_text(e, at, "", "can have at most %zu characters", max);
}

static void check_text(struct field_errors *e, const struct json *object, const char *key) {
    struct place at = place_in(NULL, key);
    check_required_text(e, NULL, object, key);
    check_length(e, &at, json_get(object, key), NAME_CHARS_MAX);
}

static void check_series(struct field_errors *e, const struct json *object) {
    static const struct place series = {.name = "series"};
    struct place count = place_in(&series, "count"), last = place_in(&series, "lastObservedTime");
    const struct json *v = json_get(object, "series");
    _cleanup_json_ struct json *n = json_int(json_int_or(json_get(v, "count"), 0));
    if (json_is_null(v))
        return;
    if (json_int_or(n, 0) < SERIES_MIN)
        complain_invalid(e, &count, n, "should be at least %d", SERIES_MIN);
    if (json_is_null(json_get(v, "lastObservedTime")))
        complain_required(e, &last, "");
}

static void check_namespace(struct field_errors *e, const struct json *object) {
    static const struct place involved = {.name = "involvedObject"};
    struct place at = place_in(&involved, "namespace");
    const char *ns = json_str_or(json_path(object, "metadata", "namespace"), "");
    const char *of = json_str_or(json_path(object, "regarding", "namespace"), "");
    bool here = *of ? strcmp(of, ns) == 0 : strcmp(ns, "default") == 0 || strcmp(ns, "kube-system") == 0;
    if (!here)
        complain_invalid_text(e, &at, of, "does not match event.namespace");
}

void rules_events_event_create(struct field_errors *e, const struct json *object) {
    static const struct place time = {.name = "eventTime"}, controller = {.name = "reportingController"},
                              message = {.name = "message"}, type = {.name = "type"};
    check_namespace(e, object);
    if (json_is_null(json_get(object, "eventTime")))
        complain_required(e, &time, "");
    check_series(e, object);
    if (check_required_text(e, NULL, object, "reportingController"))
        check_name(e, &controller, json_get_str(object, "reportingController"), name_form_qualified);
    check_text(e, object, "reportingInstance");
    check_text(e, object, "action");
    check_text(e, object, "reason");
    check_length(e, &message, json_get(object, "note"), NOTE_CHARS_MAX);
    if (!json_get_is(object, "type", "Normal") && !json_get_is(object, "type", "Warning"))
        complain_invalid_text(e, &type, "", "has invalid value: %s", json_get_str(object, "type"));
}

void rules_events_event_update(struct field_errors *e, const struct json *object, const struct json *old) {
    static const struct {
        const char *member, *core;
    } fixed[] = {{"regarding", "involvedObject"},
                 {"reason", "reason"},
                 {"note", "message"},
                 {"deprecatedSource", "source"},
                 {"deprecatedFirstTimestamp", "firstTimestamp"},
                 {"deprecatedLastTimestamp", "lastTimestamp"},
                 {"deprecatedCount", "count"},
                 {"type", "type"},
                 {"eventTime", "eventTime"},
                 {"action", "action"},
                 {"related", "related"},
                 {"reportingController", "reportingController"},
                 {"reportingInstance", "reportingInstance"}};
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        struct place at = place_in(NULL, fixed[i].core);
        check_immutable(e, &at, json_get(object, fixed[i].member), json_get(old, fixed[i].member));
    }
    check_series(e, object);
}
