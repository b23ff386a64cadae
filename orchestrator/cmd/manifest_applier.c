/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cmd/manifest_applier.h"

#include <string.h>

#include "orchestrator/client/events.h"
#include "orchestrator/manifest/apply_plan.h"
#include "orchestrator/manifest/watch_dir.h"
#include "orchestrator/object/apply_patch.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"
#include "podium/base/log.h"

#define INDEX            "podium.org/manifest"
#define FIELD_MANAGER    "podium-manifests"
#define STATUS_NAMESPACE "kube-system"
#define STATUS_NAME      "podium-manifests"
#define RETRY_FIRST_USEC (USEC_PER_SEC / 2)
#define RETRY_MAX_USEC   (60 * USEC_PER_SEC)

struct manifest_applier {
    sd_event *loop;
    struct client *client;
    struct event_recorder *events;
    char *dir;
    struct watch_dir *watch;
    struct informer **informers; /* of every stored resource */
    const struct resource **resources;
    size_t n_informers;
    sd_event_source *start, *retry;
    /* the pass under way */
    bool running, dirty;
    struct manifest_inventory inventory;
    struct manifest_plan plan;
    size_t next;
    unsigned failures;
    unsigned passes_failed;
    struct client_call *call;
    const struct manifest_action *action;
    struct strbuf problems;         /* for the status object */
    struct hashmap *told, *telling; /* problems of the last pass, and of this: an Event is recorded for new ones */
    struct client_call *status_call;
    bool status_dirty; /* another status came while one was being written */
};

static void step(struct manifest_applier *a);

/* --- what is live --- */

static const struct informer *informer_of(const struct manifest_applier *a, const struct resource *r) {
    for (size_t i = 0; i < a->n_informers; i++)
        if (a->resources[i] == r)
            return a->informers[i];
    return NULL;
}

static const struct resource *resource_of(const struct json *doc) {
    return resource_by_api_version(json_str(json_get(doc, "apiVersion")), json_str(json_get(doc, "kind")));
}

static struct json *find_live(const struct manifest_applier *a, const struct json *doc) {
    const struct resource *r = resource_of(doc);
    const struct informer *i = r ? informer_of(a, r) : NULL;
    const char *ns = r && r->namespaced ? json_str_or(json_path(doc, "metadata", "namespace"), "default") : "";

    return i ? informer_get(i, ns, json_str_or(json_path(doc, "metadata", "name"), "")) : NULL;
}

static void key_of(const struct json *object, char ***keys) {
    if (json_path(object, "metadata", "annotations", MANIFEST_ANNOTATION))
        strv_push_dup(keys, "yes");
}

static void take_inventory(struct manifest_applier *a) {
    manifest_inventory_finish(&a->inventory);
    a->inventory = (struct manifest_inventory) MANIFEST_INVENTORY_INIT;
    for (size_t i = 0; i < a->n_informers; i++) {
        size_t n;
        _cleanup_free_ struct json **found = informer_list(a->informers[i], INDEX, "yes", &n);
        for (size_t k = 0; k < n; k++)
            if (!json_path(found[k], "metadata", "deletionTimestamp"))
                (void) manifest_inventory_add(&a->inventory, found[k]);
    }
}

/* --- telling --- */

static void tell(struct manifest_applier *a, const char *file, const char *reason, const char *text) {
    _cleanup_json_ struct json *object = NULL;
    _cleanup_free_ char *name = xstrdup(*file ? file : "manifests");

    strbuf_addf(&a->problems, "%s\n", text);
    bool known = hashmap_has(a->told, text) || hashmap_has(a->telling, text);
    hashmap_put(a->telling, text, NULL);
    if (known)
        return;
    log_warning("manifests: %s", text);
    for (char *c = name; *c; c++)
        if (*c == '/')
            *c = '.';
    json_set(&object, "apiVersion", json_string("podium.org/v1"));
    json_set(&object, "kind", json_string("Manifest"));
    json_set_path(&object, json_string(name), "metadata", "name");
    json_set_path(&object, json_string(STATUS_NAMESPACE), "metadata", "namespace");
    event_record(a->events, object, EVENT_WARNING, reason, "%s", text);
}

