/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/resourcequota/controller.h"

#include <stdlib.h>
#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/resourcequota/decide.h"
#include "orchestrator/controller/task.h"
#include "orchestrator/object/quota/tally.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"

#define CONCURRENT_SYNCS 5
#define COMPONENT        "resourcequota-controller"
/* Of many changes at one time one status tells. */
#define GATHER_USEC (5 * USEC_PER_MSEC)

/* Kinds of which a usage needs more than that they are there, and which others follow, too. */
static const char *const whole_kinds[] = {"pods", "services", "persistentvolumeclaims"};

struct controller {
    struct client *client;
    struct informer_set *informers;
    sd_event *loop;
    const struct resource *resource;
    struct informer *quotas;
    struct hashmap *kinds;   /* resource key → struct kind */
    struct hashmap *tallies; /* "ns/key" → struct quota_tally, of namespaces with quotas */
    struct task_queue tasks;
};

/* A kind some quota counts. */
struct kind {
    struct controller *controller;
    const struct resource *resource;
    struct informer *informer;
    bool own; /* only metadata, for us alone */
};

static struct controller *controller_of(struct task *t) {
    return t->tasks->userdata;
}

static void queue_namespace(struct controller *c, const char *ns) {
    size_t n;
    _cleanup_free_ struct json **all = informer_list(c->quotas, INDEX_NAMESPACE, ns, &n);
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *key = xasprintf("%s/%s", ns, meta_name(all[i]));
        workqueue_add_after(c->tasks.queue, key, GATHER_USEC);
    }
}

/* --- kinds --- */

static struct json *keep_metadata(const struct json *object) {
    static const char *const kept[] = {"namespace", "name", "uid", "resourceVersion"};
    struct json *less = json_object();
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        if (json_path(object, "metadata", kept[i]))
            json_set_path(&less, json_ref(json_path(object, "metadata", kept[i])), "metadata", kept[i]);
    return less;
}

static char *tally_key(const char *ns, const struct resource *r) {
    return xasprintf("%s/%s", ns, r->key);
}

static void on_object(void *userdata, struct json *old, struct json *object) {
    struct kind *k = userdata;
    const char *ns = meta_namespace(object ? object : old);
    if (hashmap_len(k->controller->tallies) == 0)
        return;
    _cleanup_free_ char *key = tally_key(ns, k->resource);
    struct quota_tally *t = hashmap_get(k->controller->tallies, key);
    if (t && quota_tally_change(t, old, object, now_realtime_usec()))
        queue_namespace(k->controller, ns);
}

static void on_kind_synced(void *userdata) {
    struct kind *k = userdata;
    size_t n;
    _cleanup_free_ struct json **all = informer_list(k->controller->quotas, NULL, NULL, &n);
    for (size_t i = 0; i < n; i++)
        task_queue_add_object(&k->controller->tasks, all[i]);
}

static void kind_free(void *p) {
    struct kind *k = p;
    informer_remove_handlers(k->informer, k);
    if (k->own)
        informer_free(k->informer);
    free(k);
}

static struct kind *kind_of(struct controller *c, const struct resource *r) {
    struct kind *k = hashmap_get(c->kinds, r->key);
    if (k)
        return k;
    k = xnew0(struct kind);
    *k = (struct kind){.controller = c, .resource = r, .own = true};
    for (size_t i = 0; i < ARRAY_LEN(whole_kinds); i++)
        k->own = k->own && strcmp(r->key, whole_kinds[i]) != 0;
    k->informer =
        k->own ? informer_new(c->loop, c->client, &(struct informer_options){.resource = r, .keep = keep_metadata})
               : informer_set_get(c->informers, r);
    informer_add_index(k->informer, INDEX_NAMESPACE, index_by_namespace);
    informer_add_handlers(k->informer, &(struct informer_handlers){on_object, on_kind_synced, k});
    hashmap_put(c->kinds, r->key, k);
    return k;
}

/* --- one quota --- */

static int by_name(const void *a, const void *b) {
    return strcmp(meta_name(*(struct json *const *) a), meta_name(*(struct json *const *) b));
}

/* The tally of a kind in the namespace, made or made anew where the quotas are not those it has. */
static struct quota_tally *tally_of(struct controller *c, struct kind *k, const char *ns, struct json **quotas,
                                    size_t n_quotas, uint64_t now) {
    _cleanup_free_ char *key = tally_key(ns, k->resource);
    struct quota_tally *t = hashmap_get(c->tallies, key);
    size_t n;
    if (!t) {
        t = quota_tally_new(k->resource);
        hashmap_put(c->tallies, key, t);
    }
    if (!quota_tally_set_quotas(t, quotas, n_quotas))
        return t;
    _cleanup_free_ struct json **all = informer_list(k->informer, INDEX_NAMESPACE, ns, &n);
    for (size_t i = 0; i < n; i++)
        (void) quota_tally_change(t, NULL, all[i], now);
    return t;
}

