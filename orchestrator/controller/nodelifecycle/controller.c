/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/nodelifecycle/controller.h"

#include <string.h>

#include "orchestrator/client/events.h"
#include "orchestrator/controller/nodelifecycle/decide.h"
#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/podstate.h"
#include "orchestrator/controller/task.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"

#define COMPONENT        "node-controller"
#define LEASE_NAMESPACE  "kube-node-lease"
#define INDEX_NODE       "node"
#define CONCURRENT_SYNCS 8

/* When a node was last heard of. */
struct pulse {
    uint64_t heard;       /* monotonic */
    uint64_t check_at;    /* when its silence is to be judged; 0 when no judgement is due */
    char *renewed, *beat; /* what it said then: the lease's renewTime, Ready's lastHeartbeatTime */
};

/* Since when a pod has had to go, for the taints of its node. */
struct eviction {
    uint64_t since;
    char *uid;
};

struct controller {
    const struct resource *node_resource, *pod_resource;
    struct informer *nodes, *leases, *pods;
    struct event_recorder *events;
    struct hashmap *pulses;    /* by node name */
    struct hashmap *evictions; /* by pod key */
    uint64_t grace, eviction_timeout;
    struct task_queue node_tasks, pod_tasks;
};

struct sync {
    struct task task;
    struct json *object; /* node or pod */
    int result;
};

static struct controller *controller_of(struct task *t) {
    return t->tasks->userdata;
}

static void sync_finish(struct task *t) {
    json_unref(((struct sync *) t)->object);
}

/* --- heartbeats --- */

static void pulse_free(void *p) {
    struct pulse *pulse = p;
    free(pulse->renewed);
    free(pulse->beat);
    free(pulse);
}

static void eviction_free(void *p) {
    struct eviction *e = p;
    free(e->uid);
    free(e);
}

static bool replace_if_new(char **slot, const char *text) {
    if (!text || (*slot && strcmp(*slot, text) == 0))
        return false;
    free(*slot);
    *slot = xstrdup(text);
    return true;
}

static struct pulse *pulse_get(struct controller *c, const char *node) {
    struct pulse *p = hashmap_get(c->pulses, node);
    if (!p) {
        p = xnew0(struct pulse);
        p->heard = now_monotonic_usec();
        hashmap_put(c->pulses, node, p);
    }
    return p;
}

/* --- nodes --- */

static void on_node_write(struct task *t, const struct client_result *result, void *arg) {
    int r = client_errno(result);
    task_done(t, r == -ENOENT ? 0 : r);
}

static void sync_taints(struct task *t) {
    struct sync *s = (struct sync *) t;
    _cleanup_json_ struct json *wanted = node_taints_wanted(s->object, now_realtime_usec());
    const struct json *have = json_path(s->object, "spec", "taints");
    if (json_equal(wanted, have) || (json_is_null(wanted) && json_len(have) == 0)) {
        task_done(t, s->result);
        return;
    }
    _cleanup_json_ struct json *patch = json_object();
    json_set_path(&patch, json_ref(json_path(s->object, "metadata", "resourceVersion")), "metadata", "resourceVersion");
    json_set_path(&patch, json_ref(wanted), "spec", "taints");
    struct client_request r = {
        .verb = CLIENT_PATCH,
        .resource = controller_of(t)->node_resource,
        .name = meta_name(s->object),
        .body = patch,
        .patch_type = PATCH_MERGE,
    };
    task_call(t, &r, on_node_write, NULL);
}

static void on_node_status(struct task *t, const struct client_result *result, void *arg) {
    struct sync *s = (struct sync *) t;
    if (!client_ok(result)) {
        on_node_write(t, result, arg);
        return;
    }
    json_unref(s->object);
    s->object = json_ref(result->object);
    event_record(controller_of(t)->events, s->object, EVENT_NORMAL, "NodeNotReady",
                 "Node %s status is now: NodeNotReady", meta_name(s->object));
    sync_taints(t);
}

static void on_pod_marked(struct task *t, const struct client_result *result, void *arg) {
    struct sync *s = (struct sync *) t;
    int r = client_errno(result);
    if (r < 0 && r != -ENOENT)
        s->result = r;
    if (t->pending == 0)
        sync_taints(t);
}