static void arm_retry(struct manifest_applier *a);
static void write_status(struct manifest_applier *a);

static void on_status_written(void *userdata, const struct client_result *r) {
    struct manifest_applier *a = userdata;

    a->status_call = NULL;
    if (!client_ok(r)) /* e.g. its namespace is not there yet: a pass later tries again */
        arm_retry(a);
    else if (a->status_dirty)
        write_status(a);
}

/* kube-system/podium-manifests says how the folder stands; `podium status` shows it. */
static void write_status(struct manifest_applier *a) {
    const struct resource *r = resource_by_plural("", "v1", "configmaps");
    const struct manifest_set *set = watch_dir_current(a->watch);
    const struct json *live = informer_get(informer_of(a, r), STATUS_NAMESPACE, STATUS_NAME);
    _cleanup_json_ struct json *doc = json_object();

    json_set_path(&doc, json_string(a->dir), "data", "directory");
    json_set_path(&doc, json_stringf("%zu", set ? set->n_objects : 0), "data", "objects");
    json_set_path(&doc, json_string(strbuf_str(&a->problems)), "data", "problems");
    a->status_dirty = a->status_call != NULL;
    if (a->status_call || (live && json_equal(json_get(live, "data"), json_get(doc, "data"))))
        return;
    struct client_request request = {
        .verb = live ? CLIENT_PATCH : CLIENT_CREATE,
        .resource = r,
        .ns = STATUS_NAMESPACE,
        .name = live ? STATUS_NAME : NULL,
        .patch_type = PATCH_MERGE,
        .field_manager = FIELD_MANAGER,
    };
    if (!live) {
        json_set(&doc, "apiVersion", json_string("v1"));
        json_set(&doc, "kind", json_string("ConfigMap"));
        json_set_path(&doc, json_string(STATUS_NAME), "metadata", "name");
        json_set_path(&doc, json_string(STATUS_NAMESPACE), "metadata", "namespace");
    }
    request.body = doc;
    a->status_call = client_start(a->client, &request, on_status_written, a);
}

/* --- one action --- */

static void failed(struct manifest_applier *a, const struct manifest_action *action, const char *why) {
    _cleanup_free_ char *text = NULL;

    a->failures++;
    if (action->verb == MANIFEST_PRUNE) {
        text = xasprintf("%s: cannot remove %s %s: %s", action->applied->file, action->applied->kind,
                         action->applied->name, why);
        tell(a, action->applied->file, "PruneFailed", text);
        return;
    }
    const struct manifest_object *o = action->object;
    text = xasprintf("%s:%u: %s \"%s\": %s", o->file, o->line, json_str_or(json_get(o->doc, "kind"), "?"),
                     json_str_or(json_path(o->doc, "metadata", "name"), "?"), why);
    tell(a, o->file, "ApplyFailed", text);
}

static void on_action_done(void *userdata, const struct client_result *r) {
    struct manifest_applier *a = userdata;
    const struct manifest_action *action = a->action;

    a->call = NULL;
    if (action->verb == MANIFEST_PRUNE) {
        if (client_ok(r))
            log_info("manifests: removed %s %s (%s is gone or asks for it no more)", action->applied->kind,
                     action->applied->name, action->applied->file);
        else if (strcmp(r->reason, "NotFound") != 0)
            failed(a, action, r->message);
    } else if (client_ok(r)) {
        log_info("manifests: applied %s %s from %s:%u", json_str_or(json_get(action->object->doc, "kind"), "?"),
                 json_str_or(json_path(action->object->doc, "metadata", "name"), "?"), action->object->file,
                 action->object->line);
    } else if (strcmp(r->reason, "AlreadyExists") == 0 || strcmp(r->reason, "Conflict") == 0) {
        a->failures++; /* newer than what the informer has seen: the next pass knows it */
    } else {
        failed(a, action, r->message);
    }
    step(a);
}

