/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/deployment/controller.h"

#include <string.h>

#include "orchestrator/client/events.h"
#include "orchestrator/controller/claim.h"
#include "orchestrator/controller/deployment/decide.h"
#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/podstate.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define CONCURRENT_SYNCS 5
#define COMPONENT        "deployment-controller"

struct controller {
    const struct resource *resource, *set_resource;
    struct informer *deployments, *sets, *pods;
    struct event_recorder *events;
    struct task_queue tasks;
};

struct sync {
    struct task task;
    struct claim claim;
    struct json *d;
    struct deployment_plan plan;
    int result;
};

static struct controller *controller_of(struct task *t) {
    return t->tasks->userdata;
}

/* --- the sync, from its last stage to its first --- */

static void on_removed(struct task *t, const struct client_result *result, void *arg) {
    struct sync *s = (struct sync *) t;
    int r = client_errno(result);
    if (r < 0 && r != -ENOENT)
        s->result = r;
    if (t->pending == 0)
        task_done(t, s->result);
}

static void remove_old(struct task *t) {
    struct sync *s = (struct sync *) t;
    for (size_t i = 0; i < s->plan.n_remove; i++) {
        struct json *options = json_object();
        json_set(&options, "propagationPolicy", json_string("Background"));
        task_delete(t, controller_of(t)->set_resource, s->plan.remove[i], options, on_removed, NULL);
    }
    if (t->pending == 0)
        task_done(t, s->result);
}

static void on_status(struct task *t, const struct client_result *result, void *arg) {
    struct sync *s = (struct sync *) t;
    int r = client_errno(result);
    if (r < 0)
        task_done(t, r == -ENOENT ? 0 : s->result < 0 ? s->result : r);
    else
        remove_old(t);
}

/* The revision goes with the status, as upstream sends it: a write of the Deployment itself would, by the new
 * annotation, raise its generation, and with it what `kubectl rollout status` waits for. */
static void write_status(struct task *t) {
    struct sync *s = (struct sync *) t;
    if (s->plan.wait != UINT64_MAX)
        task_again_after(t, s->plan.wait);
    if (!s->plan.status && !s->plan.revision) {
        remove_old(t);
        return;
    }
    _cleanup_json_ struct json *body = json_ref(s->d);
    if (s->plan.status)
        json_set(&body, "status", json_ref(s->plan.status));
    if (s->plan.revision)
        json_set_path(&body, json_string(s->plan.revision), "metadata", "annotations", ANNOTATION_REVISION);
    struct client_request r = {
        .verb = CLIENT_UPDATE,
        .resource = controller_of(t)->resource,
        .ns = meta_namespace(s->d),
        .name = meta_name(s->d),
        .subresource = "status",
        .body = body,
    };
    task_call(t, &r, on_status, NULL);
}

static void replace_status(struct sync *s, struct json *take_status) {
    json_unref(s->plan.status);
    s->plan.status = take_status;
    free(steal(&s->plan.revision));
}

/* The name is taken: by our own former attempt, which is fine, or by another template of the same hash. */
static void on_namesake(struct task *t, const struct client_result *result, void *arg) {
    struct sync *s = (struct sync *) t;
    if (!client_ok(result)) {
        task_done(t, client_errno(result) == -ENOENT ? -EAGAIN : client_errno(result));
        return;
    }
    bool ours =
        owner_is_controller(s->d, result->object) &&
        deployment_templates_equal(json_path(result->object, "spec", "template"), json_path(s->d, "spec", "template"));
    if (!ours) {
        replace_status(s, deployment_status_create_failed(s->d, NULL, now_realtime_usec()));
        s->result = -EAGAIN;
        write_status(t);
    } else {
        write_status(t);
    }
}

static void record_scaling(struct task *t, const struct json *rs, int64_t from, int64_t to) {
    if (from != to)
        event_record(controller_of(t)->events, ((struct sync *) t)->d, EVENT_NORMAL, "ScalingReplicaSet",
                     "Scaled %s replica set %s from %lld to %lld", from < to ? "up" : "down", meta_name(rs),
                     (long long) from, (long long) to);
}