/* Nobody on a silent node can say that its pods are well: they must not get traffic or count as available. */
static void mark_pods(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct controller *c = controller_of(t);
    size_t n;
    _cleanup_free_ struct json **pods = informer_list(c->pods, INDEX_NODE, meta_name(s->object), &n);
    for (size_t i = 0; i < n; i++) {
        struct json *status = pod_status_not_ready(pods[i], now_realtime_usec());
        if (!status)
            continue;
        _cleanup_json_ struct json *body = json_ref(pods[i]);
        json_set(&body, "status", status);
        struct client_request r = {
            .verb = CLIENT_UPDATE,
            .resource = c->pod_resource,
            .ns = meta_namespace(pods[i]),
            .name = meta_name(pods[i]),
            .subresource = "status",
            .body = body,
        };
        task_call(t, &r, on_pod_marked, NULL);
    }
    if (t->pending == 0)
        sync_taints(t);
}

static void sync_overdue(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct json *status = node_status_overdue(s->object, now_realtime_usec());
    if (json_equal(status, json_get(s->object, "status"))) {
        json_unref(status);
        mark_pods(t);
        return;
    }
    _cleanup_json_ struct json *body = json_ref(s->object);
    json_set(&body, "status", status);
    struct client_request r = {
        .verb = CLIENT_UPDATE,
        .resource = controller_of(t)->node_resource,
        .name = meta_name(s->object),
        .subresource = "status",
        .body = body,
    };
    /* The pods are marked when the change comes back as an event. */
    task_call(t, &r, on_node_status, NULL);
}

static bool all_synced(const struct controller *c) {
    return informer_synced(c->nodes) && informer_synced(c->pods) && informer_synced(c->leases);
}

/* Being much too late ourselves (a stalled machine, a stopped process) says nothing about the node: its heartbeats may
 * be waiting behind us. It gets some more time, once. */
static bool we_were_late(struct controller *c, struct pulse *p, uint64_t now) {
    bool late = p->check_at > 0 && now > p->check_at + c->grace / 4;
    if (late)
        p->heard = now - c->grace + c->grace / 4;
    return late;
}

static void sync_node(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct controller *c = controller_of(t);
    const struct json *node = informer_get_key(c->nodes, t->key);
    if (!all_synced(c) || !node) {
        if (!all_synced(c))
            task_again_after(t, 50 * USEC_PER_MSEC);
        task_done(t, 0);
        return;
    }
    s->object = json_ref(node);
    struct pulse *p = pulse_get(c, meta_name(node));
    uint64_t now = now_monotonic_usec();
    if (now - p->heard < c->grace || we_were_late(c, p, now)) {
        p->check_at = p->heard + c->grace + USEC_PER_MSEC;
        task_again_after(t, p->check_at - now);
        sync_taints(t);
    } else {
        p->check_at = 0;
        sync_overdue(t);
    }
}

/* --- evictions --- */

static void on_evicted(struct task *t, const struct client_result *result, void *arg) {
    int r = client_errno(result);
    task_done(t, r == -ENOENT ? 0 : r);
}

static void evict(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct controller *c = controller_of(t);
    event_record(c->events, s->object, EVENT_NORMAL, "TaintManagerEviction", "Marking for deletion Pod %s", t->key);
    task_delete(t, c->pod_resource, s->object, NULL, on_evicted, NULL);
}

/* Since when the pod has had to go: now, if it is the first time we find so. */
static uint64_t eviction_since(struct controller *c, const char *key, const char *uid) {
    struct eviction *e = hashmap_get(c->evictions, key);
    if (!e || strcmp(e->uid, uid) != 0) {
        e = xnew0(struct eviction);
        e->since = now_monotonic_usec();
        e->uid = xstrdup(uid);
        hashmap_put(c->evictions, key, e);
    }
    return e->since;
}

static void sync_pod(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct controller *c = controller_of(t);
    const struct json *pod = informer_get_key(c->pods, t->key);
    const struct json *node = pod && all_synced(c) ? informer_get(c->nodes, "", pod_node(pod)) : NULL;
    uint64_t delay = EVICT_NEVER;
    if (node && !meta_is_deleting(pod) && !pod_is_finished(pod))
        delay = node_eviction_delay(node, pod, c->eviction_timeout);
    if (delay == EVICT_NEVER) {
        hashmap_remove(c->evictions, t->key);
        task_done(t, 0);
        return;
    }
    uint64_t due = eviction_since(c, t->key, meta_uid(pod)) + delay, now = now_monotonic_usec();
    if (due > now) {
        task_again_after(t, due - now);
        task_done(t, 0);
        return;
    }
    s->object = json_ref(pod);
    evict(t);
}

/* --- changes become keys --- */

static void add_pods_of(struct controller *c, const char *node) {
    size_t n;
    _cleanup_free_ struct json **pods = informer_list(c->pods, INDEX_NODE, node, &n);
    for (size_t i = 0; i < n; i++)
        task_queue_add_object(&c->pod_tasks, pods[i]);
}