/* 1: a request is under way; 0: nothing to do. */
static int start_apply(struct manifest_applier *a, const struct manifest_action *action) {
    const struct json *wanted = action->object->doc;
    const struct resource *r = resource_of(wanted);
    struct json *live = find_live(a, wanted);

    if (!r || !r->stored) {
        _cleanup_free_ char *why =
            xasprintf("no kind \"%s\" in version \"%s\"", json_str_or(json_get(wanted, "kind"), ""),
                      json_str_or(json_get(wanted, "apiVersion"), ""));
        failed(a, action, why);
        return 0;
    }
    if (action->unchanged && live)
        return 0;
    _cleanup_json_ struct json *doc = manifest_apply_doc(action->object), *body = NULL;
    _cleanup_json_ struct json *annotated = apply_annotated(doc);
    struct client_request request = {
        .resource = r,
        .ns = r->namespaced ? json_str_or(json_path(doc, "metadata", "namespace"), "default") : "",
        .field_manager = FIELD_MANAGER,
        .strict = true,
    };
    if (live) {
        _cleanup_json_ struct json *last = apply_last_applied(live);
        const struct type_info *t = type_of_kind(json_str(json_get(doc, "apiVersion")), r->kind);
        body = apply_patch(t, last, live, annotated);
        if (json_len(body) == 0)
            return 0;
        request.verb = CLIENT_PATCH;
        request.patch_type = t ? PATCH_STRATEGIC : PATCH_MERGE;
        request.name = json_str(json_path(doc, "metadata", "name"));
    } else {
        body = json_ref(annotated);
        request.verb = CLIENT_CREATE;
    }
    request.body = body;
    a->action = action;
    a->call = client_start(a->client, &request, on_action_done, a);
    return 1;
}

static int start_prune(struct manifest_applier *a, const struct manifest_action *action) {
    const struct manifest_applied *applied = action->applied;
    _cleanup_json_ struct json *options = json_object();

    json_set(&options, "propagationPolicy", json_string("Background"));
    const struct client_request request = {
        .verb = CLIENT_DELETE,
        .resource = resource_by_api_version(applied->api_version, applied->kind),
        .ns = applied->namespace,
        .name = applied->name,
        .body = options,
    };
    if (!request.resource)
        return 0;
    a->action = action;
    a->call = client_start(a->client, &request, on_action_done, a);
    return 1;
}

/* --- a pass --- */

static int on_start(sd_event_source *s, void *userdata);

static void want_pass(struct manifest_applier *a) {
    if (a->running)
        a->dirty = true;
    else
        (void) sd_event_source_set_enabled(a->start, SD_EVENT_ONESHOT);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
    want_pass(userdata);
    return 0;
}

/* With growing pauses, until a pass goes well or the folder changes. */
static void arm_retry(struct manifest_applier *a) {
    uint64_t pause = RETRY_FIRST_USEC << (a->passes_failed < 7 ? a->passes_failed : 7);

    a->passes_failed++;
    sd_event_source_disable_unref(steal(&a->retry));
    (void) sd_event_add_time_relative(a->loop, &a->retry, CLOCK_MONOTONIC,
                                      pause > RETRY_MAX_USEC ? RETRY_MAX_USEC : pause, pause / 4, on_retry, a);
}

static void drop_plan(struct manifest_applier *a) {
    a->running = false;
    a->action = NULL;
    manifest_plan_finish(&a->plan);
    a->plan = (struct manifest_plan){0};
}

static void end_pass(struct manifest_applier *a) {
    drop_plan(a);
    hashmap_free(a->told);
    a->told = a->telling;
    a->telling = hashmap_new(NULL);
    write_status(a);
    if (a->dirty) {
        a->dirty = false;
        want_pass(a);
        return;
    }
    if (a->failures > 0)
        arm_retry(a);
    else if (!a->status_call)
        a->passes_failed = 0;
}

static void step(struct manifest_applier *a) {
    while (a->next < a->plan.n) {
        const struct manifest_action *action = &a->plan.actions[a->next++];
        int r = action->verb == MANIFEST_APPLY ? start_apply(a, action) : start_prune(a, action);
        if (r > 0)
            return;
    }
    end_pass(a);
}

