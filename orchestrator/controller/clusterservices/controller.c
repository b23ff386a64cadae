/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/clusterservices/controller.h"

#include <string.h>

#include "orchestrator/controller/clusterservices/decide.h"
#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/task.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define COMPONENT   "cluster-services-controller"
#define BACKOFF_MAX (5 * USEC_PER_SEC) /* nothing in a cluster goes far without them */

struct controller {
    const struct resource *service_resource, *endpoints_resource, *slice_resource;
    struct informer *services, *endpoints, *slices;
    struct task_queue tasks;
    struct controller_options own; /* texts are the registry's */
};

struct sync {
    struct task task;
    int result;
};

static void on_written(struct task *t, const struct client_result *result, void *arg) {
    struct sync *s = (struct sync *) t;
    int r = client_errno(result);
    if (r < 0 && r != -EEXIST && !task_namespace_is_ending(result))
        s->result = r == -ENOENT ? -EAGAIN : r;
    if (t->pending == 0)
        task_done(t, s->result);
}

static void write_object(struct task *t, const struct resource *resource, const struct json *have, struct json *take) {
    _cleanup_json_ struct json *object = take;
    if (!object)
        return;
    task_write(t, resource, have, object, on_written, NULL);
}

/* Its going brings the key back. */
static void remove_service(struct task *t, const struct json *have) {
    const struct controller *c = t->tasks->userdata;
    task_delete(t, c->service_resource, have, NULL, on_written, NULL);
}

static void keep_api(struct task *t, const struct controller *c) {
    const char *ip = c->own.api_service_address, *address = c->own.api_address;
    int port = c->own.api_port;
    const struct json *service = informer_get(c->services, API_NAMESPACE, API_SERVICE);
    const struct json *endpoints = informer_get(c->endpoints, API_NAMESPACE, API_SERVICE);
    const struct json *slice = informer_get(c->slices, API_NAMESPACE, API_SERVICE);
    if (service_is_misplaced(service, ip))
        remove_service(t, service);
    else
        write_object(t, c->service_resource, service, api_service_wanted(ip, port, service));
    if (!address || strncmp(address, "127.", 4) == 0 || strchr(address, ':'))
        return; /* no address that a pod could use; families other than IPv4 have no service range yet */
    write_object(t, c->endpoints_resource, endpoints, api_endpoints_wanted(address, port, endpoints));
    write_object(t, c->slice_resource, slice, api_slice_wanted(address, port, slice));
}

static void keep_dns(struct task *t, const struct controller *c) {
    const struct json *service = informer_get(c->services, DNS_NAMESPACE, DNS_SERVICE);
    if (service_is_misplaced(service, c->own.dns_service_address))
        remove_service(t, service);
    else
        write_object(t, c->service_resource, service, dns_service_wanted(c->own.dns_service_address, service));
}

static void sync_begin(struct task *t) {
    const struct controller *c = t->tasks->userdata;
    if (!informer_synced(c->services) || !informer_synced(c->endpoints) || !informer_synced(c->slices)) {
        task_again_after(t, 10 * USEC_PER_MSEC);
        task_done(t, 0);
        return;
    }
    if (strcmp(t->key, API_NAMESPACE "/" API_SERVICE) == 0)
        keep_api(t, c);
    else
        keep_dns(t, c);
    if (t->pending == 0)
        task_done(t, 0);
}

static void enqueue_all(struct controller *c) {
    if (c->own.api_service_address && c->own.api_port > 0)
        task_queue_add(&c->tasks, API_NAMESPACE, API_SERVICE);
    if (c->own.dns_service_address)
        task_queue_add(&c->tasks, DNS_NAMESPACE, DNS_SERVICE);
}

static void on_object(void *userdata, struct json *old, struct json *object) {
    const struct json *any = object ? object : old;
    const char *ns = meta_namespace(any), *name = meta_name(any);
    if ((strcmp(ns, API_NAMESPACE) == 0 && strcmp(name, API_SERVICE) == 0) ||
        (strcmp(ns, DNS_NAMESPACE) == 0 && strcmp(name, DNS_SERVICE) == 0))
        enqueue_all(userdata);
}

static void controller_free(void *p) {
    struct controller *c = p;
    informer_remove_handlers(c->services, c);
    informer_remove_handlers(c->endpoints, c);
    informer_remove_handlers(c->slices, c);
    task_queue_finish(&c->tasks);
    free(c);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);
    const struct informer_handlers handlers = {.changed = on_object, .userdata = c};
    c->own = env->options;
    c->service_resource = resource_by_plural("", "v1", "services");
    c->endpoints_resource = resource_by_plural("", "v1", "endpoints");
    c->slice_resource = resource_by_plural("discovery.k8s.io", "v1", "endpointslices");
    c->services = informer_set_get(env->informers, c->service_resource);
    c->endpoints = informer_set_get(env->informers, c->endpoints_resource);
    c->slices = informer_set_get(env->informers, c->slice_resource);
    task_queue_init(&c->tasks, env->loop, env->client, 1, sizeof(struct sync), sync_begin, NULL, c);
    workqueue_set_max_backoff(c->tasks.queue, BACKOFF_MAX);
    informer_add_handlers(c->services, &handlers);
    informer_add_handlers(c->endpoints, &handlers);
    informer_add_handlers(c->slices, &handlers);
    enqueue_all(c);
    *ret = c;
    return 0;
}

const struct controller_ops cluster_services_controller = {COMPONENT, controller_start, controller_free};
