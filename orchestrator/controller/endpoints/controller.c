/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/endpoints/controller.h"

#include "orchestrator/controller/endpoints/decide.h"
#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/servicestate.h"
#include "orchestrator/controller/servicewatch.h"
#include "orchestrator/controller/writes.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"

#define COMPONENT        "endpoint-controller"
#define CONCURRENT_SYNCS 5             /* --concurrent-endpoint-syncs */
#define UNHURRIED_MIN    100           /* addresses; up to here every change is written at once */
#define REST_PER_ADDRESS USEC_PER_MSEC /* between writes: a second for the largest */
/* Endpoints that are nothing but a lock (leader election of old clients). */
#define ANNOTATION_LEADER "control-plane.alpha.kubernetes.io/leader"

struct controller {
    const struct resource *resource;
    struct informer *services, *pods, *endpoints;
    struct task_queue tasks;
    struct write_tracker *tracker;
    struct service_triggers *triggers;
    struct hashmap *ownerless; /* keys whose Service went; Endpoints made before their Service are not among them */
    bool leftovers_found;
};

/* An object of a thousand addresses for each pod that comes is much for a kind that only old clients read: the bigger
 * it is, the more changes one write takes along. */
static void rest(struct controller *c, const char *key, const struct json *endpoints) {
    const struct json *subsets = json_get(endpoints, "subsets");
    size_t n = 0;
    for (size_t i = 0; i < json_len(subsets); i++)
        n += json_len(json_get(json_at(subsets, i), "addresses")) +
             json_len(json_get(json_at(subsets, i), "notReadyAddresses"));
    if (n > UNHURRIED_MIN)
        write_tracker_rest(c->tracker, key, n * REST_PER_ADDRESS);
}

static void on_written(struct task *t, const struct client_result *result, void *arg) {
    struct controller *c = t->tasks->userdata;
    int r = client_errno(result);
    if (client_ok(result)) {
        write_tracker_expect(c->tracker, t->key, result->object);
        rest(c, t->key, result->object);
    }
    if (r == -ENOENT || r == -EEXIST) /* what we know is old */
        r = -EAGAIN;
    task_done(t, task_namespace_is_ending(result) ? 0 : r);
}

static void on_removed(struct task *t, const struct client_result *result, void *arg) {
    struct controller *c = t->tasks->userdata;
    int r = client_errno(result);
    if (r == 0 || r == -ENOENT)
        (void) hashmap_remove(c->ownerless, t->key);
    task_done(t, r == -ENOENT ? 0 : r);
}

/* Its Service is gone: so are they, whoever made them. */
static void remove_endpoints(struct task *t, const struct json *endpoints) {
    const struct controller *c = t->tasks->userdata;
    task_delete(t, c->resource, endpoints, NULL, on_removed, NULL);
}

static void keep(struct task *t, const struct json *service, const struct json *endpoints) {
    struct controller *c = t->tasks->userdata;
    size_t n;
    _cleanup_free_ char *trigger = service_triggers_take(c->triggers, t->key);
    _cleanup_free_ struct json **pods = service_pods(c->pods, service, &n);
    _cleanup_json_ struct json *wanted = endpoints_wanted(service, pods, n, trigger, endpoints);
    if (!wanted) {
        task_done(t, 0);
        return;
    }
    task_write(t, c->resource, endpoints, wanted, on_written, NULL);
}

/* Services that went while no controller ran: looked for once. */
static void find_leftovers(struct controller *c) {
    size_t n;
    _cleanup_free_ struct json **all = informer_list(c->endpoints, NULL, NULL, &n);
    c->leftovers_found = true;
    for (size_t i = 0; i < n; i++) {
        if (informer_get(c->services, meta_namespace(all[i]), meta_name(all[i])) ||
            json_get(json_path(all[i], "metadata", "annotations"), ANNOTATION_LEADER))
            continue;
        _cleanup_free_ char *key = xasprintf("%s/%s", meta_namespace(all[i]), meta_name(all[i]));
        hashmap_put(c->ownerless, key, NULL);
        workqueue_add(c->tasks.queue, key);
    }
}

