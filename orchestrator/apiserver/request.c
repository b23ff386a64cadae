/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/request.h"

#include <errno.h>
#include <semaphore.h>
#include <stdarg.h>
#include <string.h>

#include "orchestrator/apiserver/audit/audit.h"
#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/routes.h"
#include "orchestrator/apiserver/service_pool.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/subresources/stream.h"
#include "orchestrator/apiserver/versions.h"
#include "orchestrator/store/backup.h"
#include "orchestrator/apiserver/verbs/watch.h"
#include "podium/base/alloc.h"
#include "podium/base/limits.h"

void api_user_finish(struct api_user *u) {
    free(u->name);
    free(u->uid);
    strv_free(u->groups);
    json_unref(u->extra);
    *u = (struct api_user){0};
}

struct api_request *api_request_new(struct apiserver *api) {
    struct api_request *req = xnew0(struct api_request);
    req->api = api;
    req->body.max = OBJECT_BYTES_MAX;
    req->out.remaining = -1;
    return req;
}

static void response_finish(struct api_response *out) {
    json_unref(out->object);
    store_item_unref(out->item);
    for (size_t i = 0; i < out->n_items; i++)
        store_item_unref(out->items[i]);
    free(out->items);
    free(out->continue_token);
    strbuf_finish(&out->text);
    free(out->etag);
    free(out->location);
    api_watch_free(out->watch);
    api_stream_free(out->stream);
    store_backup_free(out->backup);
    strv_free(out->warnings);
}

/* Forgets a half-made answer, but not its warnings. */
static void response_reset(struct api_response *out) {
    char **warnings = steal(&out->warnings);
    response_finish(out);
    *out = (struct api_response){.warnings = warnings, .remaining = -1};
}

static void user_free(struct api_user *u) {
    if (!u)
        return;
    api_user_finish(u);
    free(u);
}

void api_request_set_user(struct api_request *req, struct api_user *take) {
    if (req->user_owned)
        user_free((struct api_user *) req->user);
    req->user = take;
    req->memo = NULL; /* another user's */
    req->user_owned = take != NULL;
}

void api_request_free(struct api_request *req) {
    if (!req)
        return;
    if (req->audit)
        audit_end(req);
    service_pool_settle(req);
    resource_quota_settle(req);
    for (size_t i = 0; i < req->n_params; i++) {
        free(req->params[i].key);
        free(req->params[i].value);
    }
    free(req->params);
    free(req->method);
    free(req->path);
    free(req->content_type);
    free(req->accept);
    free(req->user_agent);
    free(req->if_none_match);
    free(req->group);
    free(req->version);
    free(req->plural);
    free(req->subname);
    free(req->ns);
    free(req->name);
    strbuf_finish(&req->body);
    json_unref(req->body_doc);
    json_unref(req->input);
    store_item_unref(req->write.old);
    store_item_unref(req->write.item);
    json_unref(req->write.old_doc);
    if (req->scratch_free)
        req->scratch_free(req->scratch);
    user_free(req->as);
    api_request_set_user(req, NULL);
    response_finish(&req->out);
    free(req);
}

void api_request_add_param(struct api_request *req, char *key, char *value) {
    xgrow(&req->params, req->n_params, &req->cap_params);
    req->params[req->n_params++] = (struct api_param){key, value};
}

const char *api_param(const struct api_request *req, const char *key) {
    for (size_t i = 0; i < req->n_params; i++)
        if (strcmp(req->params[i].key, key) == 0)
            return req->params[i].value;
    return NULL;
}

bool api_param_bool(const struct api_request *req, const char *key) {
    const char *v = api_param(req, key);
    return v && strcmp(v, "0") != 0 && strcasecmp(v, "false") != 0;
}

void api_param_set(struct api_request *req, const char *key, const char *value) {
    if (value)
        api_request_add_param(req, xstrdup(key), xstrdup(value));
}

void api_warn(struct api_request *req, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    _cleanup_free_ char *text = xvasprintf(fmt, ap);
    va_end(ap);
    if (!req->out.warnings)
        req->out.warnings = strv_new();
    for (char **w = req->out.warnings; *w; w++)
        if (strcmp(*w, text) == 0)
            return;
    strv_push(&req->out.warnings, steal(&text));
}

bool api_param_revision(struct api_request *req, uint64_t *ret) {
    const char *rv = api_param(req, "resourceVersion");
    char *end = NULL;
    *ret = 0;
    if (!rv || !*rv)
        return true;
    errno = 0;
    *ret = strtoull(rv, &end, 10);
    if (errno == 0 && !*end && *rv >= '0' && *rv <= '9')
        return true;
    (void) api_bad_request(req, "invalid resource version: \"%s\": strconv.ParseUint: parsing \"%s\": invalid syntax",
                           rv, rv);
    return false;
}

enum api_progress api_reply_object(struct api_request *req, unsigned code, struct json *take) {
    response_reset(&req->out);
    req->out.kind = API_OUT_OBJECT;
    req->out.code = code;
    req->out.object = take;
    return API_DONE;
}

enum api_progress api_reply_item(struct api_request *req, unsigned code, struct store_item *item) {
    if (!req->resource->storage_version)
        return api_reply_object(req, code, version_shown(req->resource, item));
    struct store_item *keep = store_item_ref(item);
    response_reset(&req->out);
    req->out.kind = API_OUT_OBJECT;
    req->out.code = code;
    req->out.item = keep;
    return API_DONE;
}

enum api_progress api_reply_bytes(struct api_request *req, unsigned code, const char *content_type,
                                  struct strbuf *take) {
    response_reset(&req->out);
    req->out.kind = API_OUT_TEXT;
    req->out.code = code;
    req->out.content_type = content_type;
    req->out.text = *take;
    *take = (struct strbuf) STRBUF_INIT;
    return API_DONE;
}

enum api_progress api_reply_text(struct api_request *req, unsigned code, const char *content_type, char *take) {
    size_t n = strlen(take);
    struct strbuf b = {.data = take, .len = n, .cap = n + 1};
    return api_reply_bytes(req, code, content_type, &b);
}

enum api_progress api_request_start(struct api_request *req) {
    return route_request(req);
}

enum api_progress api_request_step(struct api_request *req) {
    api_step_fn next = req->next;
    req->next = NULL;
    return next(req);
}

static void post(struct api_request *req) {
    (void) sem_post(req->transport);
}

void api_request_run(struct api_request *req) {
    sem_t done;
    (void) sem_init(&done, 0, 0);
    req->transport = &done; /* cppcheck-suppress autoVariables ; taken back below */
    req->resume = post;
    enum api_progress p = api_request_start(req);
    while (p == API_PENDING) {
        while (sem_wait(&done) < 0)
            ;
        p = api_request_step(req);
    }
    req->transport = NULL;
    (void) sem_destroy(&done);
}
