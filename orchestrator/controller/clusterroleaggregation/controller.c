/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/clusterroleaggregation/controller.h"

#include "orchestrator/controller/clusterroleaggregation/decide.h"
#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/task.h"
#include "podium/base/alloc.h"

#define COMPONENT        "clusterrole-aggregation-controller"
#define CONCURRENT_SYNCS 1 /* one role may be part of another: in turn is least work */
#define INDEX_AGGREGATED "aggregated"
#define AGGREGATED       "yes"

struct controller {
    const struct resource *resource;
    struct informer *roles;
    struct task_queue tasks;
};

static void on_written(struct task *t, const struct client_result *result, void *arg) {
    int r = client_errno(result);
    task_done(t, r == -ENOENT ? 0 : r);
}

static void sync_begin(struct task *t) {
    struct controller *c = t->tasks->userdata;
    const struct json *role = informer_get_key(c->roles, t->key);
    size_t n = 0;
    if (!role) {
        task_done(t, 0);
        return;
    }
    _cleanup_free_ struct json **all = informer_list(c->roles, NULL, NULL, &n);
    _cleanup_json_ struct json *wanted = cluster_role_aggregated(role, (const struct json *const *) all, n);
    if (!wanted) {
        task_done(t, 0);
        return;
    }
    const struct client_request r = {
        .verb = CLIENT_UPDATE, .resource = c->resource, .name = meta_name(role), .body = wanted};
    task_call(t, &r, on_written, NULL);
}

/* Any role may be a part of any that is aggregated, and may have ceased to be: all of these, who are few, look. */
static void on_role(void *userdata, struct json *old, struct json *role) {
    struct controller *c = userdata;
    size_t n;
    if (!informer_synced(c->roles))
        return; /* what is absent may only not be here yet */
    _cleanup_free_ struct json **all = informer_list(c->roles, INDEX_AGGREGATED, AGGREGATED, &n);
    for (size_t i = 0; i < n; i++)
        task_queue_add_object(&c->tasks, all[i]);
}

static void on_synced(void *userdata) {
    on_role(userdata, NULL, NULL);
}

static void index_aggregated(const struct json *role, char ***keys) {
    if (cluster_role_is_aggregated(role))
        strv_push_dup(keys, AGGREGATED);
}

static void controller_free(void *p) {
    struct controller *c = p;
    informer_remove_handlers(c->roles, c);
    task_queue_finish(&c->tasks);
    free(c);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);
    c->resource = resource_by_plural("rbac.authorization.k8s.io", "v1", "clusterroles");
    c->roles = informer_set_get(env->informers, c->resource);
    informer_add_index(c->roles, INDEX_AGGREGATED, index_aggregated);
    task_queue_init(&c->tasks, env->loop, env->client, CONCURRENT_SYNCS, sizeof(struct task), sync_begin, NULL, c);
    informer_add_handlers(c->roles,
                          &(struct informer_handlers){.changed = on_role, .synced = on_synced, .userdata = c});
    *ret = c;
    return 0;
}

const struct controller_ops cluster_role_aggregation_controller = {COMPONENT, controller_start, controller_free};
