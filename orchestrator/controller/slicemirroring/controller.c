/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/slicemirroring/controller.h"

#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/servicestate.h"
#include "orchestrator/controller/slicemirroring/decide.h"
#include "orchestrator/controller/writes.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define COMPONENT        "endpointslice-mirroring-controller"
#define CONCURRENT_SYNCS 5
/* Informer index: "ns/service" of the slices that are ours. */
#define INDEX_SERVICE "service of " SLICEMIRRORING_MANAGER

struct controller {
    const struct resource *slice_resource;
    struct informer *services, *endpoints, *slices;
    struct task_queue tasks;
    struct write_tracker *tracker;
};

struct sync {
    struct task task;
    char *ns;
    struct slice_plan plan;
    struct slice_writes writes;
};

static void service_of_slice(const struct json *slice, char ***keys) {
    slice_service_key(slice, SLICEMIRRORING_MANAGER, keys);
}

static void decide(const struct controller *c, const char *key, struct slice_plan *plan) {
    const struct json *endpoints = informer_get_key(c->endpoints, key);
    bool wanted = slicemirroring_wanted(endpoints, informer_get_key(c->services, key));
    size_t n;
    _cleanup_free_ struct json **slices = informer_list(c->slices, INDEX_SERVICE, key, &n);
    _cleanup_json_ struct json *labels = slicemirroring_labels(endpoints), *owner = NULL, *annotations = NULL,
                               *groups = NULL;
    struct slice_set set = {.labels = labels, .max = SLICEMIRRORING_MAX};
    if (wanted) {
        owner = owner_reference(endpoints);
        annotations = slicemirroring_annotations(endpoints);
        groups = slicemirroring_groups(endpoints);
        set.ns = meta_namespace(endpoints);
        set.prefix = meta_name(endpoints);
        set.owner = owner;
        set.annotations = annotations;
        set.trigger = json_str(json_get(json_path(endpoints, "metadata", "annotations"), ANNOTATION_TRIGGER));
    }
    slices_decide(&set, groups, slices, n, plan); /* without groups: all go */
}

static void sync_begin(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct controller *c = t->tasks->userdata;
    if (!informer_synced(c->services) || !informer_synced(c->endpoints) || !informer_synced(c->slices)) {
        task_again_after(t, 50 * USEC_PER_MSEC);
        task_done(t, 0);
        return;
    }
    if (write_tracker_waits(c->tracker, t)) {
        task_done(t, 0);
        return;
    }
    decide(c, t->key, &s->plan);
    char *slash = strchr(t->key, '/');
    s->ns = slash ? xstrndup(t->key, (size_t) (slash - t->key)) : xstrdup("");
    s->writes =
        (struct slice_writes){.tracker = c->tracker, .resource = c->slice_resource, .ns = s->ns, .done = task_done};
    slices_write(t, &s->writes, &s->plan);
}

static void sync_finish(struct task *t) {
    struct sync *s = (struct sync *) t;
    slice_plan_finish(&s->plan);
    free(s->ns);
}

/* --- changes become keys --- */

/* A Service or Endpoints: of one name. */
static void on_object(void *userdata, struct json *old, struct json *object) {
    struct controller *c = userdata;
    task_queue_add_object(&c->tasks, object ? object : old);
}

static void on_slice(void *userdata, struct json *old, struct json *slice) {
    struct controller *c = userdata;
    write_tracker_slice_changed(c->tracker, &c->tasks, SLICEMIRRORING_MANAGER, old, slice);
}

/* --- life --- */

static void controller_free(void *p) {
    struct controller *c = p;
    informer_remove_handlers(c->services, c);
    informer_remove_handlers(c->endpoints, c);
    informer_remove_handlers(c->slices, c);
    task_queue_finish(&c->tasks);
    write_tracker_free(c->tracker);
    free(c);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);
    c->slice_resource = resource_by_plural("discovery.k8s.io", "v1", "endpointslices");
    c->services = informer_set_get(env->informers, resource_by_plural("", "v1", "services"));
    c->endpoints = informer_set_get(env->informers, resource_by_plural("", "v1", "endpoints"));
    c->slices = informer_set_get(env->informers, c->slice_resource);
    c->tracker = write_tracker_new(c->slices);
    task_queue_init(&c->tasks, env->loop, env->client, CONCURRENT_SYNCS, sizeof(struct sync), sync_begin, sync_finish,
                    c);
    informer_add_index(c->slices, INDEX_SERVICE, service_of_slice);
    informer_add_handlers(c->services, &(struct informer_handlers){.changed = on_object, .userdata = c});
    informer_add_handlers(c->endpoints, &(struct informer_handlers){.changed = on_object, .userdata = c});
    informer_add_handlers(c->slices, &(struct informer_handlers){.changed = on_slice, .userdata = c});
    *ret = c;
    return 0;
}

const struct controller_ops slicemirroring_controller = {COMPONENT, controller_start, controller_free};
