/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/write.h"

#include <string.h>

#include "orchestrator/apiserver/authz/rbac.h"
#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/service_pool.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/versions.h"
#include "podium/base/alloc.h"

static enum api_progress attempt(struct api_request *req);

const struct json *api_written_doc(struct api_request *req, struct store_item *item) {
    if (!item)
        return req->out.object;
    json_unref(req->write.old_doc);
    return req->write.old_doc = version_shown(req->resource, item);
}

static enum api_progress finish(struct api_request *req, struct store_item *item) {
    enum mutate_action action = req->write.action;
    if (req->write.done)
        return req->write.done(req, item, action);
    unsigned code = action == MUTATE_CREATE ? 201 : 200;
    if (item)
        return api_reply_item(req, code, item);
    struct json *doc = steal(&req->out.object);
    return api_reply_object(req, code, doc);
}

/* Nothing was written: the answer shows what mutate made, or what is stored. */
static enum api_progress keep(struct api_request *req) {
    return finish(req, req->write.shown ? NULL : req->write.old);
}

void api_write_committed(void *userdata, int result, struct store_item *item) {
    struct api_request *req = userdata;
    if (strcmp(req->resource->group, "rbac.authorization.k8s.io") == 0)
        rbac_touch(req->api->rbac); /* what is asked after the answer is decided by it */
    req->write.result = result;
    store_item_unref(req->write.item);
    req->write.item = item ? store_item_ref(item) : NULL;
    req->resume(req);
}

static bool lost_race(const struct api_request *req, int result) {
    /* A creation by a plain POST conflicts for good; one by PUT or apply finds the object when it looks again. */
    return result == -ESTALE || result == -ECANCELED || (result == -ENOENT && req->write.action != MUTATE_CREATE) ||
           (result == -EEXIST && req->write.action == MUTATE_CREATE);
}

static enum api_progress concluded(struct api_request *req) {
    int r = req->write.result;
    service_pool_settle(req);
    resource_quota_settle(req);
    if (r == 0)
        return finish(req, req->write.item);
    if (lost_race(req, r) && (!req->write.conditional || r == -ECANCELED) && ++req->write.attempts < WRITE_ATTEMPTS_MAX)
        return attempt(req);
    (void) api_store_failure(req, req->name, r);
    return r == -EEXIST || r == -ENOENT || r == -ESTALE ? api_settle(req, attempt) : API_DONE;
}

int api_submit(struct api_request *req, const struct store_write *w) {
    int r = store_submit(req->api->store, w, api_write_committed, req);
    if (r != -E2BIG || json_is_null(json_path(w->doc, "metadata", "managedFields")))
        return r;
    _cleanup_json_ struct json *less = json_ref(w->doc);
    struct store_write again = *w;
    json_del(json_edit(&less, "metadata"), "managedFields");
    again.doc = less;
    return store_submit(req->api->store, &again, api_write_committed, req);
}

static enum api_progress submit(struct api_request *req, struct json *doc) {
    static const enum store_op ops[] = {
        [MUTATE_WRITE] = STORE_UPDATE, [MUTATE_CREATE] = STORE_CREATE, [MUTATE_DELETE] = STORE_DELETE};
    _cleanup_json_ struct json *stored = doc ? version_stored(req->resource, doc) : NULL;
    struct store_write w = {
        .op = ops[req->write.action],
        .resource = req->resource->key,
        .ns = req->ns,
        .name = req->name,
        .doc = stored,
        .expect_revision = req->write.old ? store_item_revision(req->write.old) : 0,
    };
    req->next = concluded;
    int r = api_submit(req, &w);
    if (r == 0)
        return API_PENDING;
    req->write.result = r;
    return concluded(req);
}

static void settled(void *userdata, int result, struct store_item *item) {
    struct api_request *req = userdata;
    req->write.result = result;
    req->resume(req);
}

static enum api_progress answer_settled(struct api_request *req) {
    if (req->write.result == 0 && store_failures(req->api->store) == req->write.failures)
        return req->write.action == MUTATE_KEEP ? keep(req) : API_DONE;
    service_pool_settle(req);
    resource_quota_settle(req);
    if (++req->write.attempts < WRITE_ATTEMPTS_MAX)
        return req->write.again(req);
    return api_store_failure(req, req->name, -ECANCELED);
}

enum api_progress api_settle(struct api_request *req, api_step_fn again) {
    req->write.result = 0;
    req->write.again = again;
    req->next = answer_settled;
    if (!req->dry_run && store_settle(req->api->store, req->resource->key, req->ns, req->name, settled, req))
        return API_PENDING;
    return answer_settled(req);
}

static enum api_progress attempt(struct api_request *req) {
    _cleanup_json_ struct json *doc = NULL;
    store_item_unref(req->write.old);
    req->write.failures = store_failures(req->api->store);
    req->write.old = store_get_submitted(req->api->store, req->resource->key, req->ns, req->name);
    json_unref(req->write.old_doc);
    req->write.old_doc = req->write.old ? version_shown(req->resource, req->write.old) : NULL;
    req->write.action = req->write.fn(req, req->write.old_doc, &doc);
    if (req->write.action == MUTATE_FAILED)
        return api_settle(req, attempt);
    if (req->write.action != MUTATE_KEEP && !req->dry_run)
        return submit(req, doc);
    req->write.shown = doc != NULL;
    if (doc) {
        json_unref(req->out.object);
        req->out.object = steal(&doc);
    }
    return req->write.action == MUTATE_KEEP ? api_settle(req, attempt) : keep(req);
}

enum api_progress api_mutate(struct api_request *req, mutate_fn fn, written_fn done) {
    req->write.fn = fn;
    req->write.done = done;
    req->write.attempts = 0;
    return attempt(req);
}
