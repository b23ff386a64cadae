/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/replicaset/decide.h"

#include <stdlib.h>
#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/podstate.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"

#define DELETION_COST "controller.kubernetes.io/pod-deletion-cost"

static int64_t wanted(const struct json *owner) {
    return json_int_or(json_path(owner, "spec", "replicas"), 1);
}

/* --- ranking for deletion --- */

struct ranked {
    struct json *pod;
    bool assigned, ready;
    int phase;
    int64_t cost, crowd, restarts;
    int ready_age, age; /* logarithmic, -1 when unknown */
    const char *uid;
};

/* Upstream compares ages on a logarithmic scale, so that among pods of about one age chance (the uid) decides and not
 * the order of creation, which would empty one node after the other. */
static int log_age(uint64_t since, uint64_t now) {
    if (since == 0)
        return -1;
    uint64_t seconds = now > since ? (now - since) / USEC_PER_SEC : 0;
    int rank = 0;
    while (seconds > 1) {
        seconds >>= 1;
        rank++;
    }
    return rank;
}

static int phase_rank(const char *phase) {
    return strcmp(phase, "Running") == 0 ? 2 : strcmp(phase, "Unknown") == 0 ? 1 : 0;
}

static int64_t restarts(const struct json *pod) {
    const struct json *all = json_path(pod, "status", "containerStatuses");
    int64_t most = 0;
    for (size_t i = 0; i < json_len(all); i++) {
        int64_t n = json_int_or(json_get(json_at(all, i), "restartCount"), 0);
        most = n > most ? n : most;
    }
    return most;
}

static int compare(int64_t a, int64_t b) {
    return a < b ? -1 : a > b;
}

/* Below zero: a goes before b. */
static int expendable_first(const void *pa, const void *pb) {
    const struct ranked *a = pa, *b = pb;
    int r;
    if ((r = compare(a->assigned, b->assigned)) != 0)
        return r;
    if ((r = compare(a->phase, b->phase)) != 0)
        return r;
    if ((r = compare(a->ready, b->ready)) != 0)
        return r;
    if ((r = compare(a->cost, b->cost)) != 0)
        return r;
    if ((r = compare(b->crowd, a->crowd)) != 0)
        return r;
    if (a->ready && b->ready && (r = compare(a->ready_age, b->ready_age)) != 0)
        return r;
    if ((r = compare(b->restarts, a->restarts)) != 0)
        return r;
    if ((r = compare(a->age, b->age)) != 0)
        return r;
    return strcmp(a->uid, b->uid);
}

static struct hashmap *count_by_node(struct json *const *pods, size_t n) {
    struct hashmap *crowds = hashmap_new(NULL);
    for (size_t i = 0; i < n; i++) {
        const char *node = pod_node(pods[i]);
        if (*node && pod_is_active(pods[i]))
            hashmap_put(crowds, node, (void *) ((intptr_t) hashmap_get(crowds, node) + 1));
    }
    return crowds;
}

static void rank(struct json *const *pods, size_t n, const struct hashmap *crowds, uint64_t now, struct ranked *out) {
    for (size_t i = 0; i < n; i++) {
        struct json *pod = pods[i];
        const char *node = pod_node(pod);
        const char *cost = json_str_or(json_get(json_path(pod, "metadata", "annotations"), DELETION_COST), "0");
        out[i] = (struct ranked){
            .pod = pod,
            .assigned = *node != 0,
            .ready = pod_is_ready(pod),
            .phase = phase_rank(pod_phase(pod)),
            .cost = strtoll(cost, NULL, 10),
            .crowd = (intptr_t) hashmap_get(crowds, node),
            .restarts = restarts(pod),
            .ready_age = log_age(pod_ready_since(pod), now),
            .age = log_age(meta_created_usec(pod), now),
            .uid = meta_uid(pod),
        };
    }
}

void replicaset_plan_finish(struct replicaset_plan *p) {
    free(p->remove);
    *p = (struct replicaset_plan){0};
}

void replicaset_decide(const struct json *owner, struct json *const *pods, size_t n, struct json *const *related,
                       size_t n_related, uint64_t now, struct replicaset_plan *ret) {
    *ret = (struct replicaset_plan){0};
    int64_t want = wanted(owner);
    size_t target = want > 0 ? (size_t) want : 0;
    if (n < target) {
        ret->create = target - n < REPLICASET_BURST ? target - n : REPLICASET_BURST;
        return;
    }
    if (n == target)
        return;
    _cleanup_free_ struct ranked *ranking = xcalloc(n, sizeof(*ranking));
    _cleanup_(hashmap_freep) struct hashmap *crowds = count_by_node(related, n_related);
    rank(pods, n, crowds, now, ranking);
    qsort(ranking, n, sizeof(*ranking), expendable_first);
    ret->n_remove = n - target < REPLICASET_BURST ? n - target : REPLICASET_BURST;
    ret->remove = xcalloc(ret->n_remove, sizeof(struct json *));
    for (size_t i = 0; i < ret->n_remove; i++)
        ret->remove[i] = ranking[i].pod;
}