static int on_start(sd_event_source *s, void *userdata) {
    struct manifest_applier *a = userdata;
    const struct manifest_set *set = watch_dir_current(a->watch);

    for (size_t i = 0; i < a->n_informers; i++)
        if (!informer_synced(a->informers[i]))
            return 0; /* comes again when the last one is */
    if (!set || a->running)
        return 0;
    sd_event_source_disable_unref(steal(&a->retry));
    a->running = true;
    a->failures = 0;
    a->next = 0;
    strbuf_reset(&a->problems);
    for (size_t i = 0; i < set->n_problems; i++)
        tell(a, set->problems[i].file, "BrokenManifest", set->problems[i].text);
    take_inventory(a);
    manifest_plan_make(set, &a->inventory, &a->plan);
    step(a);
    return 0;
}

static void on_manifests(void *userdata, const struct manifest_set *set) {
    struct manifest_applier *a = userdata;

    a->passes_failed = 0;
    if (a->running) { /* the plan borrows from the set that is going away */
        if (a->call)
            client_cancel(a->client, steal(&a->call));
        drop_plan(a);
    }
    want_pass(a);
}

/* Somebody deleted what the folder asks for: it comes back. */
static void on_object(void *userdata, struct json *old, struct json *object) {
    if (old && !object && json_path(old, "metadata", "annotations", MANIFEST_ANNOTATION))
        want_pass(userdata);
}

static void on_synced(void *userdata) {
    want_pass(userdata);
}

int manifest_applier_new(sd_event *loop, struct client *client, struct informer_set *informers, const char *dir,
                         struct manifest_applier **ret, struct error *err) {
    struct manifest_applier *a = xnew0(struct manifest_applier);
    const struct informer_handlers handlers = {.changed = on_object, .synced = on_synced, .userdata = a};
    size_t n;
    const struct resource *all = resources_all(&n);

    a->loop = loop;
    a->client = client;
    a->dir = xstrdup(dir);
    a->told = hashmap_new(NULL);
    a->telling = hashmap_new(NULL);
    a->events = event_recorder_new(loop, client, "podium-manifests");
    a->informers = xcalloc(n, sizeof(*a->informers));
    a->resources = xcalloc(n, sizeof(*a->resources));
    int r = sd_event_add_defer(loop, &a->start, on_start, a);
    if (r < 0)
        r = error_set_errno(err, r, "cannot make an event source");
    if (r >= 0)
        r = watch_dir_new(loop, dir, on_manifests, a, &a->watch, err);
    if (r < 0) {
        manifest_applier_free(a);
        return r;
    }
    for (size_t i = 0; i < n; i++) {
        if (!all[i].stored || !(all[i].verbs & VERB_WATCH) || strcmp(all[i].kind, "Event") == 0 ||
            strcmp(all[i].kind, "Lease") == 0)
            continue;
        struct informer *informer = informer_set_get(informers, &all[i]);
        a->informers[a->n_informers] = informer;
        a->resources[a->n_informers++] = &all[i];
        informer_add_index(informer, INDEX, key_of);
        informer_add_handlers(informer, &handlers);
    }
    *ret = a;
    return 0;
}

void manifest_applier_free(struct manifest_applier *a) {
    if (!a)
        return;
    for (size_t i = 0; i < a->n_informers; i++)
        informer_remove_handlers(a->informers[i], a);
    if (a->call)
        client_cancel(a->client, a->call);
    if (a->status_call)
        client_cancel(a->client, a->status_call);
    sd_event_source_disable_unref(a->start);
    sd_event_source_disable_unref(a->retry);
    watch_dir_free(a->watch);
    manifest_plan_finish(&a->plan);
    manifest_inventory_finish(&a->inventory);
    event_recorder_free(a->events);
    hashmap_free(a->told);
    hashmap_free(a->telling);
    strbuf_finish(&a->problems);
    free(a->informers);
    free(a->resources);
    free(a->dir);
    free(a);
}
