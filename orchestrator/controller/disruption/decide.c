/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/disruption/decide.h"

#include <stdlib.h>
#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/podstate.h"
#include "orchestrator/object/timestamp.h"

#define CONDITION "DisruptionAllowed"

static bool is_percentage(const struct json *v) {
    return json_str(v) && strchr(json_str(v), '%');
}

bool disruption_wants_scale(const struct json *pdb) {
    const struct json *spec = json_get(pdb, "spec");

    return !json_is_null(json_get(spec, "maxUnavailable")) || is_percentage(json_get(spec, "minAvailable"));
}

/* A number, or so many per cent of `of`, rounded up. */
static int64_t amount(const struct json *v, int64_t of) {
    return is_percentage(v) ? (strtoll(json_str(v), NULL, 10) * of + 99) / 100 : json_int_or(v, 0);
}

static void sizes(const struct json *pdb, size_t n_pods, int64_t scale, int64_t *expected, int64_t *desired) {
    const struct json *most = json_path(pdb, "spec", "maxUnavailable"), *least = json_path(pdb, "spec", "minAvailable");

    *expected = disruption_wants_scale(pdb) ? scale : (int64_t) n_pods;
    *desired = 0;
    if (!json_is_null(most))
        *desired = *expected - amount(most, *expected);
    else if (!json_is_null(least))
        *desired = amount(least, *expected);
    else
        *expected = 0; /* a budget that says nothing allows nothing, as upstream */
    if (*desired < 0)
        *desired = 0;
}

static const struct json *pod_named(struct json *const *pods, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(meta_name(pods[i]), name) == 0)
            return pods[i];
    return NULL;
}

/* Evictions allowed whose pods have not begun to go yet. */
static struct json *still_disrupted(const struct json *pdb, struct json *const *pods, size_t n, uint64_t now,
                                    uint64_t *ret_wait) {
    const struct json *before = json_path(pdb, "status", "disruptedPods");
    struct json *left = json_object();

    for (size_t i = 0; i < json_len(before); i++) {
        const struct json *pod = pod_named(pods, n, json_key_at(before, i));
        uint64_t at = 0;
        if (!pod || meta_is_deleting(pod) || timestamp_parse(json_str_or(json_value_at(before, i), ""), &at) < 0 ||
            at + DISRUPTION_FORGOTTEN_USEC <= now)
            continue;
        uint64_t wait = at + DISRUPTION_FORGOTTEN_USEC - now;
        if (wait < *ret_wait)
            *ret_wait = wait;
        json_set(&left, json_key_at(before, i), json_ref(json_value_at(before, i)));
    }
    return left;
}

static int64_t count_healthy(struct json *const *pods, size_t n, const struct json *disrupted) {
    int64_t healthy = 0;

    for (size_t i = 0; i < n; i++)
        healthy +=
            !meta_is_deleting(pods[i]) && !json_get(disrupted, meta_name(pods[i])) && pod_is_ready(pods[i]) ? 1 : 0;
    return healthy;
}

static struct json *condition(const struct json *pdb, bool allowed, uint64_t now) {
    const struct json *before = condition_find(pdb, CONDITION);
    const char *status = allowed ? "True" : "False";
    const char *since = json_str(json_get(before, "lastTransitionTime"));
    char text[TIMESTAMP_SIZE];
    struct json *c = json_object();

    timestamp_format(now, text);
    bool same = since && strcmp(condition_status(pdb, CONDITION), status) == 0;
    json_set(&c, "type", json_string(CONDITION));
    json_set(&c, "status", json_string(status));
    json_set(&c, "observedGeneration", json_int(json_int_or(json_path(pdb, "metadata", "generation"), 0)));
    json_set(&c, "lastTransitionTime", json_string(same ? since : text));
    json_set(&c, "reason", json_string(allowed ? "SufficientPods" : "InsufficientPods"));
    json_set(&c, "message", json_string(""));
    return c;
}

struct json *disruption_status(const struct json *pdb, struct json *const *pods, size_t n, int64_t scale, uint64_t now,
                               uint64_t *ret_wait) {
    struct json *status = json_object(), *conditions = json_array();
    int64_t expected, desired;

    *ret_wait = UINT64_MAX;
    sizes(pdb, n, scale, &expected, &desired);
    struct json *disrupted = still_disrupted(pdb, pods, n, now, ret_wait);
    int64_t healthy = count_healthy(pods, n, disrupted), allowed = healthy - desired;
    if (expected <= 0 || allowed < 0)
        allowed = 0;
    json_append(&conditions, condition(pdb, allowed > 0, now));
    json_set(&status, "observedGeneration", json_int(json_int_or(json_path(pdb, "metadata", "generation"), 0)));
    if (json_len(disrupted) > 0)
        json_set(&status, "disruptedPods", disrupted);
    else
        json_unref(disrupted);
    json_set(&status, "disruptionsAllowed", json_int(allowed));
    json_set(&status, "currentHealthy", json_int(healthy));
    json_set(&status, "desiredHealthy", json_int(desired));
    json_set(&status, "expectedPods", json_int(expected));
    json_set(&status, "conditions", conditions);
    return status;
}
