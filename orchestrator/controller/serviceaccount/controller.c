/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/serviceaccount/controller.h"

#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/serviceaccount/decide.h"
#include "orchestrator/controller/task.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define COMPONENT        "serviceaccount-controller"
#define CONCURRENT_SYNCS 4

struct controller {
    const struct resource *account_resource, *map_resource;
    struct informer *namespaces, *accounts, *maps;
    const char *ca_pem; /* the environment's */
    struct task_queue tasks;
};

struct sync {
    struct task task;
    int result;
};

static void on_written(struct task *t, const struct client_result *result, void *arg) {
    struct sync *s = (struct sync *) t;
    int r = client_errno(result);
    if (r < 0 && r != -EEXIST && r != -ENOENT && !task_namespace_is_ending(result))
        s->result = r;
    if (t->pending == 0)
        task_done(t, s->result);
}

static void write_object(struct task *t, const struct resource *resource, const struct json *have, struct json *take) {
    _cleanup_json_ struct json *object = take;
    if (!object)
        return;
    task_write(t, resource, have, object, on_written, NULL);
}

static void sync_begin(struct task *t) {
    struct controller *c = t->tasks->userdata;
    if (!informer_synced(c->namespaces) || !informer_synced(c->accounts) || !informer_synced(c->maps)) {
        task_again_after(t, 50 * USEC_PER_MSEC);
        task_done(t, 0);
        return;
    }
    const struct json *ns = informer_get_key(c->namespaces, t->key);
    const struct json *account = ns ? informer_get(c->accounts, meta_name(ns), DEFAULT_ACCOUNT) : NULL;
    const struct json *map = ns ? informer_get(c->maps, meta_name(ns), ROOT_CA_CONFIGMAP) : NULL;
    write_object(t, c->account_resource, account, default_account_wanted(ns, account));
    write_object(t, c->map_resource, map, root_ca_wanted(ns, map, c->ca_pem));
    if (t->pending == 0)
        task_done(t, 0);
}

static void on_namespace(void *userdata, struct json *old, struct json *ns) {
    struct controller *c = userdata;
    if (ns)
        task_queue_add(&c->tasks, "", meta_name(ns));
}

static void on_account(void *userdata, struct json *old, struct json *account) {
    struct controller *c = userdata;
    if (!account && strcmp(meta_name(old), DEFAULT_ACCOUNT) == 0)
        task_queue_add(&c->tasks, "", meta_namespace(old));
}

static void on_map(void *userdata, struct json *old, struct json *map) {
    struct controller *c = userdata;
    const struct json *any = map ? map : old;
    if (old && strcmp(meta_name(any), ROOT_CA_CONFIGMAP) == 0)
        task_queue_add(&c->tasks, "", meta_namespace(any));
}

static void controller_free(void *p) {
    struct controller *c = p;
    informer_remove_handlers(c->namespaces, c);
    informer_remove_handlers(c->accounts, c);
    informer_remove_handlers(c->maps, c);
    task_queue_finish(&c->tasks);
    free(c);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);
    c->account_resource = resource_by_plural("", "v1", "serviceaccounts");
    c->map_resource = resource_by_plural("", "v1", "configmaps");
    c->namespaces = informer_set_get(env->informers, resource_by_plural("", "v1", "namespaces"));
    c->accounts = informer_set_get(env->informers, c->account_resource);
    c->maps = informer_set_get(env->informers, c->map_resource);
    c->ca_pem = env->options.ca_pem;
    task_queue_init(&c->tasks, env->loop, env->client, CONCURRENT_SYNCS, sizeof(struct sync), sync_begin, NULL, c);
    informer_add_handlers(c->namespaces, &(struct informer_handlers){.changed = on_namespace, .userdata = c});
    informer_add_handlers(c->accounts, &(struct informer_handlers){.changed = on_account, .userdata = c});
    informer_add_handlers(c->maps, &(struct informer_handlers){.changed = on_map, .userdata = c});
    *ret = c;
    return 0;
}

const struct controller_ops serviceaccount_controller = {COMPONENT, controller_start, controller_free};
