/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/garbage/controller.h"

#include <string.h>

#include "orchestrator/controller/garbage/decide.h"
#include "orchestrator/controller/kinds.h"
#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/task.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define COMPONENT        "generic-garbage-collector"
#define CONCURRENT_SYNCS 20
#define INDEX_OWNER      "owner" /* by the uid of every owner */
#define MAX_BACKOFF_USEC (60 * USEC_PER_SEC)

struct kind {
    struct controller *c;
    const struct resource *resource;
    struct informer *informer;
};

struct controller {
    struct kind *kinds;
    size_t n_kinds;
    struct task_queue tasks; /* keys: "<kind number> ns/name" */
};

/* The work on one object. */
struct sync {
    struct task task;
    const struct kind *kind;
    struct json *object;
    enum owner_state *states; /* of its owner references */
    int result;
};

/* An object under the same owner, with its kind. */
struct dependent {
    const struct kind *kind;
    struct json *object; /* borrowed */
};

static struct controller *controller_of(struct task *t) {
    return t->tasks->userdata;
}

static void sync_finish(struct task *t) {
    struct sync *s = (struct sync *) t;
    json_unref(s->object);
    free(s->states);
}

static void add(const struct kind *k, const struct json *object) {
    _cleanup_free_ char *key =
        xasprintf("%zu %s/%s", (size_t) (k - k->c->kinds), meta_namespace(object), meta_name(object));
    workqueue_add(k->c->tasks.queue, key);
}

static struct dependent *dependents_of(struct controller *c, const char *uid, size_t *ret_n) {
    struct dependent *all = NULL;
    size_t n = 0, cap = 0;
    for (size_t i = 0; i < c->n_kinds; i++) {
        size_t k;
        _cleanup_free_ struct json **found = informer_list(c->kinds[i].informer, INDEX_OWNER, uid, &k);
        for (size_t j = 0; j < k; j++) {
            xgrow(&all, n, &cap);
            all[n++] = (struct dependent){&c->kinds[i], found[j]};
        }
    }
    *ret_n = n;
    return all;
}

static bool has_dependents(struct controller *c, const char *uid) {
    size_t n;
    free(dependents_of(c, uid, &n));
    return n > 0;
}

static struct client_request request_for(const struct kind *k, const struct json *object, enum client_verb verb) {
    return (struct client_request){
        .verb = verb,
        .resource = k->resource,
        .ns = k->resource->namespaced ? meta_namespace(object) : NULL,
        .name = meta_name(object),
    };
}

static void on_last(struct task *t, const struct client_result *result, void *arg) {
    int r = client_errno(result);
    /* Gone, or another object of the same name by now: either way there is nothing left to do here. */
    task_done(t, r == -ENOENT ? 0 : r);
}

/* --- owners gone --- */

static void delete_object(struct task *t, const char *policy) {
    struct sync *s = (struct sync *) t;
    _cleanup_json_ struct json *options = json_object();
    json_set(&options, "propagationPolicy", json_string(policy));
    json_set_path(&options, json_string(meta_uid(s->object)), "preconditions", "uid");
    struct client_request r = request_for(s->kind, s->object, CLIENT_DELETE);
    r.body = options;
    task_call(t, &r, on_last, NULL);
}

static void unlink_owners(struct task *t) {
    struct sync *s = (struct sync *) t;
    const struct json *refs = json_path(s->object, "metadata", "ownerReferences");
    _cleanup_free_ const char **uids = xcalloc(json_len(refs) + 1, sizeof(*uids));
    size_t n = 0;
    for (size_t i = 0; i < json_len(refs); i++)
        if (s->states[i] != OWNER_SOLID)
            uids[n++] = json_str_or(json_get(json_at(refs, i), "uid"), "");
    _cleanup_json_ struct json *patch = garbage_unlink_patch(s->object, uids, n);
    struct client_request r = request_for(s->kind, s->object, CLIENT_PATCH);
    r.body = patch;
    r.patch_type = PATCH_STRATEGIC;
    task_call(t, &r, on_last, NULL);
}

static void judge(struct task *t) {
    struct sync *s = (struct sync *) t;
    if (s->result < 0) {
        task_done(t, s->result);
        return;
    }
    struct garbage_plan plan =
        garbage_decide(s->object, s->states, has_dependents(controller_of(t), meta_uid(s->object)));
    switch (plan.action) {
    case GARBAGE_NOTHING:
        task_done(t, 0);
        break;
    case GARBAGE_UNLINK:
        unlink_owners(t);
        break;
    case GARBAGE_DELETE:
        delete_object(t, plan.policy);
        break;
    }
}

