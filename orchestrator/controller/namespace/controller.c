/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/namespace/controller.h"

#include <string.h>

#include "orchestrator/controller/kinds.h"
#include "orchestrator/controller/namespace/decide.h"
#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/task.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define COMPONENT        "namespace-controller"
#define CONCURRENT_SYNCS 4
#define REMAINING_SHOWN  500 /* objects of one kind that are counted */
/* A look without an event, for content of kinds without watch. */
#define LOOK_AGAIN_USEC (15 * USEC_PER_SEC)
/* Events of one namespace come in swarms: rounds are not closer than this. */
#define ROUND_PAUSE_USEC (20 * USEC_PER_MSEC)

struct controller {
    const struct resource *resource;
    struct informer *namespaces;
    const struct resource **kinds; /* namespaced ones, and events */
    size_t n_kinds;
    struct informer **content; /* of the same kinds; NULL for events */
    struct task_queue tasks;
};

struct sync {
    struct task task;
    struct json *ns;
    struct json *remaining, *finalizers;
    char *failure;
};

static struct controller *controller_of(struct task *t) {
    return t->tasks->userdata;
}

static void sync_finish(struct task *t) {
    struct sync *s = (struct sync *) t;
    json_unref(s->ns);
    json_unref(s->remaining);
    json_unref(s->finalizers);
    free(s->failure);
}

static void on_last(struct task *t, const struct client_result *result, void *arg) {
    int r = client_errno(result);
    task_done(t, r == -ENOENT ? 0 : r);
}

static void finalize(struct task *t) {
    struct sync *s = (struct sync *) t;
    _cleanup_json_ struct json *body = namespace_finalized(s->ns);
    struct client_request r = {
        .verb = CLIENT_UPDATE,
        .resource = controller_of(t)->resource,
        .name = meta_name(s->ns),
        .subresource = "finalize",
        .body = body,
    };
    task_call(t, &r, on_last, NULL);
}

static void report(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct json *status = namespace_status(s->ns, s->remaining, s->finalizers, s->failure, now_realtime_usec());
    task_again_after(t, s->failure ? USEC_PER_SEC : LOOK_AGAIN_USEC);
    if (json_equal(status, json_get(s->ns, "status"))) {
        json_unref(status);
        task_done(t, 0);
        return;
    }
    _cleanup_json_ struct json *body = json_ref(s->ns);
    json_set(&body, "status", status);
    struct client_request r = {
        .verb = CLIENT_UPDATE,
        .resource = controller_of(t)->resource,
        .name = meta_name(s->ns),
        .subresource = "status",
        .body = body,
    };
    task_call(t, &r, on_last, NULL);
}

static void note_failure(struct sync *s, const struct resource *kind, const struct client_result *result) {
    if (!s->failure)
        s->failure = xasprintf("Failed to delete all %s: %s", kind->plural, result->message);
}

static void on_listed(struct task *t, const struct client_result *result, void *arg) {
    struct sync *s = (struct sync *) t;
    const struct resource *kind = arg;
    const struct json *items = json_get(result->object, "items");
    if (!client_ok(result) && result->code != 404) /* 404: a kind the server does not serve has no content */
        note_failure(s, kind, result);
    for (size_t i = 0; client_ok(result) && i < json_len(items); i++)
        namespace_count(&s->remaining, &s->finalizers, resource_display_name(kind), json_at(items, i));
    if (t->pending > 0)
        return;
    if (json_len(s->remaining) == 0 && !s->failure)
        finalize(t);
    else
        report(t);
}

static void look(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct controller *c = controller_of(t);
    for (size_t i = 0; i < c->n_kinds; i++) {
        struct client_request r = {
            .verb = CLIENT_LIST,
            .resource = c->kinds[i],
            .ns = meta_name(s->ns),
            .limit = REMAINING_SHOWN,
        };
        task_call(t, &r, on_listed, (void *) c->kinds[i]);
    }
}

static void on_deleted(struct task *t, const struct client_result *result, void *arg) {
    struct sync *s = (struct sync *) t;
    if (!client_ok(result) && result->code != 404 && result->code != 405)
        note_failure(s, arg, result);
    if (t->pending == 0)
        look(t);
}

static void sync_begin(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct controller *c = controller_of(t);
    const struct json *ns = informer_get_key(c->namespaces, t->key);
    if (!ns || !namespace_is_ending(ns)) {
        task_done(t, 0);
        return;
    }
    s->ns = json_ref(ns);
    for (size_t i = 0; i < c->n_kinds; i++) {
        struct client_request r = {.verb = CLIENT_DELETE_COLLECTION, .resource = c->kinds[i], .ns = meta_name(ns)};
        task_call(t, &r, on_deleted, (void *) c->kinds[i]);
    }
}

static void on_namespace(void *userdata, struct json *old, struct json *ns) {
    struct controller *c = userdata;
    /* Our own status reports change the namespace, too: only what begins the end counts. */
    if (namespace_is_ending(ns) && !namespace_is_ending(old))
        task_queue_add(&c->tasks, "", meta_name(ns));
}

static void on_content(void *userdata, struct json *old, struct json *object) {
    struct controller *c = userdata;
    if (object && old) /* an object that comes late into an ending namespace matters, and one that goes */
        return;
    const char *name = meta_namespace(object ? object : old);
    if (!namespace_is_ending(informer_get(c->namespaces, "", name)))
        return;
    _cleanup_free_ char *key = xasprintf("/%s", name);
    workqueue_add_after(c->tasks.queue, key, ROUND_PAUSE_USEC);
}

/* --- life --- */

static void controller_free(void *p) {
    struct controller *c = p;
    informer_remove_handlers(c->namespaces, c);
    for (size_t i = 0; i < c->n_kinds; i++)
        if (c->content[i])
            informer_remove_handlers(c->content[i], c);
    task_queue_finish(&c->tasks);
    free(c->kinds);
    free(c->content);
    free(c);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);
    size_t n;
    c->resource = resource_by_plural("", "v1", "namespaces");
    c->namespaces = informer_set_get(env->informers, c->resource);
    task_queue_init(&c->tasks, env->loop, env->client, CONCURRENT_SYNCS, sizeof(struct sync), sync_begin, sync_finish,
                    c);
    workqueue_set_max_backoff(c->tasks.queue, USEC_PER_SEC);
    c->kinds = kinds_stored(&n);
    c->kinds = xreallocarray(c->kinds, n + 1, sizeof(*c->kinds));
    c->content = xcalloc(n + 1, sizeof(*c->content));
    for (size_t i = 0; i < n; i++)
        if (c->kinds[i]->namespaced)
            c->kinds[c->n_kinds++] = c->kinds[i];
    for (size_t i = 0; i < c->n_kinds; i++)
        c->content[i] = informer_set_get(env->informers, c->kinds[i]);
    c->kinds[c->n_kinds++] = resource_by_plural("", "v1", "events");
    informer_add_handlers(c->namespaces, &(struct informer_handlers){.changed = on_namespace, .userdata = c});
    for (size_t i = 0; i + 1 < c->n_kinds; i++)
        informer_add_handlers(c->content[i], &(struct informer_handlers){.changed = on_content, .userdata = c});
    *ret = c;
    return 0;
}

const struct controller_ops namespace_controller = {COMPONENT, controller_start, controller_free};
