/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/local_client.h"

#include <stdatomic.h>
#include <string.h>

#include "orchestrator/apiserver/audit/audit.h"
#include "orchestrator/apiserver/authz/authorize.h"
#include "orchestrator/apiserver/http/encode.h"
#include "orchestrator/apiserver/local_worker.h"
#include "orchestrator/apiserver/loop_queue.h"
#include "orchestrator/apiserver/request.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/verbs/watch.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/list.h"
#include "podium/base/log.h"

/* Events delivered in one turn of the loop. */
#define EVENTS_PER_TURN 256
/* Who names no field manager in-process is a controller. */
#define INTERNAL_AGENT "podium-controller"
/* Timers of watches need no precision. */
#define TIMER_ACCURACY_USEC (5 * USEC_PER_SEC)

struct local_client {
    struct client client; /* first: what callers hold */
    sd_event *loop;
    struct apiserver *api;
    struct api_user user;
    struct authz_memo memo;       /* the user's: the loop's thread */
    struct authz_memo calls_memo; /* … the worker's */
    struct loop_queue *queue;
    struct local_worker *worker; /* calls run there, from the first step to the answer */
    struct list calls, watches;
};

struct client_call {
    struct loop_task task; /* in the worker's queue, or with the answer in the loop's */
    struct list link;      /* the loop's thread, as done, userdata and cancelled */
    struct local_client *owner;
    client_done_fn done;
    void *userdata;
    bool cancelled;
    bool unknown, code_only;
    struct api_request *req; /* the worker's; NULL once answered */
    int code;
    struct json *object;
};

struct client_watch {
    struct loop_task task;
    struct list link;
    struct local_client *owner;
    struct api_request *req;
    struct api_watch *watch; /* NULL: the request failed, its Status is in req->out */
    sd_event_source *timer;
    client_event_fn event;
    void *userdata;
    atomic_bool queued;
    bool delivering, cancelled;
};

/* --- requests --- */

static const char *const verb_names[] = {
    [CLIENT_GET] = "get",
    [CLIENT_LIST] = "list",
    [CLIENT_CREATE] = "create",
    [CLIENT_UPDATE] = "update",
    [CLIENT_PATCH] = "patch",
    [CLIENT_DELETE] = "delete",
    [CLIENT_DELETE_COLLECTION] = "deletecollection",
};

static struct api_request *request_from(struct local_client *c, const struct client_request *r, const char *verb) {
    struct api_request *req = api_request_new(c->api);
    req->verb = verb;
    req->resource = r->resource;
    req->sub = r->subresource && *r->subresource ? resource_subresource(r->resource, r->subresource) : NULL;
    req->ns = xstrdup(r->ns ? r->ns : "");
    req->name = xstrdup(r->name ? r->name : "");
    req->user = &c->user;
    req->memo = &c->memo;
    req->user_agent = xstrdup(INTERNAL_AGENT);
    req->body_doc = json_ref(r->body);
    req->patch_type = r->patch_type;
    req->keeps = r->keeps;
    api_param_set(req, "labelSelector", r->label_selector);
    api_param_set(req, "fieldSelector", r->field_selector);
    api_param_set(req, "resourceVersion", r->resource_version);
    api_param_set(req, "continue", r->continue_token);
    api_param_set(req, "fieldManager", r->field_manager);
    api_param_set(req, "fieldValidation", r->strict ? "Strict" : "Ignore");
    api_param_set(req, "dryRun", r->dry_run ? "All" : NULL);
    api_param_set(req, "force", r->force ? "true" : NULL);
    api_param_set(req, "allowWatchBookmarks", r->allow_bookmarks ? "true" : NULL);
    if (r->limit > 0)
        api_request_add_param(req, xstrdup("limit"), xasprintf("%u", r->limit));
    return req;
}

static bool is_unknown(const struct api_request *req, const struct client_request *r) {
    return r->subresource && *r->subresource && !req->sub;
}

static enum api_progress begin(struct api_request *req, bool unknown) {
    if (unknown)
        return api_unknown_path(req);
    if (req->api->audit)
        audit_begin(req, &(struct audit_source){0}, true);
    return api_request_start(req);
}