/* --- documents --- */

struct json *replicaset_pod(const struct json *owner) {
    static const char *const from_template[] = {"labels", "annotations", "finalizers"};
    const struct json *template = json_path(owner, "spec", "template");
    struct json *pod = json_object();
    json_set(&pod, "apiVersion", json_string("v1"));
    json_set(&pod, "kind", json_string("Pod"));
    json_set_path(&pod, json_stringf("%s-", meta_name(owner)), "metadata", "generateName");
    json_set_path(&pod, json_string(meta_namespace(owner)), "metadata", "namespace");
    for (size_t i = 0; i < ARRAY_LEN(from_template); i++) {
        const struct json *v = json_path(template, "metadata", from_template[i]);
        if (!json_is_null(v))
            json_set_path(&pod, json_ref(v), "metadata", from_template[i]);
    }
    struct json *refs = json_array();
    json_append(&refs, owner_reference(owner));
    json_set_path(&pod, refs, "metadata", "ownerReferences");
    json_set(&pod, "spec", json_ref(json_get(template, "spec")));
    return pod;
}

static void set_count(struct json **status, const char *field, size_t n) {
    if (n > 0 || strcmp(field, "replicas") == 0)
        json_set(status, field, json_int((int64_t) n));
    else
        json_del(status, field); /* Go's omitempty */
}

static bool labels_contain(const struct json *labels, const struct json *subset) {
    for (size_t i = 0; i < json_len(subset); i++)
        if (!json_equal(json_get(labels, json_key_at(subset, i)), json_value_at(subset, i)))
            return false;
    return true;
}

/* The conditions with ReplicaFailure as it is now: kept untouched while the failure lasts, gone with it. */
static struct json *conditions(const struct json *owner, size_t have, const char *failure, uint64_t now) {
    const struct json *old = json_path(owner, "status", "conditions");
    struct json *out = NULL;
    bool there = false;
    for (size_t i = 0; i < json_len(old); i++) {
        bool is_failure = strcmp(json_str_or(json_get(json_at(old, i), "type"), ""), "ReplicaFailure") == 0;
        if (is_failure && !failure)
            continue;
        there |= is_failure;
        json_append(&out, json_ref(json_at(old, i)));
    }
    if (failure && !there) {
        struct json *c = json_object();
        char text[TIMESTAMP_SIZE];
        timestamp_format(now, text);
        json_set(&c, "type", json_string("ReplicaFailure"));
        json_set(&c, "status", json_string("True"));
        json_set(&c, "lastTransitionTime", json_string(text));
        json_set(&c, "reason", json_string((int64_t) have < wanted(owner) ? "FailedCreate" : "FailedDelete"));
        json_set(&c, "message", json_string(failure));
        json_append(&out, c);
    }
    return out;
}

struct json *replicaset_status(const struct json *owner, struct json *const *pods, size_t n, const char *failure,
                               uint64_t now, uint64_t *ret_wait) {
    size_t ready = 0, available = 0, labeled = 0;
    int64_t min_ready = json_int_or(json_path(owner, "spec", "minReadySeconds"), 0);
    const struct json *labels = json_path(owner, "spec", "template", "metadata", "labels");
    *ret_wait = UINT64_MAX;
    for (size_t i = 0; i < n; i++) {
        labeled += labels_contain(json_path(pods[i], "metadata", "labels"), labels);
        ready += pod_is_ready(pods[i]);
        available += pod_is_available(pods[i], min_ready, now, ret_wait);
    }
    struct json *status =
        json_is_object(json_get(owner, "status")) ? json_ref(json_get(owner, "status")) : json_object();
    set_count(&status, "replicas", n);
    set_count(&status, "fullyLabeledReplicas", labeled);
    set_count(&status, "readyReplicas", ready);
    set_count(&status, "availableReplicas", available);
    int64_t generation = json_int_or(json_path(owner, "metadata", "generation"), 0);
    if (generation > 0)
        json_set(&status, "observedGeneration", json_int(generation));
    struct json *list = conditions(owner, n, failure, now);
    if (list)
        json_set(&status, "conditions", list);
    else
        json_del(&status, "conditions");
    return status;
}