static void on_owner_read(struct task *t, const struct client_result *result, void *arg) {
    struct sync *s = (struct sync *) t;
    size_t i = (size_t) (uintptr_t) arg;
    const struct json *ref = json_at(json_path(s->object, "metadata", "ownerReferences"), i);
    int r = client_errno(result);
    if (r == -ENOENT)
        s->states[i] = OWNER_ABSENT;
    else if (r < 0)
        s->result = r;
    else if (strcmp(meta_uid(result->object), json_str_or(json_get(ref, "uid"), "")) != 0)
        s->states[i] = OWNER_ABSENT; /* another object with the owner's name */
    else
        s->states[i] = garbage_owner_state(result->object, ref);
    if (t->pending == 0)
        judge(t);
}

static const struct kind *kind_of_ref(struct controller *c, const struct json *ref) {
    const struct resource *r =
        resource_by_api_version(json_str(json_get(ref, "apiVersion")), json_str(json_get(ref, "kind")));
    for (size_t i = 0; r && i < c->n_kinds; i++)
        if (strcmp(c->kinds[i].resource->key, r->key) == 0)
            return &c->kinds[i];
    return NULL;
}

static void look_at_owners(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct controller *c = controller_of(t);
    const struct json *refs = json_path(s->object, "metadata", "ownerReferences");
    s->states = xcalloc(json_len(refs) + 1, sizeof(*s->states));
    for (size_t i = 0; i < json_len(refs); i++) {
        const struct json *ref = json_at(refs, i);
        const struct kind *k = kind_of_ref(c, ref);
        const char *name = json_str_or(json_get(ref, "name"), "");
        if (!k || (k->resource->namespaced && !s->kind->resource->namespaced))
            continue; /* solid: cannot be judged */
        const char *ns = k->resource->namespaced ? meta_namespace(s->object) : "";
        const struct json *owner = informer_get(k->informer, ns, name);
        if (owner && strcmp(meta_uid(owner), json_str_or(json_get(ref, "uid"), "")) == 0) {
            s->states[i] = garbage_owner_state(owner, ref);
            continue;
        }
        struct client_request r = {.verb = CLIENT_GET, .resource = k->resource, .ns = ns, .name = name};
        task_call(t, &r, on_owner_read, (void *) (uintptr_t) i);
    }
    if (t->pending == 0)
        judge(t);
}

/* --- objects that go themselves --- */

static void drop_finalizer(struct task *t, const char *finalizer) {
    struct sync *s = (struct sync *) t;
    _cleanup_json_ struct json *patch = garbage_finalizer_patch(s->object, finalizer);
    struct client_request r = request_for(s->kind, s->object, CLIENT_PATCH);
    r.body = patch;
    r.patch_type = PATCH_MERGE;
    task_call(t, &r, on_last, NULL);
}

/* Foreground: all dependents are told to go; the owner follows when those that block it are gone. */
static void process_foreground(struct task *t) {
    struct sync *s = (struct sync *) t;
    size_t n;
    bool blocked = false;
    _cleanup_free_ struct dependent *all = dependents_of(controller_of(t), meta_uid(s->object), &n);
    for (size_t i = 0; i < n; i++) {
        if (!garbage_blocks(all[i].object, meta_uid(s->object)))
            continue;
        blocked = true;
        if (!meta_is_deleting(all[i].object))
            add(all[i].kind, all[i].object);
    }
    if (blocked)
        task_done(t, 0); /* the last one's end brings us back */
    else
        drop_finalizer(t, FINALIZER_FOREGROUND);
}

static void on_orphaned(struct task *t, const struct client_result *result, void *arg) {
    struct sync *s = (struct sync *) t;
    int r = client_errno(result);
    if (r < 0 && r != -ENOENT && r != -EINVAL)
        s->result = r;
    if (t->pending > 0)
        return;
    if (s->result < 0)
        task_done(t, s->result);
    else
        drop_finalizer(t, FINALIZER_ORPHAN);
}

static void process_orphan(struct task *t) {
    struct sync *s = (struct sync *) t;
    size_t n;
    const char *uid = meta_uid(s->object);
    _cleanup_free_ struct dependent *all = dependents_of(controller_of(t), uid, &n);
    for (size_t i = 0; i < n; i++) {
        _cleanup_json_ struct json *patch = garbage_unlink_patch(all[i].object, &uid, 1);
        struct client_request r = request_for(all[i].kind, all[i].object, CLIENT_PATCH);
        r.body = patch;
        r.patch_type = PATCH_STRATEGIC;
        task_call(t, &r, on_orphaned, NULL);
    }
    if (t->pending == 0)
        drop_finalizer(t, FINALIZER_ORPHAN);
}