static struct json *result_object(const struct api_request *req) {
    const struct api_response *out = &req->out;
    switch (out->kind) {
    case API_OUT_OBJECT:
        return out->item ? store_item_read(out->item) : json_ref(out->object);
    case API_OUT_LIST:
        return list_document(req);
    case API_OUT_TEXT:
        return json_string_len(strbuf_str(&out->text), out->text.len);
    case API_OUT_NONE:
    case API_OUT_WATCH:
    case API_OUT_STREAM:
    case API_OUT_BACKUP:
        break;
    }
    return NULL;
}

/* --- calls --- */

/* On the loop's thread. */
static void call_deliver(struct loop_task *task) {
    struct client_call *call = container_of(task, struct client_call, task);
    _cleanup_json_ struct json *object = call->object;
    bool status = strcmp(json_str_or(json_get(object, "kind"), ""), "Status") == 0;
    struct client_result result = {
        .code = call->code,
        .object = object,
        .reason = status ? json_str_or(json_get(object, "reason"), "") : "",
        .message = status ? json_str_or(json_get(object, "message"), "") : "",
    };
    client_done_fn done = call->cancelled ? NULL : call->done;
    void *userdata = call->userdata;

    if (result.code == 403 && strstr(result.message, "\" cannot ")) /* the roles of a part of ours are too few */
        log_warning("in-process request refused: %s", result.message);
    /* Freed first: the callback may free the client. The object is held here. */
    list_remove(&call->link);
    free(call);
    if (done)
        done(userdata, &result);
}

/* On the worker: what costs (reading the answer, freeing the request) is not the loop's. */
static void call_finish(struct client_call *call) {
    call->code = (int) call->req->out.code;
    if (!call->code_only || call->code >= 300)
        call->object = result_object(call->req);
    api_request_free(steal(&call->req));
    call->task.run = call_deliver;
    loop_queue_post(call->owner->queue, &call->task);
}

static void call_step(struct loop_task *task) {
    struct client_call *call = container_of(task, struct client_call, task);

    if (api_request_step(call->req) == API_DONE)
        call_finish(call);
}

static void call_begin(struct loop_task *task) {
    struct client_call *call = container_of(task, struct client_call, task);

    task->run = call_step; /* before the request begins: it may be resumed at once */
    if (begin(call->req, call->unknown) == API_DONE)
        call_finish(call);
}

/* On the commit thread. */
static void call_resume(struct api_request *req) {
    struct client_call *call = req->transport;
    local_worker_post(call->owner->worker, &call->task);
}

static struct client_call *local_start(struct client *client, const struct client_request *r, client_done_fn done,
                                       void *userdata) {
    struct local_client *c = container_of(client, struct local_client, client);
    struct client_call *call = xnew0(struct client_call);
    call->owner = c;
    call->req = request_from(c, r, verb_names[r->verb]);
    call->req->memo = &c->calls_memo;
    call->unknown = is_unknown(call->req, r);
    call->code_only = r->code_only;
    call->done = done;
    call->userdata = userdata;
    call->task.run = call_begin;
    list_init(&call->task.link);
    list_append(&c->calls, &call->link);
    call->req->transport = call;
    call->req->resume = call_resume;
    local_worker_post(c->worker, &call->task);
    return call;
}

/* What was asked for happens all the same, only nobody is told. */
static void local_cancel(struct client *client, struct client_call *call) {
    if (call)
        call->cancelled = true;
}

/* --- watches --- */

static void watch_free(struct client_watch *w) {
    list_remove(&w->link);
    api_watch_free(w->watch); /* after this nothing posts the task any more */
    loop_queue_withdraw(w->owner->queue, &w->task);
    (void) sd_event_source_disable_unref(w->timer);
    api_request_free(w->req);
    free(w);
}

static void watch_post(struct client_watch *w) {
    if (!atomic_exchange(&w->queued, true))
        loop_queue_post(w->owner->queue, &w->task);
}

static void watch_woken(void *userdata) {
    watch_post(userdata);
}

static int watch_due(sd_event_source *source, uint64_t usec, void *userdata) {
    watch_post(userdata);
    return 0;
}

/* False: the watch was cancelled by the callback and is gone. */
static bool emit(struct client_watch *w, const char *type, struct json *object) {
    w->delivering = true;
    w->event(w->userdata, type, object);
    w->delivering = false;
    if (!w->cancelled)
        return true;
    watch_free(w);
    return false;
}

static void end(struct client_watch *w, const char *type, struct json *object) {
    if (emit(w, type, object))
        watch_free(w);
}

