/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/replicaset/controller.h"

#include <string.h>

#include "orchestrator/client/events.h"
#include "orchestrator/client/expectations.h"
#include "orchestrator/controller/claim.h"
#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/podstate.h"
#include "orchestrator/controller/replicaset/decide.h"
#include "orchestrator/controller/task.h"
#include "orchestrator/object/quota/usage.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define CONCURRENT_SYNCS 5
#define SLOW_START_FIRST 1 /* pods in the first batch; doubles: a template that fails fails once, not 500 times */

/* What differs between the kinds. */
struct replicator {
    const char *name, *group, *plural, *kind;
    int (*selector)(const struct json *spec_selector, struct selector **ret, struct error *err);
};

struct controller {
    const struct replicator *kind;
    const struct resource *resource, *pod_resource;
    struct informer *owners, *pods, *quotas;
    struct expectations *expectations;
    struct event_recorder *events;
    struct task_queue tasks;
};

struct sync {
    struct task task;
    struct claim claim;
    struct json *owner; /* the claim's */
    struct json *pods;  /* array of the active pods the status speaks of */
    struct replicaset_plan plan;
    size_t started, batch; /* creations begun; size of the next batch */
    bool batch_failed;
    char *failure; /* the first one */
    int result;
};

static struct controller *controller_of(struct task *t) {
    return t->tasks->userdata;
}

/* --- the sync, in the order of its stages --- */

static void manage(struct task *t);
static void create_batch(struct task *t);
static void write_status(struct task *t);

static struct json **pods_as_array(const struct json *list, size_t *ret_n) {
    size_t n = json_len(list);
    struct json **out = xcalloc(n + 1, sizeof(*out));
    for (size_t i = 0; i < n; i++)
        out[i] = json_at(list, i);
    *ret_n = n;
    return out;
}

static void on_claimed(struct task *t, int result) {
    struct sync *s = (struct sync *) t;
    if (result < 0) { /* counting with wrong claims would create or delete too much */
        task_done(t, result == -ENOENT ? 0 : result);
        return;
    }
    s->pods = json_array();
    for (size_t i = 0; i < json_len(s->claim.mine); i++)
        if (pod_is_active(json_at(s->claim.mine, i)))
            json_append(&s->pods, json_ref(json_at(s->claim.mine, i)));
    manage(t);
}

static void note_failure(struct sync *s, const struct client_result *result) {
    s->result = client_errno(result);
    if (!s->failure)
        s->failure = xstrdup(result->message && *result->message ? result->message : "no answer");
}

static void on_created(struct task *t, const struct client_result *result, void *arg) {
    struct sync *s = (struct sync *) t;
    struct controller *c = controller_of(t);
    if (client_ok(result)) {
        event_record(c->events, s->owner, EVENT_NORMAL, "SuccessfulCreate", "Created pod: %s",
                     meta_name(result->object));
    } else {
        expectations_creation_observed(c->expectations, t->key); /* it will never come */
        s->batch_failed = true;
        if (!task_namespace_is_ending(result)) {
            note_failure(s, result);
            event_record(c->events, s->owner, EVENT_WARNING, "FailedCreate", "Error creating: %s", s->failure);
        }
    }
    if (t->pending > 0)
        return;
    if (s->batch_failed || s->started == s->plan.create) {
        for (; s->started < s->plan.create; s->started++)
            expectations_creation_observed(c->expectations, t->key);
        write_status(t);
    } else {
        create_batch(t);
    }
}

static void create_batch(struct task *t) {
    struct sync *s = (struct sync *) t;
    _cleanup_json_ struct json *pod = replicaset_pod(s->owner);
    struct client_request r = {
        .verb = CLIENT_CREATE,
        .resource = controller_of(t)->pod_resource,
        .ns = meta_namespace(s->owner),
        .body = pod,
    };
    size_t n = s->plan.create - s->started < s->batch ? s->plan.create - s->started : s->batch;
    s->batch *= 2;
    s->started += n;
    for (size_t i = 0; i < n; i++)
        task_call(t, &r, on_created, NULL);
}