static void on_node(void *userdata, struct json *old, struct json *node) {
    struct controller *c = userdata;
    if (!node) {
        hashmap_remove(c->pulses, meta_name(old));
        return;
    }
    /* Only what the agent says counts as a sign of life, and our own "Unknown" leaves the heartbeat time alone. */
    const char *beat = json_str(json_get(condition_find(node, "Ready"), "lastHeartbeatTime"));
    struct pulse *p = pulse_get(c, meta_name(node));
    if (replace_if_new(&p->beat, beat) && strcmp(condition_status(node, "Ready"), "Unknown") != 0)
        p->heard = now_monotonic_usec();
    task_queue_add(&c->node_tasks, "", meta_name(node));
    if (!old || !json_equal(json_path(old, "spec", "taints"), json_path(node, "spec", "taints")))
        add_pods_of(c, meta_name(node));
}

static void on_lease(void *userdata, struct json *old, struct json *lease) {
    struct controller *c = userdata;
    if (!lease || strcmp(meta_namespace(lease), LEASE_NAMESPACE) != 0)
        return;
    struct pulse *p = pulse_get(c, meta_name(lease));
    if (!replace_if_new(&p->renewed, json_str(json_path(lease, "spec", "renewTime"))))
        return;
    /* No sync for each renewal: the timer of the node finds the fresh pulse and moves on. Only a node that was given up
     * may need one, when its agent has yet to write its status. */
    p->heard = now_monotonic_usec();
}

static void on_pod(void *userdata, struct json *old, struct json *pod) {
    struct controller *c = userdata;
    const struct json *node = informer_get(c->nodes, "", pod_node(pod ? pod : old));
    _cleanup_free_ char *key = xasprintf("%s/%s", meta_namespace(pod ? pod : old), meta_name(pod ? pod : old));
    if (!pod || node_has_taint(node, TAINT_UNREACHABLE, "NoExecute") ||
        json_len(json_path(node, "spec", "taints")) > 0 || hashmap_has(c->evictions, key))
        workqueue_add(c->pod_tasks.queue, key);
    if (pod && node && pod_is_ready(pod) && strcmp(condition_status(node, "Ready"), "Unknown") == 0)
        task_queue_add(&c->node_tasks, "", meta_name(node));
}

/* --- life --- */

static void controller_free(void *p) {
    struct controller *c = p;
    informer_remove_handlers(c->nodes, c);
    informer_remove_handlers(c->leases, c);
    informer_remove_handlers(c->pods, c);
    task_queue_finish(&c->node_tasks);
    task_queue_finish(&c->pod_tasks);
    event_recorder_free(c->events);
    hashmap_free(c->pulses);
    hashmap_free(c->evictions);
    free(c);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);
    c->node_resource = resource_by_plural("", "v1", "nodes");
    c->pod_resource = resource_by_plural("", "v1", "pods");
    c->nodes = informer_set_get(env->informers, c->node_resource);
    c->pods = informer_set_get(env->informers, c->pod_resource);
    c->leases = informer_set_get(env->informers, resource_by_plural("coordination.k8s.io", "v1", "leases"));
    c->events = event_recorder_new(env->loop, env->client, COMPONENT);
    c->pulses = hashmap_new(pulse_free);
    c->evictions = hashmap_new(eviction_free);
    c->grace = env->options.node_monitor_grace;
    c->eviction_timeout = env->options.pod_eviction_timeout;
    task_queue_init(&c->node_tasks, env->loop, env->client, CONCURRENT_SYNCS, sizeof(struct sync), sync_node,
                    sync_finish, c);
    task_queue_init(&c->pod_tasks, env->loop, env->client, CONCURRENT_SYNCS, sizeof(struct sync), sync_pod, sync_finish,
                    c);
    /* A key that fails must not be late for the next heartbeat. */
    workqueue_set_max_backoff(c->node_tasks.queue, USEC_PER_SEC);
    informer_add_index(c->pods, INDEX_NODE, pod_node_key);
    informer_add_handlers(c->nodes, &(struct informer_handlers){.changed = on_node, .userdata = c});
    informer_add_handlers(c->leases, &(struct informer_handlers){.changed = on_lease, .userdata = c});
    informer_add_handlers(c->pods, &(struct informer_handlers){.changed = on_pod, .userdata = c});
    *ret = c;
    return 0;
}

const struct controller_ops node_lifecycle_controller = {COMPONENT, controller_start, controller_free};
