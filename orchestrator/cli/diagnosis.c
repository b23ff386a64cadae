/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/diagnosis.h"

#include <string.h>

#include "orchestrator/object/selector.h"
#include "podium/base/alloc.h"

#define CONTROLLERS_MISSING "podium.org/CgroupControllersMissing"
#define MIRROR_ANNOTATION   "kubernetes.io/config.mirror"

void diagnosis_finish(struct diagnosis *d) {
    findings_finish(&d->problems);
    findings_finish(&d->notes);
}

static const char *text(const struct json *object, const char *key) {
    return json_str_or(json_get(object, key), "");
}

static const char *name_of(const struct json *object) {
    return text(json_get(object, "metadata"), "name");
}

static const char *ns_of(const struct json *object) {
    return text(json_get(object, "metadata"), "namespace");
}

static bool is_deleting(const struct json *object) {
    return json_path(object, "metadata", "deletionTimestamp") != NULL;
}

const struct json *condition_of(const struct json *object, const char *type) {
    const struct json *list = json_path(object, "status", "conditions");
    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(text(json_at(list, i), "type"), type) == 0)
            return json_at(list, i);
    return NULL;
}

static bool holds(const struct json *object, const char *type, const char *status) {
    return strcmp(text(condition_of(object, type), "status"), status) == 0;
}

/* --- nodes --- */

void diagnose_nodes(struct diagnosis *d, const struct json *nodes) {
    static const char *const pressures[] = {"MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable"};
    for (size_t i = 0; i < json_len(nodes); i++) {
        const struct json *n = json_at(nodes, i), *ready = condition_of(n, "Ready");
        const struct json *missing = condition_of(n, CONTROLLERS_MISSING);
        if (strcmp(text(ready, "status"), "True") != 0)
            findings_add(&d->problems, "nodes", NULL, "node %s: %s", name_of(n),
                         *text(ready, "message") ? text(ready, "message") : "has not reported yet");
        for (size_t p = 0; p < ARRAY_LEN(pressures); p++)
            if (holds(n, pressures[p], "True"))
                findings_add(&d->problems, "nodes", NULL, "node %s: %s: %s", name_of(n), pressures[p],
                             text(condition_of(n, pressures[p]), "message"));
        if (strcmp(text(missing, "status"), "True") == 0)
            findings_add(&d->notes, "nodes", text(missing, "message"), "node %s: %s", name_of(n),
                         text(missing, "message"));
    }
    if (json_len(nodes) == 0)
        findings_add(&d->problems, "nodes", NULL,
                     "no nodes: start an agent on this or another host; `podium token create` prints how");
}

/* --- pods --- */

bool pod_is_static(const struct json *pod) {
    return json_path(pod, "metadata", "annotations", MIRROR_ANNOTATION) != NULL;
}

/* Pods of one owner that suffer from the same are told once. The caller frees. */
static char *cause_of(const struct json *pod, const char *container, const char *reason) {
    const char *owner = text(json_at(json_path(pod, "metadata", "ownerReferences"), 0), "uid");
    return *owner ? xasprintf("%s/%s/%s", owner, container, reason) : NULL;
}

/* ": text", or nothing. */
static void add_said(struct strbuf *b, const char *said) {
    if (*said)
        strbuf_addf(b, ": %s", said);
}

static void add_last_end(struct strbuf *b, const struct json *status) {
    const struct json *last = json_path(status, "lastState", "terminated");
    if (!last)
        return;
    strbuf_addf(b, " (last time: %s, exit code %lld)", *text(last, "reason") ? text(last, "reason") : "ended",
                (long long) json_int_or(json_get(last, "exitCode"), 0));
}

/* The newest event about a failed probe of the pod, or NULL. */
static const struct json *last_probe_failure(const struct json *pod, const struct json *unhealthy) {
    const char *uid = text(json_get(pod, "metadata"), "uid");
    const struct json *newest = NULL;
    for (size_t i = 0; i < json_len(unhealthy) && *uid; i++) {
        const struct json *e = json_at(unhealthy, i);
        if (strcmp(text(json_get(e, "involvedObject"), "uid"), uid) == 0 &&
            (!newest || strcmp(text(e, "lastTimestamp"), text(newest, "lastTimestamp")) >= 0))
            newest = e;
    }
    return newest;
}

