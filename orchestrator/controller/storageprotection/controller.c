/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/storageprotection/controller.h"

#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/storageprotection/decide.h"
#include "orchestrator/controller/task.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define CONCURRENT_SYNCS 5
#define COMPONENT        "storage-protection-controller"
#define INDEX_CLAIM      "claim"

struct controller {
    const struct resource *claim_resource, *volume_resource, *pod_resource;
    struct informer *claims, *volumes, *pods;
    struct task_queue tasks;
};

struct sync {
    struct task task;
    struct json *changed;
};

static struct controller *controller_of(struct task *t) {
    return t->tasks->userdata;
}

static bool is_volume_key(const char *key) {
    return key[0] == '/';
}

static void on_written(struct task *t, const struct client_result *result, void *arg) {
    int r = client_errno(result);
    task_done(t, r == -ENOENT ? 0 : r);
}

static void write_changed(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct controller *c = controller_of(t);
    const struct resource *r = is_volume_key(t->key) ? c->volume_resource : c->claim_resource;
    task_write(t, r, s->changed, s->changed, on_written, NULL);
}

/* Our copy of the pods may lag behind: before a claim loses its protection, the API is asked. */
static void on_pods(struct task *t, const struct client_result *result, void *arg) {
    const struct json *items = json_get(result->object, "items");
    if (!client_ok(result)) {
        task_done(t, client_errno(result));
        return;
    }
    for (size_t i = 0; i < json_len(items); i++) {
        char **keys = strv_new();
        bool uses = false;
        if (pod_holds_claims(json_at(items, i)))
            pod_claim_keys(json_at(items, i), &keys);
        for (char **k = keys; *k; k++)
            uses |= strcmp(*k, t->key) == 0;
        strv_free(keys);
        if (uses) { /* its change will be told */
            task_done(t, 0);
            return;
        }
    }
    write_changed(t);
}

static void ask_for_pods(struct task *t) {
    _cleanup_free_ char *ns = xstrndup(t->key, strcspn(t->key, "/"));
    struct client_request r = {.verb = CLIENT_LIST, .resource = controller_of(t)->pod_resource, .ns = ns};
    task_call(t, &r, on_pods, NULL);
}

static void sync_begin(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct controller *c = controller_of(t);
    if (!informer_synced(c->pods)) {
        task_again_after(t, 50 * USEC_PER_MSEC);
        task_done(t, 0);
        return;
    }
    const struct json *object = informer_get_key(is_volume_key(t->key) ? c->volumes : c->claims, t->key);
    if (object && is_volume_key(t->key)) {
        s->changed = volume_protected(object);
    } else if (object) {
        size_t n;
        _cleanup_free_ struct json **users = informer_list(c->pods, INDEX_CLAIM, t->key, &n);
        s->changed = claim_protected(object, users, n);
    }
    if (!s->changed)
        task_done(t, 0);
    else if (is_volume_key(t->key) || !meta_is_deleting(object))
        write_changed(t);
    else
        ask_for_pods(t);
}

static void sync_finish(struct task *t) {
    json_unref(((struct sync *) t)->changed);
}

/* --- changes become keys --- */

static void on_object(void *userdata, struct json *old, struct json *object) {
    struct controller *c = userdata;
    if (object)
        task_queue_add_object(&c->tasks, object);
}

/* A pod that holds its claims no more may have been the last. */
static void on_pod(void *userdata, struct json *old, struct json *pod) {
    struct controller *c = userdata;
    if (informer_len(c->claims) == 0 || !old || !pod_holds_claims(old) || (pod && pod_holds_claims(pod)))
        return;
    char **keys = strv_new();
    pod_claim_keys(old, &keys);
    for (char **k = keys; *k; k++)
        workqueue_add(c->tasks.queue, *k);
    strv_free(keys);
}

/* --- life --- */

static void controller_free(void *p) {
    struct controller *c = p;
    informer_remove_handlers(c->claims, c);
    informer_remove_handlers(c->volumes, c);
    informer_remove_handlers(c->pods, c);
    task_queue_finish(&c->tasks);
    free(c);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);
    c->claim_resource = resource_by_plural("", "v1", "persistentvolumeclaims");
    c->volume_resource = resource_by_plural("", "v1", "persistentvolumes");
    c->pod_resource = resource_by_plural("", "v1", "pods");
    c->claims = informer_set_get(env->informers, c->claim_resource);
    c->volumes = informer_set_get(env->informers, c->volume_resource);
    c->pods = informer_set_get(env->informers, c->pod_resource);
    task_queue_init(&c->tasks, env->loop, env->client, CONCURRENT_SYNCS, sizeof(struct sync), sync_begin, sync_finish,
                    c);
    informer_add_index(c->pods, INDEX_CLAIM, pod_claim_keys);
    informer_add_handlers(c->claims, &(struct informer_handlers){.changed = on_object, .userdata = c});
    informer_add_handlers(c->volumes, &(struct informer_handlers){.changed = on_object, .userdata = c});
    informer_add_handlers(c->pods, &(struct informer_handlers){.changed = on_pod, .userdata = c});
    *ret = c;
    return 0;
}

const struct controller_ops storage_protection_controller = {COMPONENT, controller_start, controller_free};
