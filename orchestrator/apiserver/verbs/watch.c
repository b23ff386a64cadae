/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/verbs/watch.h"

#include <string.h>

#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/verbs/freshness.h"
#include "orchestrator/apiserver/verbs/selection.h"
#include "orchestrator/apiserver/verbs/verbs.h"
#include "orchestrator/apiserver/versions.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/random.h"

/* kube-apiserver's --min-request-timeout: watches without timeoutSeconds end after one to two times this. */
#define TIMEOUT_MIN_SECONDS 1800
#define OPEN_ATTEMPTS       5

enum watch_stage { STAGE_INITIAL, STAGE_CHANGES, STAGE_LAST_BOOKMARK, STAGE_ENDED };

struct api_watch {
    const struct resource *resource;
    struct selection selection;
    struct store_watch *changes;
    struct store_list initial;
    size_t at; /* in initial */
    uint64_t position, deadline, next_bookmark, bookmark_usec;
    bool bookmarks, initial_end_wanted;
    enum watch_stage stage;
    struct json *object; /* of the event given out last, if it was made for it */
    store_wake_fn wake;
    void *userdata;
};

struct watch_options {
    bool initial;     /* begin with what is there */
    bool initial_end; /* … and say where it ends */
    uint64_t after;
    uint64_t timeout_seconds;
};

void api_watch_free(struct api_watch *w) {
    if (!w)
        return;
    if (w->changes)
        store_watch_close(w->changes);
    selection_finish(&w->selection);
    store_list_finish(&w->initial);
    json_unref(w->object);
    free(w);
}

void api_watch_set_wake(struct api_watch *w, store_wake_fn wake, void *userdata) {
    w->wake = wake;
    w->userdata = userdata;
}

void api_watch_hold(struct api_watch *w) {
    if (w->changes)
        store_watch_hold(w->changes);
}

const struct resource *api_watch_resource(const struct api_watch *w) {
    return w->resource;
}

uint64_t api_watch_due(const struct api_watch *w) {
    return w->bookmarks && w->next_bookmark < w->deadline ? w->next_bookmark : w->deadline;
}

static void woken(void *userdata) {
    struct api_watch *w = userdata;
    w->wake(w->userdata);
}

/* --- options --- */

static bool forbidden(struct api_request *req, const char *field, const char *detail) {
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    field_errors_add(&errors, "FieldValueForbidden", field, NULL, "%s", detail);
    (void) api_invalid(req, "ListOptions", "meta.k8s.io", "", &errors);
    return false;
}