static void set_timer(struct client_watch *w) {
    uint64_t due = api_watch_due(w->watch);
    if (w->timer) {
        (void) sd_event_source_set_time(w->timer, due);
        (void) sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
        return;
    }
    (void) sd_event_add_time(w->owner->loop, &w->timer, CLOCK_MONOTONIC, due, TIMER_ACCURACY_USEC, watch_due, w);
}

static void watch_failed(struct client_watch *w) {
    _cleanup_json_ struct json *status = result_object(w->req);
    end(w, "ERROR", status);
}

static struct json *event_object(const struct client_watch *w, const struct watch_event *e) {
    if (!e->item)
        return json_ref(e->object);
    return w->req->keeps ? json_ref(store_item_doc(e->item)) : store_item_read(e->item);
}

static void watch_run(struct loop_task *task) {
    struct client_watch *w = container_of(task, struct client_watch, task);
    atomic_store(&w->queued, false);
    if (!w->watch) {
        watch_failed(w);
        return;
    }
    for (unsigned i = 0; i < EVENTS_PER_TURN; i++) {
        struct watch_event e;
        int r = api_watch_next(w->watch, &e);
        if (r == 0) {
            set_timer(w);
            return;
        }
        if (r < 0) {
            end(w, "CLOSED", NULL);
            return;
        }
        _cleanup_json_ struct json *object = event_object(w, &e);
        if (strcmp(e.type, "ERROR") == 0) {
            end(w, "ERROR", object);
            return;
        }
        if (!emit(w, e.type, object))
            return;
    }
    watch_post(w);
}

static struct client_watch *local_watch(struct client *client, const struct client_request *r, client_event_fn event,
                                        void *userdata) {
    struct local_client *c = container_of(client, struct local_client, client);
    struct client_watch *w = xnew0(struct client_watch);
    w->owner = c;
    w->req = request_from(c, r, "watch");
    w->req->watch_allowed = true;
    w->event = event;
    w->userdata = userdata;
    w->task.run = watch_run;
    list_init(&w->task.link);
    list_append(&c->watches, &w->link);
    (void) begin(w->req, is_unknown(w->req, r)); /* a watch is open, or refused, at once */
    if (w->req->out.kind == API_OUT_WATCH) {
        w->watch = steal(&w->req->out.watch);
        if (w->req->audit)
            audit_answered(w->req, 200, true);
        api_watch_set_wake(w->watch, watch_woken, w);
        api_watch_hold(w->watch); /* when the loop is behind, listing everything anew would put it behind for good */
    }
    watch_post(w);
    return w;
}

static void local_watch_cancel(struct client *client, struct client_watch *w) {
    if (!w)
        return;
    w->cancelled = true;
    if (!w->delivering)
        watch_free(w);
}

/* --- the client --- */

static void local_free(struct client *client) {
    struct local_client *c = container_of(client, struct local_client, client);
    struct client_watch *w;
    struct client_call *call;
    list_foreach(w, &c->watches, link) watch_free(w);
    list_foreach(call, &c->calls, link) local_cancel(client, call);
    while (!list_empty(&c->calls))
        loop_queue_wait(c->queue);
    local_worker_free(c->worker);
    loop_queue_free(c->queue);
    api_user_finish(&c->user);
    (void) sd_event_unref(c->loop);
    free(c);
}

static const struct client_ops local_ops = {
    .start = local_start,
    .cancel = local_cancel,
    .watch = local_watch,
    .watch_cancel = local_watch_cancel,
    .free = local_free,
};

int local_client_new(sd_event *loop, struct apiserver *api, const char *user, char *const *groups, struct client **ret,
                     struct error *err) {
    struct local_client *c = xnew0(struct local_client);
    c->client.ops = &local_ops;
    c->api = api;
    list_init(&c->calls);
    list_init(&c->watches);
    int r = loop_queue_new(loop, &c->queue, err);
    if (r >= 0)
        r = local_worker_new(&c->worker, err);
    if (r < 0) {
        loop_queue_free(c->queue);
        free(c);
        return r;
    }
    c->loop = sd_event_ref(loop);
    c->user.name = xstrdup(user);
    c->user.groups = strv_new();
    for (; groups && *groups; groups++)
        strv_push_dup(&c->user.groups, *groups);
    strv_push_dup(&c->user.groups, "system:authenticated");
    *ret = &c->client;
    return 0;
}