static bool all_synced(const struct controller *c) {
    for (size_t i = 0; i < c->n_kinds; i++)
        if (!informer_synced(c->kinds[i].informer))
            return false;
    return true;
}

static void sync_begin(struct task *t) {
    struct sync *s = (struct sync *) t;
    struct controller *c = controller_of(t);
    if (!all_synced(c)) { /* with half the dependents in sight an owner must not go */
        task_again_after(t, 100 * USEC_PER_MSEC);
        task_done(t, 0);
        return;
    }
    char *rest;
    s->kind = &c->kinds[strtoul(t->key, &rest, 10)];
    s->object = json_ref(informer_get_key(s->kind->informer, rest + 1));
    if (!s->object)
        task_done(t, 0);
    else if (meta_is_deleting(s->object) && meta_has_finalizer(s->object, FINALIZER_ORPHAN))
        process_orphan(t);
    else if (meta_is_deleting(s->object) && meta_has_finalizer(s->object, FINALIZER_FOREGROUND))
        process_foreground(t);
    else
        look_at_owners(t);
}

/* --- changes become keys --- */

/* The object's owners that wait for it. */
static void add_waiting_owners(struct controller *c, const struct json *object) {
    const struct json *refs = json_path(object, "metadata", "ownerReferences");
    for (size_t i = 0; i < json_len(refs); i++) {
        const struct json *ref = json_at(refs, i);
        const struct kind *k = kind_of_ref(c, ref);
        if (!k)
            continue;
        const struct json *owner = informer_get(k->informer, k->resource->namespaced ? meta_namespace(object) : "",
                                                json_str_or(json_get(ref, "name"), ""));
        if (owner && meta_is_deleting(owner) && meta_has_finalizer(owner, FINALIZER_FOREGROUND))
            add(k, owner);
    }
}

static void on_changed(void *userdata, struct json *old, struct json *object) {
    struct kind *k = userdata;
    const struct json *refs = json_path(object, "metadata", "ownerReferences");
    if (!object) {
        size_t n;
        _cleanup_free_ struct dependent *all = dependents_of(k->c, meta_uid(old), &n);
        for (size_t i = 0; i < n; i++)
            add(all[i].kind, all[i].object);
        add_waiting_owners(k->c, old);
        return;
    }
    bool going = meta_is_deleting(object) &&
                 (meta_has_finalizer(object, FINALIZER_ORPHAN) || meta_has_finalizer(object, FINALIZER_FOREGROUND));
    bool refs_new = json_len(refs) > 0 && (!old || !json_equal(refs, json_path(old, "metadata", "ownerReferences")));
    if (going || refs_new)
        add(k, object);
    if (old && !json_equal(refs, json_path(old, "metadata", "ownerReferences")))
        add_waiting_owners(k->c, old); /* it may block one of them no more */
}

static void index_by_owner(const struct json *object, char ***keys) {
    const struct json *refs = json_path(object, "metadata", "ownerReferences");
    for (size_t i = 0; i < json_len(refs); i++)
        strv_push_dup(keys, json_str_or(json_get(json_at(refs, i), "uid"), ""));
}

/* --- life --- */

static void controller_free(void *p) {
    struct controller *c = p;
    for (size_t i = 0; i < c->n_kinds; i++)
        informer_remove_handlers(c->kinds[i].informer, &c->kinds[i]);
    task_queue_finish(&c->tasks);
    free(c->kinds);
    free(c);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);
    _cleanup_free_ const struct resource **resources = kinds_stored(&c->n_kinds);
    c->kinds = xcalloc(c->n_kinds + 1, sizeof(*c->kinds));
    task_queue_init(&c->tasks, env->loop, env->client, CONCURRENT_SYNCS, sizeof(struct sync), sync_begin, sync_finish,
                    c);
    workqueue_set_max_backoff(c->tasks.queue, MAX_BACKOFF_USEC);
    for (size_t i = 0; i < c->n_kinds; i++) {
        c->kinds[i] = (struct kind){c, resources[i], informer_set_get(env->informers, resources[i])};
        informer_add_index(c->kinds[i].informer, INDEX_OWNER, index_by_owner);
    }
    for (size_t i = 0; i < c->n_kinds; i++)
        informer_add_handlers(c->kinds[i].informer,
                              &(struct informer_handlers){.changed = on_changed, .userdata = &c->kinds[i]});
    *ret = c;
    return 0;
}

const struct controller_ops garbage_controller = {COMPONENT, controller_start, controller_free};