/* The first container that waits, ended, or runs without being ready. */
static bool explain_container(struct diagnosis *d, const struct json *pod, const struct json *status,
                              const struct json *unhealthy) {
    const struct json *waiting = json_path(status, "state", "waiting");
    const struct json *ended = json_path(status, "state", "terminated");
    const struct json *failure = NULL;
    const char *reason = text(waiting ? waiting : ended, "reason");
    _cleanup_strbuf_ struct strbuf why = STRBUF_INIT;
    if (json_path(status, "state", "running")) {
        if (json_bool_or(json_get(status, "ready"), false))
            return false;
        failure = last_probe_failure(pod, unhealthy);
        if (!failure)
            return false;
        reason = "not ready";
    }
    if (!*reason || strcmp(reason, "Completed") == 0 || strcmp(reason, "PodInitializing") == 0)
        return false;
    strbuf_adds(&why, reason);
    add_said(&why, failure ? text(failure, "message") : text(waiting ? waiting : ended, "message"));
    if (strcmp(reason, "CrashLoopBackOff") == 0)
        add_last_end(&why, status);
    if (ended && json_int_or(json_get(ended, "exitCode"), 0) != 0)
        strbuf_addf(&why, " (exit code %lld)", (long long) json_int_or(json_get(ended, "exitCode"), 0));
    _cleanup_free_ char *cause = cause_of(pod, text(status, "name"), reason);
    findings_add(&d->problems, "pods", cause, "pod %s/%s, container %s: %s", ns_of(pod), name_of(pod),
                 text(status, "name"), strbuf_str(&why));
    return true;
}

static void explain_pod(struct diagnosis *d, const struct json *pod, const struct json *unhealthy) {
    static const char *const lists[] = {"initContainerStatuses", "containerStatuses"};
    for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
        const struct json *statuses = json_path(pod, "status", lists[l]);
        for (size_t i = 0; i < json_len(statuses); i++)
            if (explain_container(d, pod, json_at(statuses, i), unhealthy))
                return;
    }
    _cleanup_strbuf_ struct strbuf why = STRBUF_INIT;
    const struct json *c =
        holds(pod, "PodScheduled", "False") ? condition_of(pod, "PodScheduled") : condition_of(pod, "Ready");
    const char *reason = text(json_get(pod, "status"), "reason"); /* "Evicted", "NodeLost" */
    reason = *reason ? reason : *text(c, "reason") ? text(c, "reason") : "not ready";
    strbuf_adds(&why, reason);
    add_said(&why, *text(c, "message") ? text(c, "message") : text(json_get(pod, "status"), "message"));
    _cleanup_free_ char *cause = cause_of(pod, "", reason);
    findings_add(&d->problems, "pods", cause, "pod %s/%s: %s", ns_of(pod), name_of(pod), strbuf_str(&why));
}

void diagnose_pods(struct diagnosis *d, const struct json *pods, const struct json *unhealthy) {
    for (size_t i = 0; i < json_len(pods); i++) {
        const struct json *pod = json_at(pods, i);
        if (strcmp(text(json_get(pod, "status"), "phase"), "Succeeded") != 0 && !holds(pod, "Ready", "True") &&
            !is_deleting(pod))
            explain_pod(d, pod, unhealthy);
    }
}

/* --- deployments --- */

void diagnose_deployments(struct diagnosis *d, const struct json *deployments) {
    for (size_t i = 0; i < json_len(deployments); i++) {
        const struct json *dep = json_at(deployments, i);
        int64_t wanted = json_int_or(json_path(dep, "spec", "replicas"), 1);
        int64_t available = json_int_or(json_path(dep, "status", "availableReplicas"), 0);
        int64_t updated = json_int_or(json_path(dep, "status", "updatedReplicas"), 0);
        bool stuck = holds(dep, "Progressing", "False"), refused = holds(dep, "ReplicaFailure", "True");
        bool paused = json_bool_or(json_path(dep, "spec", "paused"), false);
        const struct json *why = condition_of(dep, refused ? "ReplicaFailure" : "Progressing");
        if (stuck || refused)
            findings_add(&d->problems, "deployments", NULL, "deployment %s/%s: %s: %s", ns_of(dep), name_of(dep),
                         text(why, "reason"), text(why, "message"));
        else if (available < wanted)
            findings_add(&d->problems, "deployments", NULL, "deployment %s/%s: %lld of %lld replicas available",
                         ns_of(dep), name_of(dep), (long long) available, (long long) wanted);
        if (paused)
            findings_add(&d->notes, "deployments", NULL, "deployment %s/%s is paused, %lld of %lld replicas are new",
                         ns_of(dep), name_of(dep), (long long) updated, (long long) wanted);
    }
}

