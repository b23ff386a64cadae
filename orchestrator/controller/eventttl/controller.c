/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/eventttl/controller.h"

#include "orchestrator/controller/date.h"
#include "orchestrator/controller/eventttl/decide.h"
#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/task.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define COMPONENT        "event-ttl-controller"
#define CONCURRENT_SYNCS 4
#define SWEEPS_PER_LIFE  60 /* an event lives at most 1/60 longer than it should, and the loop wakes no more often */

struct controller {
    struct informer *events;
    const struct resource *resource;
    uint64_t ttl;
    struct date next;
    struct task_queue tasks;
};

static struct controller *controller_of(struct task *t) {
    return t->tasks->userdata;
}

static bool is_over(const struct controller *c, const struct json *digest, uint64_t now) {
    return event_digest_last(digest) + c->ttl <= now;
}

/* --- deleting one --- */

static void sync_begin(struct task *t) {
    struct controller *c = controller_of(t);
    const struct json *digest = informer_get_key(c->events, t->key);
    if (!digest || !is_over(c, digest, now_realtime_usec())) {
        task_done(t, 0);
        return;
    }
    _cleanup_json_ struct json *options = json_object();
    json_set_path(&options, json_ref(json_path(digest, "metadata", "uid")), "preconditions", "uid");
    json_set_path(&options, json_ref(json_path(digest, "metadata", "resourceVersion")), "preconditions",
                  "resourceVersion");
    struct client_request r = {
        .verb = CLIENT_DELETE,
        .resource = c->resource,
        .ns = meta_namespace(digest),
        .name = meta_name(digest),
        .body = options,
    };
    /* a conflict: it happened again meanwhile, which is told to us with its new time */
    task_call(t, &r, task_removed, NULL);
}

/* --- when --- */

static void expect(struct controller *c, uint64_t when) {
    uint64_t soonest = now_realtime_usec() + c->ttl / SWEEPS_PER_LIFE;
    date_expect(&c->next, when < soonest ? soonest : when);
}

static void look_at_all(void *userdata) {
    struct controller *c = userdata;
    uint64_t now = now_realtime_usec(), next = UINT64_MAX;
    size_t n;
    _cleanup_free_ struct json **all = informer_list(c->events, NULL, NULL, &n);
    for (size_t i = 0; i < n; i++) {
        uint64_t end = event_digest_last(all[i]) + c->ttl;
        if (end <= now)
            task_queue_add_object(&c->tasks, all[i]);
        else if (end < next)
            next = end;
    }
    if (next != UINT64_MAX)
        expect(c, next);
}

static void on_event(void *userdata, struct json *old, struct json *digest) {
    struct controller *c = userdata;
    if (digest)
        expect(c, event_digest_last(digest) + c->ttl);
}

/* --- life --- */

static struct json *keep(const struct json *event) {
    return event_digest(event, now_realtime_usec());
}

static void controller_free(void *p) {
    struct controller *c = p;
    informer_free(c->events);
    date_finish(&c->next);
    task_queue_finish(&c->tasks);
    free(c);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);
    c->resource = resource_by_plural("", "v1", "events");
    c->ttl = env->options.event_ttl;
    date_init(&c->next, env->loop, c->ttl / SWEEPS_PER_LIFE, look_at_all, c);
    task_queue_init(&c->tasks, env->loop, env->client, CONCURRENT_SYNCS, sizeof(struct task), sync_begin, NULL, c);
    c->events = informer_new(env->loop, env->client, &(struct informer_options){.resource = c->resource, .keep = keep});
    informer_add_handlers(c->events, &(struct informer_handlers){.changed = on_event, .userdata = c});
    *ret = c;
    return 0;
}

const struct controller_ops event_ttl_controller = {COMPONENT, controller_start, controller_free};
