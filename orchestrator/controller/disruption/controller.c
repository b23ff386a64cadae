/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/disruption/controller.h"

#include <string.h>

#include "orchestrator/controller/disruption/decide.h"
#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/podstate.h"
#include "orchestrator/controller/task.h"
#include "orchestrator/object/selector.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"

#define CONCURRENT_SYNCS 5
#define COMPONENT        "disruption-controller"

/* Kinds that have pods and say how many: what a pod's controller, or its controller's, may be. */
static const struct {
    const char *kind, *group, *plural;
} scaled[] = {
    {"ReplicaSet", "apps", "replicasets"},
    {"ReplicationController", "", "replicationcontrollers"},
    {"StatefulSet", "apps", "statefulsets"},
    {"Deployment", "apps", "deployments"},
};

struct controller {
    const struct resource *resource;
    struct informer *budgets, *pods, *owners[ARRAY_LEN(scaled)];
    struct task_queue tasks;
};

struct sync {
    struct task task;
    struct json *pdb;
};

static struct controller *controller_of(struct task *t) {
    return t->tasks->userdata;
}

/* An empty selector takes every pod of the namespace, none at all takes no pod (policy/v1). */
static bool matches(const struct json *pdb, const struct json *pod) {
    _cleanup_(selector_freep) struct selector *selector = NULL;
    const struct json *spec = json_path(pdb, "spec", "selector");

    return json_is_object(spec) && selector_from_object(spec, &selector, NULL) == 0 &&
           selector_matches(selector, json_path(pod, "metadata", "labels"));
}

static struct json **covered_pods(struct controller *c, const struct json *pdb, size_t *ret_n) {
    size_t n, kept = 0;
    struct json **pods = informer_list(c->pods, INDEX_NAMESPACE, meta_namespace(pdb), &n);

    for (size_t i = 0; i < n; i++)
        if (matches(pdb, pods[i]))
            pods[kept++] = pods[i];
    *ret_n = kept;
    return pods;
}

/* The object at the top of the chain of controllers; NULL when there is none that says how many. */
static const struct json *scaled_owner(struct controller *c, const struct json *object) {
    const struct json *top = NULL, *ref;

    while ((ref = owner_controller(object))) {
        const struct json *owner = NULL;
        for (size_t i = 0; i < ARRAY_LEN(scaled) && !owner; i++)
            if (strcmp(json_str_or(json_get(ref, "kind"), ""), scaled[i].kind) == 0)
                owner = informer_get(c->owners[i], meta_namespace(object), json_str_or(json_get(ref, "name"), ""));
        if (!owner || !owner_is_controller(owner, object))
            break;
        top = object = owner;
    }
    return top;
}

static int64_t expected_scale(struct controller *c, struct json *const *pods, size_t n) {
    _cleanup_(hashmap_freep) struct hashmap *seen = hashmap_new(NULL);
    int64_t total = 0;

    for (size_t i = 0; i < n; i++) {
        const struct json *owner = scaled_owner(c, pods[i]);
        if (!owner || hashmap_has(seen, meta_uid(owner)))
            continue;
        hashmap_put(seen, meta_uid(owner), NULL);
        total += json_int_or(json_path(owner, "spec", "replicas"), 1);
    }
    return total;
}

static void on_status(struct task *t, const struct client_result *result, void *arg) {
    int r = client_errno(result);

    task_done(t, r == -ENOENT ? 0 : r);
}

static bool all_synced(const struct controller *c) {
    for (size_t i = 0; i < ARRAY_LEN(scaled); i++)
        if (!informer_synced(c->owners[i]))
            return false;
    return informer_synced(c->budgets) && informer_synced(c->pods);
}