static void on_removed(struct task *t, const struct client_result *result, void *arg) {
    struct sync *s = (struct sync *) t;
    struct controller *c = controller_of(t);
    struct json *pod = arg; /* held by s->pods */
    int r = client_errno(result);
    if (r == 0) {
        event_record(c->events, s->owner, EVENT_NORMAL, "SuccessfulDelete", "Deleted pod: %s", meta_name(pod));
    } else {
        expectations_deletion_observed(c->expectations, t->key, meta_uid(pod));
        if (r != -ENOENT) {
            note_failure(s, result);
            event_record(c->events, s->owner, EVENT_WARNING, "FailedDelete", "Error deleting: %s", s->failure);
        }
    }
    if (t->pending == 0)
        write_status(t);
}

static void remove_pods(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct controller *c = controller_of(t);
    _cleanup_free_ const char **uids = xcalloc(s->plan.n_remove, sizeof(*uids));
    for (size_t i = 0; i < s->plan.n_remove; i++)
        uids[i] = meta_uid(s->plan.remove[i]);
    expectations_expect_deletions(c->expectations, t->key, uids, s->plan.n_remove, now_monotonic_usec());
    for (size_t i = 0; i < s->plan.n_remove; i++)
        task_delete(t, c->pod_resource, s->plan.remove[i], NULL, on_removed, s->plan.remove[i]);
}

/* Active pods of every replicator with the owner's controller (its Deployment), or of the owner alone. */
static struct json **related_pods(struct controller *c, const struct json *owner, size_t *ret_n) {
    const char *deployment = owner_controller_uid(owner);
    if (!deployment)
        return informer_list(c->pods, INDEX_CONTROLLER, meta_uid(owner), ret_n);
    size_t n_siblings, n = 0;
    struct json **all = NULL;
    _cleanup_free_ struct json **siblings = informer_list(c->owners, INDEX_CONTROLLER, deployment, &n_siblings);
    for (size_t i = 0; i < n_siblings; i++) {
        size_t k;
        _cleanup_free_ struct json **pods = informer_list(c->pods, INDEX_CONTROLLER, meta_uid(siblings[i]), &k);
        all = xreallocarray(all, n + k + 1, sizeof(*all));
        memcpy(all + n, pods, k * sizeof(*all));
        n += k;
    }
    *ret_n = n;
    return all;
}

static void manage(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct controller *c = controller_of(t);
    if (meta_is_deleting(s->owner) || !expectations_satisfied(c->expectations, t->key, now_monotonic_usec())) {
        write_status(t);
        return;
    }
    size_t n, n_related;
    _cleanup_free_ struct json **pods = pods_as_array(s->pods, &n);
    _cleanup_free_ struct json **related = related_pods(c, s->owner, &n_related);
    replicaset_decide(s->owner, pods, n, related, n_related, now_realtime_usec(), &s->plan);
    if (s->plan.create > 0) {
        s->batch = SLOW_START_FIRST;
        expectations_expect_creations(c->expectations, t->key, (unsigned) s->plan.create, now_monotonic_usec());
        create_batch(t);
    } else if (s->plan.n_remove > 0) {
        remove_pods(t);
    } else {
        write_status(t);
    }
}

static void on_status(struct task *t, const struct client_result *result, void *arg) {
    struct sync *s = (struct sync *) t;
    int r = client_errno(result);
    task_done(t, s->result < 0 ? s->result : r == -ENOENT ? 0 : r);
}