static void add_used(const struct quota_tally *t, const char *name, struct amounts *used) {
    for (size_t i = 0; i < quota_tally_len(t); i++)
        if (strcmp(quota_tally_name(t, i), name) == 0)
            amounts_add(used, quota_tally_used(t, i));
}

/* Everything the quota's objects use; false: not all are known yet, on_kind_synced() will say. */
static bool sum_up(struct task *t, const struct json *quota, struct amounts *used) {
    struct controller *c = controller_of(t);
    const char *ns = meta_namespace(quota);
    _cleanup_free_ const struct resource **kinds = resource_quota_kinds(quota);
    uint64_t now = now_realtime_usec(), next;
    size_t n;
    for (size_t i = 0; kinds[i]; i++)
        if (!informer_synced(kind_of(c, kinds[i])->informer))
            return false;
    _cleanup_free_ struct json **quotas = informer_list(c->quotas, INDEX_NAMESPACE, ns, &n);
    qsort(quotas, n, sizeof(*quotas), by_name);
    for (size_t i = 0; kinds[i]; i++) {
        struct quota_tally *tally = tally_of(c, kind_of(c, kinds[i]), ns, quotas, n, now);
        if (quota_tally_expire(tally, now, &next))
            queue_namespace(c, ns);
        if (next != UINT64_MAX)
            task_again_after(t, next - now + USEC_PER_MSEC);
        add_used(tally, meta_name(quota), used);
    }
    return true;
}

static void on_status(struct task *t, const struct client_result *result, void *arg) {
    int r = client_errno(result);
    task_done(t, r == -ENOENT ? 0 : r);
}

/* A namespace without quotas is forgotten. */
static void forget(struct controller *c, const char *key) {
    const char *slash = strchr(key, '/');
    size_t n, len = (size_t) (slash - key) + 1;
    _cleanup_free_ char *ns = xstrndup(key, len - 1);
    struct hashmap_iter it = {0};
    free(informer_list(c->quotas, INDEX_NAMESPACE, ns, &n)); /* only how many are left */
    while (n == 0 && hashmap_next(c->tallies, &it))
        if (strncmp(it.key, key, len) == 0)
            (void) hashmap_remove(c->tallies, it.key);
}

static void sync_begin(struct task *t) {
    struct controller *c = controller_of(t);
    _cleanup_amounts_ struct amounts used = {0};
    const struct json *quota = informer_get_key(c->quotas, t->key);
    if (!quota)
        forget(c, t->key);
    if (!quota || !sum_up(t, quota, &used)) {
        task_done(t, 0);
        return;
    }
    _cleanup_json_ struct json *status = resource_quota_status(quota, &used), *body = NULL;
    if (json_equal(status, json_get(quota, "status"))) {
        task_done(t, 0);
        return;
    }
    body = json_ref(quota);
    json_set(&body, "status", json_ref(status));
    json_del(json_edit(&body, "metadata"), "resourceVersion"); /* nobody else writes it: the newest word counts */
    struct client_request r = {.verb = CLIENT_UPDATE,
                               .resource = c->resource,
                               .ns = meta_namespace(quota),
                               .name = meta_name(quota),
                               .subresource = "status",
                               .body = body};
    task_call(t, &r, on_status, NULL);
}

/* --- life --- */

static void on_quota(void *userdata, struct json *old, struct json *quota) {
    struct controller *c = userdata;
    if (!old || !quota || !json_equal(json_get(old, "spec"), json_get(quota, "spec")))
        queue_namespace(c, meta_namespace(quota ? quota : old));
    task_queue_add_object(&c->tasks, quota ? quota : old);
    _cleanup_free_ const struct resource **kinds = resource_quota_kinds(quota);
    for (size_t i = 0; kinds[i]; i++)
        (void) kind_of(c, kinds[i]);
}

static void controller_free(void *p) {
    struct controller *c = p;
    informer_remove_handlers(c->quotas, c);
    task_queue_finish(&c->tasks);
    hashmap_free(c->kinds);
    hashmap_free(c->tallies);
    free(c);
}

static void tally_free(void *p) {
    quota_tally_free(p);
}

static int controller_start(const struct controller_env *env, void **ret, struct error *err) {
    struct controller *c = xnew0(struct controller);
    c->loop = env->loop;
    c->client = env->client;
    c->informers = env->informers;
    c->resource = resource_by_plural("", "v1", "resourcequotas");
    c->quotas = informer_set_get(env->informers, c->resource);
    c->kinds = hashmap_new(kind_free);
    c->tallies = hashmap_new(tally_free);
    task_queue_init(&c->tasks, env->loop, env->client, CONCURRENT_SYNCS, sizeof(struct task), sync_begin, NULL, c);
    informer_add_index(c->quotas, INDEX_NAMESPACE, index_by_namespace);
    informer_add_handlers(c->quotas, &(struct informer_handlers){.changed = on_quota, .userdata = c});
    *ret = c;
    return 0;
}

const struct controller_ops resource_quota_controller = {COMPONENT, controller_start, controller_free};
