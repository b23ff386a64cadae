/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/podgc/controller.h"

#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/podgc/decide.h"
#include "orchestrator/controller/podstate.h"
#include "orchestrator/controller/task.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define COMPONENT        "pod-garbage-collector"
#define CONCURRENT_SYNCS 8
#define INDEX_NODE       "node"
/* A Node our copy lacks may be on its way: waited for before the live check. Upstream's quarantine is 40 s because its
 * copy may be that old; ours comes over the loop. */
#define NODE_GONE_WAIT_USEC (2 * USEC_PER_SEC)
#define SURPLUS_KEY         "surplus/" /* no pod's key: names are not empty */

struct controller {
    const struct resource *node_resource, *pod_resource;
    struct informer *nodes, *pods;
    size_t finished, max;
    struct task_queue tasks;
};

struct sync {
    struct task task;
    struct json *pod;
    int result;
};

static struct controller *controller_of(struct task *t) {
    return t->tasks->userdata;
}

static void on_removed(struct task *t, const struct client_result *result, void *arg) {
    struct sync *s = (struct sync *) t;
    int r = client_errno(result);
    if (r < 0 && r != -ENOENT)
        s->result = r;
    if (t->pending == 0)
        task_done(t, s->result);
}

static void remove_now(struct task *t, const struct json *pod) {
    struct json *options = json_object();
    json_set(&options, "gracePeriodSeconds", json_int(0));
    task_delete(t, controller_of(t)->pod_resource, pod, options, on_removed, NULL);
}

static void on_node(struct task *t, const struct client_result *result, void *arg) {
    struct sync *s = (struct sync *) t;
    if (client_errno(result) == -ENOENT)
        remove_now(t, s->pod);
    else
        task_done(t, client_errno(result));
}

static void verify_node(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct client_request r = {
        .verb = CLIENT_GET,
        .resource = controller_of(t)->node_resource,
        .name = pod_node(s->pod),
    };
    task_call(t, &r, on_node, NULL);
}

static void sync_surplus(struct task *t) {
    struct controller *c = controller_of(t);
    size_t n, n_surplus;
    _cleanup_free_ struct json **pods = informer_list(c->pods, NULL, NULL, &n);
    _cleanup_free_ struct json **surplus = podgc_surplus(pods, n, c->max, &n_surplus);
    for (size_t i = 0; i < n_surplus; i++)
        remove_now(t, surplus[i]);
    if (t->pending == 0)
        task_done(t, 0);
}

static void sync_begin(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct controller *c = controller_of(t);
    if (!informer_synced(c->nodes) || !informer_synced(c->pods)) {
        task_again_after(t, 50 * USEC_PER_MSEC);
        task_done(t, 0);
        return;
    }
    if (strcmp(t->key, SURPLUS_KEY) == 0) {
        sync_surplus(t);
        return;
    }
    const struct json *pod = informer_get_key(c->pods, t->key);
    enum podgc_verdict verdict = pod ? podgc_judge(pod, informer_get(c->nodes, "", pod_node(pod))) : PODGC_KEEP;
    s->pod = json_ref(pod);
    switch (verdict) {
    case PODGC_KEEP:
        task_done(t, 0);
        break;
    case PODGC_NODE_GONE:
        verify_node(t);
        break;
    case PODGC_UNBOUND:
    case PODGC_OUT_OF_SERVICE:
        remove_now(t, pod);
        break;
    }
}

static void sync_finish(struct task *t) {
    json_unref(((struct sync *) t)->pod);
}

/* --- changes become keys --- */

static void judge(struct controller *c, const struct json *pod) {
    enum podgc_verdict verdict = podgc_judge(pod, informer_get(c->nodes, "", pod_node(pod)));
    if (verdict == PODGC_KEEP)
        return;
    _cleanup_free_ char *key = xasprintf("%s/%s", meta_namespace(pod), meta_name(pod));
    workqueue_add_after(c->tasks.queue, key, verdict == PODGC_NODE_GONE ? NODE_GONE_WAIT_USEC : 0);
}

static void on_pod(void *userdata, struct json *old, struct json *pod) {
    struct controller *c = userdata;
    c->finished += pod && pod_is_finished(pod);
    c->finished -= old && pod_is_finished(old);
    if (c->finished > c->max)
        workqueue_add(c->tasks.queue, SURPLUS_KEY);
    if (pod)
        judge(c, pod);
}

static void on_node_changed(void *userdata, struct json *old, struct json *node) {
    struct controller *c = userdata;
    size_t n;
    if (old && node && json_equal(json_path(old, "spec", "taints"), json_path(node, "spec", "taints")))
        return;
    _cleanup_free_ struct json **pods = informer_list(c->pods, INDEX_NODE, meta_name(node ? node : old), &n);
    for (size_t i = 0; i < n; i++)
        judge(c, pods[i]);
}

/* --- life --- */

static void controller_free(void *p) {
    struct controller *c = p;
    informer_remove_handlers(c->nodes, c);
    informer_remove_handlers(c->pods, c);
    task_queue_finish(&c->tasks);
    free(c);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);
    c->node_resource = resource_by_plural("", "v1", "nodes");
    c->pod_resource = resource_by_plural("", "v1", "pods");
    c->nodes = informer_set_get(env->informers, c->node_resource);
    c->pods = informer_set_get(env->informers, c->pod_resource);
    c->max = env->options.terminated_pods_max;
    task_queue_init(&c->tasks, env->loop, env->client, CONCURRENT_SYNCS, sizeof(struct sync), sync_begin, sync_finish,
                    c);
    informer_add_index(c->pods, INDEX_NODE, pod_node_key);
    informer_add_handlers(c->nodes, &(struct informer_handlers){.changed = on_node_changed, .userdata = c});
    informer_add_handlers(c->pods, &(struct informer_handlers){.changed = on_pod, .userdata = c});
    *ret = c;
    return 0;
}

const struct controller_ops podgc_controller = {COMPONENT, controller_start, controller_free};