static void write_status(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct controller *c = controller_of(t);
    size_t n;
    uint64_t wait;
    _cleanup_free_ struct json **pods = pods_as_array(s->pods, &n);
    struct json *status = replicaset_status(s->owner, pods, n, s->failure, now_realtime_usec(), &wait);
    if (wait != UINT64_MAX)
        task_again_after(t, wait);
    if (json_equal(status, json_get(s->owner, "status"))) {
        json_unref(status);
        task_done(t, s->result);
        return;
    }
    _cleanup_json_ struct json *body = json_ref(s->owner);
    json_set(&body, "status", status);
    struct client_request r = {
        .verb = CLIENT_UPDATE,
        .resource = c->resource,
        .ns = meta_namespace(s->owner),
        .name = meta_name(s->owner),
        .subresource = "status",
        .body = body,
    };
    task_call(t, &r, on_status, NULL);
}

static void sync_begin(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct controller *c = controller_of(t);
    if (!informer_synced(c->pods) || !informer_synced(c->owners)) {
        task_again_after(t, 50 * USEC_PER_MSEC);
        task_done(t, 0);
        return;
    }
    struct json *owner = informer_get_key(c->owners, t->key);
    if (!owner) {
        expectations_forget(c->expectations, t->key);
        task_done(t, 0);
        return;
    }
    s->claim = (struct claim){
        .owner_resource = c->resource,
        .child_resource = c->pod_resource,
        .owner = json_ref(owner),
        .adoptable = pod_is_active,
        .done = on_claimed,
    };
    s->owner = s->claim.owner;
    if (c->kind->selector(json_path(owner, "spec", "selector"), &s->claim.selector, NULL) < 0) {
        task_done(t, 0); /* an invalid selector never gets better by trying */
        return;
    }
    size_t n;
    _cleanup_free_ struct json **all = owner_candidates(c->pods, owner, &n);
    claim_begin(t, &s->claim, all, n);
}

static void sync_finish(struct task *t) {
    struct sync *s = (struct sync *) t;
    claim_finish(&s->claim);
    json_unref(s->pods);
    replicaset_plan_finish(&s->plan);
    free(s->failure);
}

/* --- changes become keys --- */

/* The owner a pod names, if it is of our kind and still the same object. */
static struct json *owner_of(struct controller *c, const struct json *pod) {
    const struct json *ref = owner_controller(pod);
    if (!ref || strcmp(json_str_or(json_get(ref, "kind"), ""), c->kind->kind) != 0)
        return NULL;
    struct json *owner = informer_get(c->owners, meta_namespace(pod), json_str_or(json_get(ref, "name"), ""));
    return owner && owner_is_controller(owner, pod) ? owner : NULL;
}

static char *owner_key(const struct json *owner) {
    return xasprintf("%s/%s", meta_namespace(owner), meta_name(owner));
}

static void enqueue_matching(struct controller *c, const struct json *orphan) {
    size_t n;
    _cleanup_free_ struct json **owners = informer_list(c->owners, INDEX_NAMESPACE, meta_namespace(orphan), &n);
    for (size_t i = 0; i < n; i++) {
        _cleanup_(selector_freep) struct selector *selector = NULL;
        if (c->kind->selector(json_path(owners[i], "spec", "selector"), &selector, NULL) == 0 &&
            selector_matches(selector, json_path(orphan, "metadata", "labels")))
            task_queue_add_object(&c->tasks, owners[i]);
    }
}

static void pod_going(struct controller *c, const struct json *pod) {
    struct json *owner = owner_of(c, pod);
    if (!owner)
        return;
    _cleanup_free_ char *key = owner_key(owner);
    expectations_deletion_observed(c->expectations, key, meta_uid(pod));
    workqueue_add(c->tasks.queue, key);
}

