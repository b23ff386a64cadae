/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/clusterinfo/controller.h"

#include <string.h>

#include "orchestrator/controller/clusterinfo/decide.h"
#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/task.h"
#include "orchestrator/object/bootstrap_token.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define COMPONENT "cluster-info-controller"
#define INDEX     "bootstrap-token"

struct controller {
    const struct resource *resource;
    struct informer *maps, *secrets;
    struct controller_options own; /* texts are the registry's */
    struct task_queue tasks;
};

static void on_written(struct task *t, const struct client_result *result, void *arg) {
    int r = client_errno(result);
    task_done(t, r == -EEXIST || task_namespace_is_ending(result) ? 0 : r);
}

static struct json *wanted(const struct controller *c, const char *key, const struct json *have) {
    size_t n;
    if (strcmp(key, AUTHENTICATION_NAMESPACE "/" AUTHENTICATION) == 0)
        return authentication_wanted(have, c->own.ca_pem);
    _cleanup_free_ struct json **tokens = informer_list(c->secrets, INDEX, "", &n);
    return cluster_info_wanted(have, c->own.ca_pem, c->own.api_address, c->own.api_port, tokens, n,
                               now_realtime_usec());
}

static void sync_begin(struct task *t) {
    const struct controller *c = t->tasks->userdata;
    if (!informer_synced(c->maps) || !informer_synced(c->secrets)) {
        task_again_after(t, 20 * USEC_PER_MSEC);
        task_done(t, 0);
        return;
    }
    const struct json *have = informer_get_key(c->maps, t->key);
    _cleanup_json_ struct json *object = wanted(c, t->key, have);
    if (object)
        task_write(t, c->resource, have, object, on_written, NULL);
    else
        task_done(t, 0);
}

static void enqueue_info(struct controller *c) {
    if (c->own.ca_pem && c->own.api_address)
        task_queue_add(&c->tasks, CLUSTER_INFO_NAMESPACE, CLUSTER_INFO);
}

static void enqueue_authentication(struct controller *c) {
    if (c->own.ca_pem)
        task_queue_add(&c->tasks, AUTHENTICATION_NAMESPACE, AUTHENTICATION);
}

static void on_map(void *userdata, struct json *old, struct json *map) {
    const struct json *any = map ? map : old;
    const char *ns = meta_namespace(any), *name = meta_name(any);
    if (strcmp(name, CLUSTER_INFO) == 0 && strcmp(ns, CLUSTER_INFO_NAMESPACE) == 0)
        enqueue_info(userdata);
    else if (strcmp(name, AUTHENTICATION) == 0 && strcmp(ns, AUTHENTICATION_NAMESPACE) == 0)
        enqueue_authentication(userdata);
}

static void on_secret(void *userdata, struct json *old, struct json *secret) {
    if (json_get_is(secret ? secret : old, "type", BOOTSTRAP_TOKEN_TYPE))
        enqueue_info(userdata);
}

static void index_tokens(const struct json *secret, char ***keys) {
    if (json_get_is(secret, "type", BOOTSTRAP_TOKEN_TYPE))
        strv_push_dup(keys, "");
}

static void controller_free(void *p) {
    struct controller *c = p;
    informer_remove_handlers(c->maps, c);
    informer_remove_handlers(c->secrets, c);
    task_queue_finish(&c->tasks);
    free(c);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);
    c->own = env->options;
    c->resource = resource_by_plural("", "v1", "configmaps");
    c->maps = informer_set_get(env->informers, c->resource);
    c->secrets = informer_set_get(env->informers, resource_by_plural("", "v1", "secrets"));
    informer_add_index(c->secrets, INDEX, index_tokens);
    task_queue_init(&c->tasks, env->loop, env->client, 1, sizeof(struct task), sync_begin, NULL, c);
    informer_add_handlers(c->maps, &(struct informer_handlers){.changed = on_map, .userdata = c});
    informer_add_handlers(c->secrets, &(struct informer_handlers){.changed = on_secret, .userdata = c});
    enqueue_info(c);
    enqueue_authentication(c);
    *ret = c;
    return 0;
}

const struct controller_ops cluster_info_controller = {COMPONENT, controller_start, controller_free};