static void on_created(struct task *t, const struct client_result *result, void *arg) {
    struct sync *s = (struct sync *) t;
    int r = client_errno(result);
    if (r == 0) {
        record_scaling(t, result->object, 0, json_int_or(json_path(result->object, "spec", "replicas"), 0));
        write_status(t);
    } else if (r == -EEXIST) {
        struct client_request get = {
            .verb = CLIENT_GET,
            .resource = controller_of(t)->set_resource,
            .ns = meta_namespace(s->d),
            .name = meta_name(s->plan.create),
        };
        task_call(t, &get, on_namesake, NULL);
    } else if (task_namespace_is_ending(result)) {
        task_done(t, 0);
    } else {
        event_record(controller_of(t)->events, s->d, EVENT_WARNING, "ReplicaSetCreateError",
                     "Failed to create new replica set \"%s\": %s", meta_name(s->plan.create), result->message);
        replace_status(s, deployment_status_create_failed(s->d, result->message, now_realtime_usec()));
        s->result = r;
        write_status(t);
    }
}

static void on_updated(struct task *t, const struct client_result *result, void *arg) {
    struct sync *s = (struct sync *) t;
    const struct rs_update *u = arg;
    int r = client_errno(result);
    if (r == 0)
        record_scaling(t, u->object, u->from, u->to);
    else
        s->result = r == -ENOENT ? -EAGAIN : r;
    if (t->pending > 0)
        return;
    if (s->result < 0)
        task_done(t, s->result); /* decided upon old facts: again */
    else
        write_status(t);
}

static void perform(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct controller *c = controller_of(t);
    struct client_request r = {.resource = c->set_resource, .ns = meta_namespace(s->d)};
    if (s->plan.create) {
        r.verb = CLIENT_CREATE;
        r.body = s->plan.create;
        task_call(t, &r, on_created, NULL);
        return;
    }
    for (size_t i = 0; i < s->plan.n_updates; i++) {
        r.verb = CLIENT_UPDATE;
        r.name = meta_name(s->plan.updates[i].object);
        r.body = s->plan.updates[i].object;
        task_call(t, &r, on_updated, &s->plan.updates[i]);
    }
    if (t->pending == 0)
        write_status(t);
}

static size_t pods_alive(struct controller *c, const struct json *rs) {
    size_t n, alive = 0;
    _cleanup_free_ struct json **pods = informer_list(c->pods, INDEX_CONTROLLER, meta_uid(rs), &n);
    for (size_t i = 0; i < n; i++)
        alive += !pod_is_finished(pods[i]);
    return alive;
}

static void on_claimed(struct task *t, int result) {
    struct sync *s = (struct sync *) t;
    if (result < 0) {
        task_done(t, result == -ENOENT ? 0 : result);
        return;
    }
    size_t n = json_len(s->claim.mine);
    _cleanup_free_ struct observed_rs *sets = xcalloc(n + 1, sizeof(*sets));
    for (size_t i = 0; i < n; i++) {
        sets[i].object = json_at(s->claim.mine, i);
        sets[i].pods_alive = pods_alive(controller_of(t), sets[i].object);
    }
    deployment_decide(s->d, sets, n, now_realtime_usec(), &s->plan);
    perform(t);
}

static bool not_deleting(const struct json *rs) {
    return !meta_is_deleting(rs);
}

static void sync_begin(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct controller *c = controller_of(t);
    if (!informer_synced(c->deployments) || !informer_synced(c->sets) || !informer_synced(c->pods)) {
        task_again_after(t, 50 * USEC_PER_MSEC);
        task_done(t, 0);
        return;
    }
    struct json *d = informer_get_key(c->deployments, t->key);
    if (!d) {
        task_done(t, 0);
        return;
    }
    s->d = json_ref(d);
    s->claim = (struct claim){
        .owner_resource = c->resource,
        .child_resource = c->set_resource,
        .owner = json_ref(d),
        .adoptable = not_deleting,
        .done = on_claimed,
    };
    if (selector_from_object(json_path(d, "spec", "selector"), &s->claim.selector, NULL) < 0 ||
        selector_is_empty(s->claim.selector)) {
        task_done(t, 0); /* upstream, too, refuses a selector that takes everything */
        return;
    }
    size_t n;
    _cleanup_free_ struct json **all = owner_candidates(c->sets, d, &n);
    claim_begin(t, &s->claim, all, n);
}

