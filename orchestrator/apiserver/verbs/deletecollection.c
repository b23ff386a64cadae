/* SPDX-License-Identifier: GPL-2.0-or-later */
/* DELETE on a collection: the list of what is meant, deleted one after another; objects that vanish meanwhile are fine.
 * Answers with the list as it was. */
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/verbs/deletion.h"
#include "orchestrator/apiserver/verbs/verbs.h"
#include "orchestrator/apiserver/write.h"
#include "podium/base/alloc.h"

struct collection {
    struct delete_options options;
    struct api_response list; /* what verb_list answered */
    size_t at;
    bool in_loop; /* delete_next() is on the stack and goes on by itself */
};

static enum api_progress delete_next(struct api_request *req);

static void collection_free(void *p) {
    struct collection *c = p;
    delete_options_finish(&c->options);
    for (size_t i = 0; i < c->list.n_items; i++)
        store_item_unref(c->list.items[i]);
    free(c->list.items);
    free(c->list.continue_token);
    free(c);
}

static enum mutate_action delete_one(struct api_request *req, struct store_item *old, struct json **doc) {
    struct collection *c = req->scratch;
    return old ? deletion_decide(req, &c->options, old, doc) : MUTATE_KEEP;
}

static enum api_progress deleted(struct api_request *req, struct store_item *item, enum mutate_action action) {
    struct collection *c = req->scratch;
    c->at++;
    return c->in_loop ? API_DONE : delete_next(req);
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

static void aim_at(struct api_request *req, struct store_item *i) {
    free(req->name);
    req->name = xstrdup(store_item_name(i));
    free(req->ns);
    req->ns = xstrdup(store_item_namespace(i));
}

/* A loop, not a recursion: thousands of objects may need no write at all (dry run). */
static enum api_progress delete_next(struct api_request *req) {
    struct collection *c = req->scratch;
    c->in_loop = true;
    while (c->at < c->list.n_items) {
        size_t before = c->at;
        aim_at(req, c->list.items[c->at]);
        enum api_progress p = api_mutate(req, delete_one, deleted);
        if (p == API_PENDING || c->at == before) { /* under way, or failed with an answer */
            c->in_loop = false;
            return p;
        }
    }
    return finish(req);
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
    return delete_next(req);
}