static void nothing_to_do(struct task *t, const struct json *endpoints) {
    struct controller *c = t->tasks->userdata;
    if (!endpoints)
        (void) hashmap_remove(c->ownerless, t->key);
    free(service_triggers_take(c->triggers, t->key));
    task_done(t, 0);
}

static void sync_begin(struct task *t) {
    struct controller *c = t->tasks->userdata;
    if (!informer_synced(c->services) || !informer_synced(c->pods) || !informer_synced(c->endpoints)) {
        task_again_after(t, 50 * USEC_PER_MSEC);
        task_done(t, 0);
        return;
    }
    if (!c->leftovers_found)
        find_leftovers(c);
    const struct json *service = informer_get_key(c->services, t->key);
    const struct json *endpoints = informer_get_key(c->endpoints, t->key);
    if (write_tracker_waits(c->tracker, t))
        task_done(t, 0);
    else if (!service && endpoints && hashmap_has(c->ownerless, t->key))
        remove_endpoints(t, endpoints);
    else if (!service || meta_is_deleting(service) || !service_has_endpoints(service))
        nothing_to_do(t, endpoints);
    else
        keep(t, service, endpoints);
}

/* --- changes become keys --- */

static void on_service(void *userdata, struct json *old, struct json *service) {
    struct controller *c = userdata;
    const struct json *any = service ? service : old;
    _cleanup_free_ char *key = xasprintf("%s/%s", meta_namespace(any), meta_name(any));
    if (!old)
        service_triggers_note(c->triggers, key, meta_created_usec(service));
    if (service) {
        (void) hashmap_remove(c->ownerless, key);
    } else {
        free(service_triggers_take(c->triggers, key));
        hashmap_put(c->ownerless, key, NULL);
    }
    workqueue_add(c->tasks.queue, key);
}

static void on_pod(void *userdata, struct json *old, struct json *pod) {
    struct controller *c = userdata;
    services_of_pod_change(&c->tasks, c->triggers, c->services, old, pod);
}

static void on_endpoints(void *userdata, struct json *old, struct json *endpoints) {
    struct controller *c = userdata;
    const struct json *any = endpoints ? endpoints : old;
    _cleanup_free_ char *key = xasprintf("%s/%s", meta_namespace(any), meta_name(any));
    if (!endpoints && !informer_get_key(c->services, key))
        (void) hashmap_remove(c->ownerless, key);
    if (write_tracker_saw(c->tracker, key, old, endpoints))
        workqueue_add(c->tasks.queue, key);
}

/* --- life --- */

static void controller_free(void *p) {
    struct controller *c = p;
    informer_remove_handlers(c->services, c);
    informer_remove_handlers(c->pods, c);
    informer_remove_handlers(c->endpoints, c);
    task_queue_finish(&c->tasks);
    write_tracker_free(c->tracker);
    service_triggers_free(c->triggers);
    hashmap_free(c->ownerless);
    free(c);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);
    c->resource = resource_by_plural("", "v1", "endpoints");
    c->services = informer_set_get(env->informers, resource_by_plural("", "v1", "services"));
    c->pods = informer_set_get(env->informers, resource_by_plural("", "v1", "pods"));
    c->endpoints = informer_set_get(env->informers, c->resource);
    c->tracker = write_tracker_new(c->endpoints);
    c->triggers = service_triggers_new();
    c->ownerless = hashmap_new(NULL);
    task_queue_init(&c->tasks, env->loop, env->client, CONCURRENT_SYNCS, sizeof(struct task), sync_begin, NULL, c);
    service_indexes_add(c->services, c->pods);
    informer_add_handlers(c->services, &(struct informer_handlers){.changed = on_service, .userdata = c});
    informer_add_handlers(c->pods, &(struct informer_handlers){.changed = on_pod, .userdata = c});
    informer_add_handlers(c->endpoints, &(struct informer_handlers){.changed = on_endpoints, .userdata = c});
    *ret = c;
    return 0;
}

const struct controller_ops endpoints_controller = {COMPONENT, controller_start, controller_free};