static void sync_finish(struct task *t) {
    struct sync *s = (struct sync *) t;
    claim_finish(&s->claim);
    json_unref(s->d);
    deployment_plan_finish(&s->plan);
}

/* --- changes become keys --- */

static struct json *deployment_of(struct controller *c, const struct json *rs) {
    const struct json *ref = owner_controller(rs);
    if (!ref || strcmp(json_str_or(json_get(ref, "kind"), ""), "Deployment") != 0)
        return NULL;
    struct json *d = informer_get(c->deployments, meta_namespace(rs), json_str_or(json_get(ref, "name"), ""));
    return d && owner_is_controller(d, rs) ? d : NULL;
}

static void enqueue_matching(struct controller *c, const struct json *orphan) {
    size_t n;
    _cleanup_free_ struct json **all = informer_list(c->deployments, INDEX_NAMESPACE, meta_namespace(orphan), &n);
    for (size_t i = 0; i < n; i++) {
        _cleanup_(selector_freep) struct selector *selector = NULL;
        if (selector_from_object(json_path(all[i], "spec", "selector"), &selector, NULL) == 0 &&
            selector_matches(selector, json_path(orphan, "metadata", "labels")))
            task_queue_add_object(&c->tasks, all[i]);
    }
}

static void on_set(void *userdata, struct json *old, struct json *rs) {
    struct controller *c = userdata;
    struct json *before = old ? deployment_of(c, old) : NULL, *after = rs ? deployment_of(c, rs) : NULL;
    if (before && before != after)
        task_queue_add_object(&c->tasks, before);
    if (after)
        task_queue_add_object(&c->tasks, after);
    else if (rs && !owner_controller(rs) && !meta_is_deleting(rs))
        enqueue_matching(c, rs);
}

static void on_deployment(void *userdata, struct json *old, struct json *d) {
    struct controller *c = userdata;
    task_queue_add_object(&c->tasks, d ? d : old);
}

/* Only Recreate waits for single pods: for the last old one to end. */
static void on_pod(void *userdata, struct json *old, struct json *pod) {
    struct controller *c = userdata;
    if (pod && !pod_is_finished(pod))
        return;
    const struct json *ref = owner_controller(pod ? pod : old);
    if (!ref || strcmp(json_str_or(json_get(ref, "kind"), ""), "ReplicaSet") != 0)
        return;
    const struct json *rs =
        informer_get(c->sets, meta_namespace(pod ? pod : old), json_str_or(json_get(ref, "name"), ""));
    struct json *d = rs ? deployment_of(c, rs) : NULL;
    if (d && strcmp(json_str_or(json_path(d, "spec", "strategy", "type"), ""), "Recreate") == 0)
        task_queue_add_object(&c->tasks, d);
}

/* --- life --- */

static void controller_free(void *p) {
    struct controller *c = p;
    informer_remove_handlers(c->deployments, c);
    informer_remove_handlers(c->sets, c);
    informer_remove_handlers(c->pods, c);
    task_queue_finish(&c->tasks);
    event_recorder_free(c->events);
    free(c);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);
    c->resource = resource_by_plural("apps", "v1", "deployments");
    c->set_resource = resource_by_plural("apps", "v1", "replicasets");
    c->deployments = informer_set_get(env->informers, c->resource);
    c->sets = informer_set_get(env->informers, c->set_resource);
    c->pods = informer_set_get(env->informers, resource_by_plural("", "v1", "pods"));
    c->events = event_recorder_new(env->loop, env->client, COMPONENT);
    task_queue_init(&c->tasks, env->loop, env->client, CONCURRENT_SYNCS, sizeof(struct sync), sync_begin, sync_finish,
                    c);
    informer_add_index(c->deployments, INDEX_NAMESPACE, index_by_namespace);
    informer_add_index(c->sets, INDEX_CONTROLLER, index_by_controller);
    informer_add_index(c->pods, INDEX_CONTROLLER, index_by_controller);
    informer_add_handlers(c->deployments, &(struct informer_handlers){.changed = on_deployment, .userdata = c});
    informer_add_handlers(c->sets, &(struct informer_handlers){.changed = on_set, .userdata = c});
    informer_add_handlers(c->pods, &(struct informer_handlers){.changed = on_pod, .userdata = c});
    *ret = c;
    return 0;
}

const struct controller_ops deployment_controller = {COMPONENT, controller_start, controller_free};