static bool read_initial(struct api_request *req, struct watch_options *o) {
    const char *match = api_param(req, "resourceVersionMatch");
    bool given = api_param(req, "sendInitialEvents") != NULL, matched = match && *match;
    if (given && !matched)
        return forbidden(req, "resourceVersionMatch",
                         "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    if (matched && !given)
        return forbidden(req, "resourceVersionMatch",
                         "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
    if (matched && strcmp(match, "NotOlderThan") != 0)
        return forbidden(req, "resourceVersionMatch",
                         "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    if (!given)
        return true;
    o->initial = o->initial_end = api_param_bool(req, "sendInitialEvents");
    return true;
}

static bool read_options(struct api_request *req, struct watch_options *o) {
    const char *timeout = api_param(req, "timeoutSeconds");
    char *end = NULL;
    if (!api_param_revision(req, &o->after))
        return false;
    o->initial = o->after == 0;
    if (!read_initial(req, o))
        return false;
    if (timeout && *timeout) {
        o->timeout_seconds = strtoull(timeout, &end, 10);
        if (*end || *timeout < '0' || *timeout > '9') {
            (void) api_bad_request(req, "strconv.ParseInt: parsing \"%s\": invalid syntax", timeout);
            return false;
        }
    }
    if (o->timeout_seconds == 0 || o->timeout_seconds > UINT32_MAX)
        o->timeout_seconds = TIMEOUT_MIN_SECONDS + random_u64() % TIMEOUT_MIN_SECONDS;
    return true;
}

/* --- opening --- */

static const char *watched_namespace(const struct api_request *req) {
    return req->resource->namespaced ? (*req->ns ? req->ns : NULL) : "";
}

/* The list and the first change must meet: on a very busy store the window may pass by in between, then again. */
static int open_with_initial(struct api_request *req, struct api_watch *w) {
    struct store *s = req->api->store;
    int r = -ESTALE;
    for (unsigned i = 0; i < OPEN_ATTEMPTS && r == -ESTALE; i++) {
        store_list_finish(&w->initial);
        w->initial = (struct store_list){0};
        r = store_list(s, w->resource->key, watched_namespace(req), NULL, NULL, 0, 0, &w->initial);
        if (r >= 0)
            r = store_watch_open(s, w->resource->key, watched_namespace(req), w->initial.revision, woken, w,
                                 &w->changes);
    }
    w->position = w->initial.revision;
    return r;
}

static int open_watch(struct api_request *req, struct api_watch *w, struct watch_options *o) {
    if (o->initial)
        return open_with_initial(req, w);
    if (o->after == 0)
        o->after = store_revision(req->api->store);
    w->position = o->after;
    w->stage = STAGE_CHANGES;
    return store_watch_open(req->api->store, w->resource->key, watched_namespace(req), o->after, woken, w, &w->changes);
}

static void set_times(struct api_request *req, struct api_watch *w, const struct watch_options *o) {
    uint64_t now = now_monotonic_usec();
    w->deadline = now + o->timeout_seconds * USEC_PER_SEC;
    w->bookmark_usec = req->api->bookmark_seconds * USEC_PER_SEC;
    w->next_bookmark = now + w->bookmark_usec;
}

enum api_progress verb_watch(struct api_request *req) {
    struct watch_options o = {0};
    _cleanup_(selection_finish) struct selection sel = {0};
    if (!req->watch_allowed)
        return api_bad_request(req, "this connection cannot carry a watch");
    if (!selection_read(req, &sel) || !read_options(req, &o))
        return API_DONE;
    if (o.after > store_revision(req->api->store))
        return freshness_wait(req, o.after, verb_watch);
    struct api_watch *w = xnew0(struct api_watch);
    w->resource = req->resource;
    w->selection = sel;
    sel = (struct selection){0};
    w->bookmarks = api_param_bool(req, "allowWatchBookmarks");
    w->initial_end_wanted = o.initial_end && w->bookmarks; /* it is one */
    set_times(req, w, &o);
    int r = open_watch(req, w, &o);
    if (r < 0)
        api_watch_free(w);
    if (r == -ESTALE)
        return api_expired(req, NULL, "too old resource version: %llu (%llu)", (unsigned long long) o.after,
                           (unsigned long long) store_revision(req->api->store));
    if (r == -ERANGE)
        return api_revision_too_large(req, o.after, store_revision(req->api->store));
    if (r < 0)
        return api_internal_error(req, "cannot watch: %s", error_text(NULL, r));
    req->out.kind = API_OUT_WATCH;
    req->out.code = 200;
    req->out.watch = w;
    return API_DONE;
}

/* --- pulling --- */

static int give_made(struct api_watch *w, struct watch_event *ret, const char *type, struct json *take) {
    json_unref(w->object);
    w->object = take;
    *ret = (struct watch_event){.type = type, .object = take};
    return 1;
}

static int give(struct api_watch *w, struct watch_event *ret, const char *type, struct store_item *item) {
    if (!w->resource->storage_version)
        return give_made(w, ret, type, version_shown(w->resource, item));
    *ret = (struct watch_event){.type = type, .item = item, .shared = w->stage == STAGE_CHANGES};
    return 1;
}

static int give_bookmark(struct api_watch *w, struct watch_event *ret, bool initial_end) {
    struct json *o = json_object();
    json_set(&o, "kind", json_string(w->resource->kind));
    json_set(&o, "apiVersion", json_string(resource_api_version(w->resource)));
    json_set_path(&o, json_stringf("%llu", (unsigned long long) w->position), "metadata", "resourceVersion");
    json_set_path(&o, json_null(), "metadata", "creationTimestamp");
    if (initial_end)
        json_set_path(&o, json_string("true"), "metadata", "annotations", "k8s.io/initial-events-end");
    return give_made(w, ret, "BOOKMARK", o);
}

static int next_initial(struct api_watch *w, struct watch_event *ret) {
    while (w->at < w->initial.n) {
        struct store_item *i = w->initial.items[w->at++];
        if (selection_matches(&w->selection, i))
            return give(w, ret, "ADDED", i);
    }
    store_list_finish(&w->initial);
    w->initial = (struct store_list){0};
    w->stage = STAGE_CHANGES;
    if (!w->initial_end_wanted)
        return 0;
    return give_bookmark(w, ret, true);
}

/* An object that left the selection is shown as deleted: its last matching state with the revision of the change. */
static int give_left(struct api_watch *w, struct watch_event *ret, const struct store_event *e) {
    struct json *last = version_shown(w->resource, e->old);
    json_set_path(&last, json_stringf("%llu", (unsigned long long) e->revision), "metadata", "resourceVersion");
    return give_made(w, ret, "DELETED", last);
}

/* 1: given; 0: of no interest. */
static int give_change(struct api_watch *w, struct watch_event *ret, const struct store_event *e) {
    static const char *const types[] = {
        [STORE_EVENT_ADDED] = "ADDED", [STORE_EVENT_MODIFIED] = "MODIFIED", [STORE_EVENT_DELETED] = "DELETED"};
    w->position = e->revision;
    if (selection_is_everything(&w->selection))
        return give(w, ret, types[e->type], e->item);
    bool was = e->old && selection_matches(&w->selection, e->old);
    bool is = e->type != STORE_EVENT_DELETED && selection_matches(&w->selection, e->item);
    if (e->type == STORE_EVENT_DELETED)
        return was ? give(w, ret, "DELETED", e->item) : 0;
    if (is)
        return give(w, ret, was ? "MODIFIED" : "ADDED", e->item);
    return was ? give_left(w, ret, e) : 0;
}

static int give_too_old(struct api_watch *w, struct watch_event *ret) {
    _cleanup_free_ char *text = xasprintf("too old resource version: %llu", (unsigned long long) w->position);
    w->stage = STAGE_ENDED;
    return give_made(w, ret, "ERROR", status_new(410, "Expired", text));
}

static int next_change(struct api_watch *w, struct watch_event *ret) {
    struct store_event e;
    int r;
    while ((r = store_watch_next(w->changes, &e)) > 0)
        if (give_change(w, ret, &e) > 0)
            return 1;
    if (r < 0)
        return give_too_old(w, ret);
    w->position = store_watch_position(w->changes);
    uint64_t now = now_monotonic_usec();
    if (now >= w->deadline) {
        w->stage = w->bookmarks ? STAGE_LAST_BOOKMARK : STAGE_ENDED;
        return api_watch_next(w, ret);
    }
    if (!w->bookmarks || now < w->next_bookmark)
        return 0;
    w->next_bookmark = now + w->bookmark_usec;
    return give_bookmark(w, ret, false);
}

int api_watch_next(struct api_watch *w, struct watch_event *ret) {
    int r = 0;
    switch (w->stage) {
    case STAGE_INITIAL:
        r = next_initial(w, ret);
        return r > 0 ? r : next_change(w, ret);
    case STAGE_CHANGES:
        return next_change(w, ret);
    case STAGE_LAST_BOOKMARK:
        w->stage = STAGE_ENDED;
        return give_bookmark(w, ret, false);
    case STAGE_ENDED:
        return -1;
    }
    return -1;
}
