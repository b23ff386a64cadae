/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/endpointslice/controller.h"

#include <string.h>

#include "orchestrator/controller/endpointslice/decide.h"
#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/servicestate.h"
#include "orchestrator/controller/servicewatch.h"
#include "orchestrator/controller/writes.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"

#define COMPONENT         "endpoint-slice-controller"
#define CONCURRENT_SYNCS  5   /* --concurrent-service-endpoint-syncs */
#define UNHURRIED_MIN     100 /* endpoints; up to here every change is written at once */
#define REST_PER_ENDPOINT 100 /* microseconds between writes: 0.1 s for a thousand */
/* Informer index: "ns/service" of the slices that are ours. */
#define INDEX_SERVICE "service of " ENDPOINTSLICE_MANAGER

struct controller {
    const struct resource *slice_resource;
    struct informer *services, *pods, *nodes, *slices;
    struct task_queue tasks;
    struct write_tracker *tracker;
    struct service_triggers *triggers;
    struct hashmap *without_node; /* keys with pods on nodes not seen yet */
};

struct sync {
    struct task task;
    size_t n_endpoints;
    struct slice_plan plan;
    struct slice_writes writes;
};

static void service_of_slice(const struct json *slice, char ***keys) {
    slice_service_key(slice, ENDPOINTSLICE_MANAGER, keys);
}

static const struct json *find_node(void *userdata, const char *name) {
    const struct controller *c = userdata;
    return informer_get(c->nodes, "", name);
}

/* The pods' endpoints. NULL for a Service that has none of ours: then what was made while it had goes. */
static struct json *groups_of(struct controller *c, const char *key, const struct json *service) {
    const struct endpointslice_nodes nodes = {find_node, c};
    bool missing = false;
    size_t n;
    struct json *groups = NULL;
    if (service_has_endpoints(service)) {
        _cleanup_free_ struct json **pods = service_pods(c->pods, service, &n);
        groups = endpointslice_groups(service, pods, n, &nodes, &missing);
    }
    if (missing)
        hashmap_put(c->without_node, key, NULL);
    else
        (void) hashmap_remove(c->without_node, key);
    return groups;
}

static void decide(struct controller *c, const char *key, const struct json *service, struct sync *s) {
    _cleanup_json_ struct json *labels = endpointslice_labels(service), *owner = owner_reference(service);
    _cleanup_json_ struct json *groups = groups_of(c, key, service);
    _cleanup_free_ char *trigger = service_triggers_take(c->triggers, key);
    size_t n;
    _cleanup_free_ struct json **slices = informer_list(c->slices, INDEX_SERVICE, key, &n);
    const struct slice_set set = {
        .ns = meta_namespace(service),
        .prefix = meta_name(service),
        .labels = labels,
        .owner = owner,
        .trigger = trigger,
        .max = ENDPOINTSLICE_MAX,
        .placeholder = service_has_endpoints(service),
    };
    for (size_t i = 0; i < json_len(groups); i++)
        s->n_endpoints += json_len(json_get(json_at(groups, i), "endpoints"));
    slices_decide(&set, groups, slices, n, &s->plan);
}

/* While hundreds of pods come or go, deciding anew for each of them would keep the loop busy with nothing else. */
static void on_written(struct task *t, int result) {
    struct sync *s = (struct sync *) t;
    struct controller *c = t->tasks->userdata;
    bool wrote = s->plan.create || s->plan.update || s->plan.remove;
    if (wrote && s->n_endpoints > UNHURRIED_MIN)
        write_tracker_rest(c->tracker, t->key, s->n_endpoints * REST_PER_ENDPOINT);
    task_done(t, result);
}

static void sync_begin(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct controller *c = t->tasks->userdata;
    if (!informer_synced(c->services) || !informer_synced(c->pods) || !informer_synced(c->nodes) ||
        !informer_synced(c->slices)) {
        task_again_after(t, 50 * USEC_PER_MSEC);
        task_done(t, 0);
        return;
    }
    const struct json *service = informer_get_key(c->services, t->key);
    if (!service || meta_is_deleting(service) || write_tracker_waits(c->tracker, t)) {
        task_done(t, 0); /* slices of a Service that is gone are garbage collected */
        return;
    }
    decide(c, t->key, service, s);
    s->writes = (struct slice_writes){
        .tracker = c->tracker, .resource = c->slice_resource, .ns = meta_namespace(service), .done = on_written};
    slices_write(t, &s->writes, &s->plan);
}

static void sync_finish(struct task *t) {
    slice_plan_finish(&((struct sync *) t)->plan);
}

/* --- changes become keys --- */

static void on_service(void *userdata, struct json *old, struct json *service) {
    struct controller *c = userdata;
    const struct json *any = service ? service : old;
    _cleanup_free_ char *key = xasprintf("%s/%s", meta_namespace(any), meta_name(any));
    if (!old)
        service_triggers_note(c->triggers, key, meta_created_usec(service));
    if (!service) {
        free(service_triggers_take(c->triggers, key));
        (void) hashmap_remove(c->without_node, key);
    }
    workqueue_add(c->tasks.queue, key);
}

static void on_pod(void *userdata, struct json *old, struct json *pod) {
    struct controller *c = userdata;
    services_of_pod_change(&c->tasks, c->triggers, c->services, old, pod);
}

static void on_node(void *userdata, struct json *old, struct json *node) {
    struct controller *c = userdata;
    struct hashmap_iter it = {0};
    while (!old && hashmap_next(c->without_node, &it))
        workqueue_add(c->tasks.queue, it.key);
}

static void on_slice(void *userdata, struct json *old, struct json *slice) {
    struct controller *c = userdata;
    write_tracker_slice_changed(c->tracker, &c->tasks, ENDPOINTSLICE_MANAGER, old, slice);
}

/* --- life --- */

static void controller_free(void *p) {
    struct controller *c = p;
    informer_remove_handlers(c->services, c);
    informer_remove_handlers(c->pods, c);
    informer_remove_handlers(c->nodes, c);
    informer_remove_handlers(c->slices, c);
    task_queue_finish(&c->tasks);
    write_tracker_free(c->tracker);
    service_triggers_free(c->triggers);
    hashmap_free(c->without_node);
    free(c);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);
    c->slice_resource = resource_by_plural("discovery.k8s.io", "v1", "endpointslices");
    c->services = informer_set_get(env->informers, resource_by_plural("", "v1", "services"));
    c->pods = informer_set_get(env->informers, resource_by_plural("", "v1", "pods"));
    c->nodes = informer_set_get(env->informers, resource_by_plural("", "v1", "nodes"));
    c->slices = informer_set_get(env->informers, c->slice_resource);
    c->tracker = write_tracker_new(c->slices);
    c->triggers = service_triggers_new();
    c->without_node = hashmap_new(NULL);
    task_queue_init(&c->tasks, env->loop, env->client, CONCURRENT_SYNCS, sizeof(struct sync), sync_begin, sync_finish,
                    c);
    service_indexes_add(c->services, c->pods);
    informer_add_index(c->slices, INDEX_SERVICE, service_of_slice);
    informer_add_handlers(c->services, &(struct informer_handlers){.changed = on_service, .userdata = c});
    informer_add_handlers(c->pods, &(struct informer_handlers){.changed = on_pod, .userdata = c});
    informer_add_handlers(c->nodes, &(struct informer_handlers){.changed = on_node, .userdata = c});
    informer_add_handlers(c->slices, &(struct informer_handlers){.changed = on_slice, .userdata = c});
    *ret = c;
    return 0;
}

const struct controller_ops endpointslice_controller = {COMPONENT, controller_start, controller_free};