/* --- services --- */

static bool has_ready_endpoint(const struct json *service, const struct json *slices) {
    for (size_t i = 0; i < json_len(slices); i++) {
        const struct json *s = json_at(slices, i), *endpoints = json_get(s, "endpoints");
        const char *owner = json_str_or(json_path(s, "metadata", "labels", "kubernetes.io/service-name"), "");
        if (strcmp(owner, name_of(service)) != 0 || strcmp(ns_of(s), ns_of(service)) != 0)
            continue;
        for (size_t e = 0; e < json_len(endpoints); e++)
            if (json_bool_or(json_path(json_at(endpoints, e), "conditions", "ready"), true))
                return true;
    }
    return false;
}

static size_t count_matching(const struct json *service, const struct selector *s, const struct json *pods) {
    size_t n = 0;
    for (size_t i = 0; i < json_len(pods); i++) {
        const struct json *pod = json_at(pods, i);
        n += strcmp(ns_of(pod), ns_of(service)) == 0 && !is_deleting(pod) &&
             selector_matches(s, json_path(pod, "metadata", "labels"));
    }
    return n;
}

static bool is_scaled_to_none(const struct json *service, const struct selector *s, const struct json *deployments) {
    for (size_t i = 0; i < json_len(deployments); i++) {
        const struct json *dep = json_at(deployments, i);
        if (strcmp(ns_of(dep), ns_of(service)) == 0 && json_int_or(json_path(dep, "spec", "replicas"), 1) == 0 &&
            selector_matches(s, json_path(dep, "spec", "template", "metadata", "labels")))
            return true;
    }
    return false;
}

void diagnose_services(struct diagnosis *d, const struct json *services, const struct json *slices,
                       const struct json *pods, const struct json *deployments) {
    for (size_t i = 0; i < json_len(services); i++) {
        const struct json *service = json_at(services, i), *map = json_path(service, "spec", "selector");
        struct selector *s = NULL;
        if (json_len(map) == 0 || strcmp(text(json_get(service, "spec"), "type"), "ExternalName") == 0 ||
            has_ready_endpoint(service, slices) || selector_from_map(map, &s, NULL) < 0)
            continue;
        size_t n = count_matching(service, s, pods);
        _cleanup_free_ char *labels = selector_to_text(s);
        if (n > 0)
            findings_add(&d->problems, "services", NULL,
                         "service %s/%s: none of the pods it selects is ready (%zu there)", ns_of(service),
                         name_of(service), n);
        else if (is_scaled_to_none(service, s, deployments))
            findings_add(&d->notes, "services", NULL, "service %s/%s: its pods are scaled to none", ns_of(service),
                         name_of(service));
        else
            findings_add(&d->problems, "services", NULL, "service %s/%s: no pod has the labels it selects (%s)",
                         ns_of(service), name_of(service), labels);
        selector_free(s);
    }
}

/* --- disruption budgets --- */

void diagnose_budgets(struct diagnosis *d, const struct json *budgets) {
    for (size_t i = 0; i < json_len(budgets); i++) {
        const struct json *b = json_at(budgets, i), *status = json_get(b, "status");
        int64_t healthy = json_int_or(json_get(status, "currentHealthy"), 0);
        int64_t desired = json_int_or(json_get(status, "desiredHealthy"), 0);
        if (json_int_or(json_get(status, "expectedPods"), 0) == 0 ||
            json_int_or(json_get(status, "disruptionsAllowed"), 0) > 0)
            continue;
        findings_add(healthy < desired ? &d->problems : &d->notes, "disruption budgets", NULL,
                     "disruption budget %s/%s lets no pod be evicted: healthy: %lld, needed: %lld", ns_of(b),
                     name_of(b), (long long) healthy, (long long) desired);
    }
}