static void sync_begin(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct controller *c = controller_of(t);
    uint64_t wait;
    size_t n;

    if (!all_synced(c)) {
        task_again_after(t, 50 * USEC_PER_MSEC);
        task_done(t, 0);
        return;
    }
    s->pdb = json_ref(informer_get_key(c->budgets, t->key));
    if (!s->pdb || meta_is_deleting(s->pdb)) {
        task_done(t, 0);
        return;
    }
    _cleanup_free_ struct json **pods = covered_pods(c, s->pdb, &n);
    int64_t scale = disruption_wants_scale(s->pdb) ? expected_scale(c, pods, n) : 0;
    struct json *status = disruption_status(s->pdb, pods, n, scale, now_realtime_usec(), &wait);
    if (wait != UINT64_MAX)
        task_again_after(t, wait);
    if (json_equal(status, json_get(s->pdb, "status"))) {
        json_unref(status);
        task_done(t, 0);
        return;
    }
    _cleanup_json_ struct json *body = json_ref(s->pdb);
    json_set(&body, "status", status);
    struct client_request r = {.verb = CLIENT_UPDATE,
                               .resource = c->resource,
                               .ns = meta_namespace(s->pdb),
                               .name = meta_name(s->pdb),
                               .subresource = "status",
                               .body = body};
    task_call(t, &r, on_status, NULL);
}

static void sync_finish(struct task *t) {
    json_unref(((struct sync *) t)->pdb);
}

/* --- changes become keys --- */

static void on_budget(void *userdata, struct json *old, struct json *pdb) {
    struct controller *c = userdata;

    if (pdb)
        task_queue_add_object(&c->tasks, pdb);
}

static void enqueue_covering(struct controller *c, const struct json *pod) {
    size_t n;
    _cleanup_free_ struct json **all = informer_list(c->budgets, INDEX_NAMESPACE, meta_namespace(pod), &n);

    for (size_t i = 0; i < n; i++)
        if (matches(all[i], pod))
            task_queue_add_object(&c->tasks, all[i]);
}

static bool counts_alike(const struct json *a, const struct json *b) {
    return pod_is_ready(a) == pod_is_ready(b) && meta_is_deleting(a) == meta_is_deleting(b) &&
           json_equal(json_path(a, "metadata", "labels"), json_path(b, "metadata", "labels"));
}

static void on_pod(void *userdata, struct json *old, struct json *pod) {
    struct controller *c = userdata;

    if (informer_len(c->budgets) == 0 || (old && pod && counts_alike(old, pod)))
        return;
    if (old)
        enqueue_covering(c, old);
    if (pod)
        enqueue_covering(c, pod);
}

/* A changed size of a workload changes the share: budgets that count shares are looked at again. */
static void on_owner(void *userdata, struct json *old, struct json *owner) {
    struct controller *c = userdata;
    size_t n;

    if (informer_len(c->budgets) == 0 ||
        (old && owner && json_equal(json_path(old, "spec", "replicas"), json_path(owner, "spec", "replicas"))))
        return;
    _cleanup_free_ struct json **all =
        informer_list(c->budgets, INDEX_NAMESPACE, meta_namespace(owner ? owner : old), &n);
    for (size_t i = 0; i < n; i++)
        if (disruption_wants_scale(all[i]))
            task_queue_add_object(&c->tasks, all[i]);
}

/* --- life --- */

static void controller_free(void *p) {
    struct controller *c = p;

    informer_remove_handlers(c->budgets, c);
    informer_remove_handlers(c->pods, c);
    for (size_t i = 0; i < ARRAY_LEN(scaled); i++)
        informer_remove_handlers(c->owners[i], c);
    task_queue_finish(&c->tasks);
    free(c);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);

    c->resource = resource_by_plural("policy", "v1", "poddisruptionbudgets");
    c->budgets = informer_set_get(env->informers, c->resource);
    c->pods = informer_set_get(env->informers, resource_by_plural("", "v1", "pods"));
    task_queue_init(&c->tasks, env->loop, env->client, CONCURRENT_SYNCS, sizeof(struct sync), sync_begin, sync_finish,
                    c);
    informer_add_index(c->budgets, INDEX_NAMESPACE, index_by_namespace);
    informer_add_index(c->pods, INDEX_NAMESPACE, index_by_namespace);
    informer_add_handlers(c->budgets, &(struct informer_handlers){.changed = on_budget, .userdata = c});
    informer_add_handlers(c->pods, &(struct informer_handlers){.changed = on_pod, .userdata = c});
    for (size_t i = 0; i < ARRAY_LEN(scaled); i++) {
        c->owners[i] = informer_set_get(env->informers, resource_by_plural(scaled[i].group, "v1", scaled[i].plural));
        informer_add_handlers(c->owners[i], &(struct informer_handlers){.changed = on_owner, .userdata = c});
    }
    *ret = c;
    return 0;
}

const struct controller_ops disruption_controller = {COMPONENT, controller_start, controller_free};
