/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The status of a Deployment; reasons and messages are what `kubectl rollout status` and `wait` look for. */
#include <string.h>

#include "orchestrator/controller/deployment/view.h"
#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/podstate.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define NO_DEADLINE     INT32_MAX
#define AVAILABLE       "Available"
#define PROGRESSING     "Progressing"
#define REPLICA_FAILURE "ReplicaFailure"
#define COMPLETE        "NewReplicaSetAvailable"
#define TIMED_OUT       "ProgressDeadlineExceeded"

/* --- conditions inside a status --- */

static const struct json *find(const struct json *status, const char *type) {
    const struct json *all = json_get(status, "conditions");
    for (size_t i = 0; i < json_len(all); i++)
        if (strcmp(json_str_or(json_get(json_at(all, i), "type"), ""), type) == 0)
            return json_at(all, i);
    return NULL;
}

static const char *field(const struct json *condition, const char *name) {
    return json_str_or(json_get(condition, name), "");
}

static void drop(struct json **status, const char *type) {
    const struct json *all = json_get(*status, "conditions");
    for (size_t i = json_len(all); i-- > 0;)
        if (strcmp(field(json_at(json_get(*status, "conditions"), i), "type"), type) == 0)
            json_remove_at(json_edit(status, "conditions"), i);
    if (json_get(*status, "conditions") && json_len(json_get(*status, "conditions")) == 0)
        json_del(status, "conditions");
}

/* Replaces the condition unless status and reason are the same already. */
static void put(struct json **status, const char *type, const char *value, const char *reason, const char *message,
                uint64_t now) {
    const struct json *old = find(*status, type);
    if (old && strcmp(field(old, "status"), value) == 0 && strcmp(field(old, "reason"), reason) == 0)
        return;
    char text[TIMESTAMP_SIZE];
    timestamp_format(now, text);
    bool same = old && strcmp(field(old, "status"), value) == 0 && json_str(json_get(old, "lastTransitionTime"));
    struct json *c = json_object();
    json_set(&c, "type", json_string(type));
    json_set(&c, "status", json_string(value));
    json_set(&c, "lastUpdateTime", json_string(text));
    json_set(&c, "lastTransitionTime", json_string(same ? field(old, "lastTransitionTime") : text));
    json_set(&c, "reason", json_string(reason));
    json_set(&c, "message", json_string(message));
    drop(status, type);
    json_append(json_edit(status, "conditions"), c);
}

/* --- progress --- */

static int64_t deadline(const struct json *d) {
    return json_int_or(json_path(d, "spec", "progressDeadlineSeconds"), NO_DEADLINE);
}

static int64_t count(const struct json *status, const char *name) {
    return json_int_or(json_get(status, name), 0);
}

bool status_is_complete(const struct json *d, const struct json *status) {
    int64_t want = json_int_or(json_path(d, "spec", "replicas"), 1);
    return count(status, "updatedReplicas") == want && count(status, "replicas") == want &&
           count(status, "availableReplicas") == want &&
           count(status, "observedGeneration") >= json_int_or(json_path(d, "metadata", "generation"), 0);
}

static bool is_progressing(const struct json *old, const struct json *now) {
    return count(now, "updatedReplicas") > count(old, "updatedReplicas") ||
           count(now, "replicas") - count(now, "updatedReplicas") <
               count(old, "replicas") - count(old, "updatedReplicas") ||
           count(now, "readyReplicas") > count(old, "readyReplicas") ||
           count(now, "availableReplicas") > count(old, "availableReplicas");
}

/* When the last progress gives out; 0 when there is none to speak of. */
static uint64_t times_out_at(const struct json *d, const struct json *status) {
    const struct json *c = find(status, PROGRESSING);
    uint64_t since = 0;
    if (!c || deadline(d) == NO_DEADLINE || timestamp_parse(field(c, "lastUpdateTime"), &since) < 0)
        return 0;
    return since + (uint64_t) deadline(d) * USEC_PER_SEC;
}

static bool has_timed_out(const struct json *d, const struct json *status, uint64_t now) {
    const struct json *c = find(status, PROGRESSING);
    if (!c || strcmp(field(c, "reason"), COMPLETE) == 0)
        return false;
    if (strcmp(field(c, "reason"), TIMED_OUT) == 0)
        return true;
    uint64_t at = times_out_at(d, status);
    return at > 0 && at < now;
}

static void judge_progress(const struct view *v, const struct json *old, struct json **status) {
    _cleanup_free_ char *who = v->current ? xasprintf("ReplicaSet \"%s\"", meta_name(v->current->object))
                                          : xasprintf("Deployment \"%s\"", meta_name(v->d));
    if (status_is_complete(v->d, *status)) {
        _cleanup_free_ char *text = xasprintf("%s has successfully progressed.", who);
        put(status, PROGRESSING, "True", COMPLETE, text, v->now);
    } else if (is_progressing(old, *status)) {
        _cleanup_free_ char *text = xasprintf("%s is progressing.", who);
        const struct json *before = find(*status, PROGRESSING);
        _cleanup_free_ char *since =
            strcmp(field(before, "status"), "True") == 0 && json_str(json_get(before, "lastTransitionTime"))
                ? xstrdup(field(before, "lastTransitionTime"))
                : NULL;
        drop(status, PROGRESSING); /* so that lastUpdateTime moves with every step */
        put(status, PROGRESSING, "True", "ReplicaSetUpdated", text, v->now);
        if (since) {
            struct json **list = json_edit(status, "conditions");
            json_set(json_edit_at(list, json_len(*list) - 1), "lastTransitionTime", json_string(since));
        }
    } else if (has_timed_out(v->d, *status, v->now)) {
        _cleanup_free_ char *text = xasprintf("%s has timed out progressing.", who);
        put(status, PROGRESSING, "False", TIMED_OUT, text, v->now);
    }
}

