/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DELETE on a collection: the list of what is meant, then deletions, a batch at a time under way together so that they
 * share the store's commits. Objects that vanish meanwhile are fine; the first real failure ends it. Answers with the
 * list as it was.
 */
#include <stdatomic.h>

#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/verbs/deletion.h"
#include "orchestrator/apiserver/verbs/verbs.h"
#include "orchestrator/apiserver/write.h"
#include "podium/base/alloc.h"

#define BATCH 64

struct collection {
    struct delete_options options;
    struct api_response list; /* what verb_list answered */
    size_t at;
    struct api_request *children[BATCH];
    bool pending[BATCH];
    size_t n_children;
    atomic_size_t under_way; /* pending children, and one for whoever is starting them */
};

static enum api_progress go_on(struct api_request *req);

static void collection_free(void *p) {
    struct collection *c = p;
    delete_options_finish(&c->options);
    for (size_t i = 0; i < c->n_children; i++)
        api_request_free(c->children[i]);
    for (size_t i = 0; i < c->list.n_items; i++)
        store_item_unref(c->list.items[i]);
    free(c->list.items);
    free(c->list.continue_token);
    free(c);
}

/* --- one object --- */

static enum mutate_action delete_one(struct api_request *child, const struct json *old, struct json **doc) {
    const struct api_request *parent = child->transport;
    const struct collection *c = parent->scratch;
    return old ? deletion_decide(child, &c->options, old, doc) : MUTATE_KEEP;
}

static enum api_progress deleted(struct api_request *child, struct store_item *item, enum mutate_action action) {
    child->out.code = 200;
    return API_DONE;
}

/* On the commit thread: the last one that comes back wakes the parent. */
static void child_resume(struct api_request *child) {
    struct api_request *parent = child->transport;
    struct collection *c = parent->scratch;
    if (atomic_fetch_sub(&c->under_way, 1) == 1)
        parent->resume(parent);
}

static struct api_request *child_new(struct api_request *parent, struct store_item *i) {
    struct api_request *child = api_request_new(parent->api);
    child->user = parent->user;
    child->verb = "delete";
    child->resource = parent->resource;
    child->ns = xstrdup(store_item_namespace(i));
    child->name = xstrdup(store_item_name(i));
    child->dry_run = parent->dry_run;
    child->transport = parent;
    child->resume = child_resume;
    return child;
}

/* --- batches --- */

static void start_batch(struct api_request *req) {
    struct collection *c = req->scratch;
    for (; c->n_children < BATCH && c->at < c->list.n_items; c->at++) {
        size_t i = c->n_children++;
        c->children[i] = child_new(req, c->list.items[c->at]);
        atomic_fetch_add(&c->under_way, 1);
        c->pending[i] = api_mutate(c->children[i], delete_one, deleted) == API_PENDING;
        if (!c->pending[i])
            atomic_fetch_sub(&c->under_way, 1);
    }
}

/* Those that came back: finished, or trying again. */
static void step_batch(struct collection *c) {
    for (size_t i = 0; i < c->n_children; i++) {
        if (!c->pending[i])
            continue;
        atomic_fetch_add(&c->under_way, 1);
        c->pending[i] = api_request_step(c->children[i]) == API_PENDING;
        if (!c->pending[i])
            atomic_fetch_sub(&c->under_way, 1);
    }
}

static bool any_pending(const struct collection *c) {
    for (size_t i = 0; i < c->n_children; i++)
        if (c->pending[i])
            return true;
    return false;
}

/* Frees a finished batch; true when a child failed, whose answer becomes the request's. */
static bool batch_failed(struct api_request *req) {
    struct collection *c = req->scratch;
    bool failed = false;
    for (size_t i = 0; i < c->n_children; i++) {
        struct api_request *child = c->children[i];
        if (!failed && child->out.code >= 400 && child->out.code != 404) {
            failed = true;
            (void) api_reply_object(req, child->out.code, json_ref(child->out.object));
        }
        api_request_free(child);
    }
    c->n_children = 0;
    return failed;
}

static enum api_progress finish(struct api_request *req) {
    struct collection *c = req->scratch;
    json_unref(req->out.object);
    char **warnings = req->out.warnings;
    req->out = c->list;
    req->out.warnings = warnings;
    c->list = (struct api_response){0};
    return API_DONE;
}

static enum api_progress go_on(struct api_request *req) {
    struct collection *c = req->scratch;
    for (;;) {
        atomic_store(&c->under_way, 1); /* ours: nobody wakes the request while this runs */
        req->next = go_on;
        if (c->n_children == 0)
            start_batch(req);
        else
            step_batch(c);
        bool pending = any_pending(c);
        if (pending && atomic_fetch_sub(&c->under_way, 1) > 1)
            return API_PENDING;
        if (pending) /* all are back already */
            continue;
        if (batch_failed(req))
            return API_DONE;
        if (c->at == c->list.n_items)
            return finish(req);
    }
}

enum api_progress verb_deletecollection(struct api_request *req) {
    struct collection *c = xnew0(struct collection);
    req->scratch = c;
    req->scratch_free = collection_free;
    if (!delete_options_read(req, &c->options))
        return API_DONE;
    (void) verb_list(req);
    if (req->out.kind != API_OUT_LIST)
        return API_DONE;
    c->list = req->out;
    req->out = (struct api_response){.remaining = -1, .warnings = c->list.warnings};
    c->list.warnings = NULL;
    return go_on(req);
}