static void on_pod(void *userdata, struct json *old, struct json *pod) {
    struct controller *c = userdata;
    if (!pod || meta_is_deleting(pod)) {
        pod_going(c, pod ? pod : old);
        return;
    }
    struct json *owner = owner_of(c, pod);
    if (old) {
        struct json *before = owner_of(c, old);
        if (before && before != owner)
            task_queue_add_object(&c->tasks, before);
    }
    if (owner) {
        _cleanup_free_ char *key = owner_key(owner);
        if (!old)
            expectations_creation_observed(c->expectations, key);
        workqueue_add(c->tasks.queue, key);
    } else if (!owner_controller(pod) &&
               (!old || owner_controller(old) ||
                !json_equal(json_path(old, "metadata", "labels"), json_path(pod, "metadata", "labels")))) {
        enqueue_matching(c, pod);
    }
}

static void on_owner(void *userdata, struct json *old, struct json *owner) {
    struct controller *c = userdata;
    if (!owner) {
        _cleanup_free_ char *key = owner_key(old);
        expectations_forget(c->expectations, key);
    }
    task_queue_add_object(&c->tasks, owner ? owner : old);
}

/* Those a quota may have held back do not wait for the end of their back-off when it gives way. */
static void on_quota(void *userdata, struct json *old, struct json *quota) {
    struct controller *c = userdata;
    size_t n;
    if (!old || !quota_has_more_room(old, quota))
        return;
    _cleanup_free_ struct json **owners = informer_list(c->owners, INDEX_NAMESPACE, meta_namespace(old), &n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(condition_status(owners[i], "ReplicaFailure"), "True") == 0)
            task_queue_add_object(&c->tasks, owners[i]);
}

/* --- life --- */

static void controller_free(void *p) {
    struct controller *c = p;
    informer_remove_handlers(c->pods, c);
    informer_remove_handlers(c->owners, c);
    informer_remove_handlers(c->quotas, c);
    task_queue_finish(&c->tasks);
    event_recorder_free(c->events);
    expectations_free(c->expectations);
    free(c);
}

static int controller_start(const struct controller_env *env, const struct replicator *kind, void **ret) {
    struct controller *c = xnew0(struct controller);
    c->kind = kind;
    c->resource = resource_by_plural(kind->group, "v1", kind->plural);
    c->pod_resource = resource_by_plural("", "v1", "pods");
    c->owners = informer_set_get(env->informers, c->resource);
    c->pods = informer_set_get(env->informers, c->pod_resource);
    c->quotas = informer_set_get(env->informers, resource_by_plural("", "v1", "resourcequotas"));
    c->expectations = expectations_new();
    c->events = event_recorder_new(env->loop, env->client, kind->name);
    task_queue_init(&c->tasks, env->loop, env->client, CONCURRENT_SYNCS, sizeof(struct sync), sync_begin, sync_finish,
                    c);
    informer_add_index(c->owners, INDEX_NAMESPACE, index_by_namespace);
    informer_add_index(c->owners, INDEX_CONTROLLER, index_by_controller);
    informer_add_index(c->pods, INDEX_CONTROLLER, index_by_controller);
    informer_add_handlers(c->owners, &(struct informer_handlers){.changed = on_owner, .userdata = c});
    informer_add_handlers(c->pods, &(struct informer_handlers){.changed = on_pod, .userdata = c});
    informer_add_handlers(c->quotas, &(struct informer_handlers){.changed = on_quota, .userdata = c});
    *ret = c;
    return 0;
}

static const struct replicator replicasets = {
    "replicaset-controller", "apps", "replicasets", "ReplicaSet", selector_from_object,
};
static const struct replicator replication_controllers = {
    "replication-controller", "", "replicationcontrollers", "ReplicationController", selector_from_map,
};

static int start_replicasets(const struct controller_env *env, void **ret, struct error *err) {
    return controller_start(env, &replicasets, ret);
}

static int start_replication_controllers(const struct controller_env *env, void **ret, struct error *err) {
    return controller_start(env, &replication_controllers, ret);
}

const struct controller_ops replicaset_controller = {"replicaset-controller", start_replicasets, controller_free};
const struct controller_ops replication_controller = {
    "replication-controller",
    start_replication_controllers,
    controller_free,
};