static void mark_pause(const struct view *v, struct json **status) {
    const struct json *c = find(*status, PROGRESSING);
    if (deadline(v->d) == NO_DEADLINE || strcmp(field(c, "reason"), TIMED_OUT) == 0)
        return;
    bool marked = strcmp(field(c, "reason"), "DeploymentPaused") == 0;
    if (v->paused && !marked)
        put(status, PROGRESSING, "Unknown", "DeploymentPaused", "Deployment is paused", v->now);
    else if (!v->paused && marked)
        put(status, PROGRESSING, "Unknown", "DeploymentResumed", "Deployment is resumed", v->now);
}

/* --- the whole --- */

static void copy_failure(const struct view *v, struct json **status) {
    const struct json *failure = v->current ? condition_find(v->current->object, REPLICA_FAILURE) : NULL;
    for (size_t i = 0; i < v->n && !failure; i++)
        failure = condition_find(v->sets[i].object, REPLICA_FAILURE);
    if (failure)
        put(status, REPLICA_FAILURE, field(failure, "status"), field(failure, "reason"), field(failure, "message"),
            v->now);
    else
        drop(status, REPLICA_FAILURE);
}

static void set_count(struct json **status, const char *name, int64_t n) {
    if (n > 0)
        json_set(status, name, json_int(n));
    else
        json_del(status, name); /* Go's omitempty */
}

static void count_replicas(const struct view *v, struct json **status) {
    int64_t available = 0, ready = 0, replicas = 0;
    for (size_t i = 0; i < v->n; i++) {
        available += v->sets[i].available;
        ready += v->sets[i].ready;
        replicas += v->sets[i].status;
    }
    int64_t unavailable = view_total_spec(v) - available;
    set_count(status, "observedGeneration", json_int_or(json_path(v->d, "metadata", "generation"), 0));
    set_count(status, "replicas", replicas);
    set_count(status, "updatedReplicas", v->current ? v->current->status : 0);
    set_count(status, "readyReplicas", ready);
    set_count(status, "availableReplicas", available);
    set_count(status, "unavailableReplicas", unavailable > 0 ? unavailable : 0);
    if (available >= v->replicas - v->unavailable)
        put(status, AVAILABLE, "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", v->now);
    else
        put(status, AVAILABLE, "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.",
            v->now);
}

struct json *status_compute(const struct view *v, bool created_new, const char *found_new, uint64_t *ret_wait) {
    const struct json *old = json_get(v->d, "status");
    struct json *status = json_is_object(old) ? json_ref(old) : json_object();
    bool timed = deadline(v->d) != NO_DEADLINE;
    *ret_wait = UINT64_MAX;
    mark_pause(v, &status);
    if (created_new && timed) {
        _cleanup_free_ char *text = xasprintf("Created new replica set \"%s\"", found_new);
        put(&status, PROGRESSING, "True", "NewReplicaSetCreated", text, v->now);
    } else if (found_new && timed && !find(status, PROGRESSING)) {
        _cleanup_free_ char *text = xasprintf("Found new replica set \"%s\"", found_new);
        put(&status, PROGRESSING, "True", "FoundNewReplicaSet", text, v->now);
    }
    count_replicas(v, &status);
    if (!timed)
        drop(&status, PROGRESSING);
    bool was_complete = count(status, "replicas") == count(status, "updatedReplicas") &&
                        strcmp(field(find(status, PROGRESSING), "reason"), COMPLETE) == 0;
    if (timed && !v->paused && !v->deleting && !was_complete)
        judge_progress(v, old, &status);
    copy_failure(v, &status);
    uint64_t at = times_out_at(v->d, status);
    const char *reason = field(find(status, PROGRESSING), "reason");
    if (at > 0 && !v->paused && strcmp(reason, TIMED_OUT) != 0 && !status_is_complete(v->d, status))
        *ret_wait = at > v->now ? at - v->now + USEC_PER_SEC : USEC_PER_SEC;
    return status;
}

struct json *deployment_status_create_failed(const struct json *d, const char *message, uint64_t now) {
    const struct json *old = json_get(d, "status");
    struct json *status = json_is_object(old) ? json_ref(old) : json_object();
    if (!message)
        json_set(&status, "collisionCount", json_int(count(status, "collisionCount") + 1));
    else if (deadline(d) != NO_DEADLINE)
        put(&status, PROGRESSING, "False", "ReplicaSetCreateError", message, now);
    return status;
}
