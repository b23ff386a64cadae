/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/bootstrap.h"

#include <semaphore.h>
#include <string.h>

#include "orchestrator/apiserver/authz/reconcile.h"
#include "orchestrator/apiserver/bootstrap_files.h"
#include "orchestrator/apiserver/request.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/manifest/yaml.h"
#include "podium/base/alloc.h"

struct documents {
    struct json **items; /* references */
    size_t n, cap;
};

/* A write under way: all are submitted before the first is waited for. */
struct pending {
    struct api_request *req;
    enum api_progress progress;
    sem_t done;
};

struct batch {
    struct apiserver *api;
    struct api_user self;
    struct pending **items;
    size_t n, cap;
};

static void documents_finish(struct documents *d) {
    for (size_t i = 0; i < d->n; i++)
        json_unref(d->items[i]);
    free(d->items);
}

static int read_files(struct documents *d, struct error *err) {
    for (size_t f = 0; f < bootstrap_files_n; f++) {
        struct json **docs = NULL;
        size_t n = 0;
        const char *text = bootstrap_files[f].text;
        int r = yaml_parse_documents(bootstrap_files[f].name, text, strlen(text), &docs, &n, err);
        if (r < 0)
            return r;
        for (size_t i = 0; i < n; i++) {
            xgrow(&d->items, d->n, &d->cap);
            d->items[d->n++] = json_ref(docs[i]);
        }
        yaml_documents_free(docs, n);
    }
    return 0;
}

static void resumed(struct api_request *req) {
    (void) sem_post(req->transport);
}

/* Through the same door as everybody: decoded, defaulted, validated. */
static void submit(struct batch *b, const struct resource *r, const char *verb, const char *name, struct json *doc) {
    struct pending *p = xnew0(struct pending);
    struct api_request *req = p->req = api_request_new(b->api);
    (void) sem_init(&p->done, 0, 0);
    req->resource = r;
    req->verb = verb;
    req->user = &b->self;
    req->user_agent = xstrdup("podium-server");
    req->ns = xstrdup(r->namespaced ? json_str_or(json_path(doc, "metadata", "namespace"), "") : "");
    req->name = xstrdup(strcmp(verb, "create") == 0 ? "" : name);
    req->body_doc = json_ref(doc);
    req->transport = &p->done;
    req->resume = resumed;
    p->progress = api_request_start(req);
    xgrow(&b->items, b->n, &b->cap);
    b->items[b->n++] = p;
}

static int concluded(const struct api_request *req, struct error *err) {
    /* Somebody else may have made or changed it in between: the next start looks again. */
    if (req->out.code == 200 || req->out.code == 201 || req->out.code == 409)
        return 0;
    return error_set(err, -EIO, "cannot %s bootstrap object %s \"%s\": %s", req->verb, req->resource->kind,
                     json_str_or(json_path(req->body_doc, "metadata", "name"), ""),
                     json_str_or(json_get(req->out.object, "message"), "unknown reason"));
}

/* Waits for all; the first failure is told. */
static int settle(struct batch *b, struct error *err) {
    int result = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct pending *p = b->items[i];
        while (p->progress == API_PENDING) {
            while (sem_wait(&p->done) < 0)
                ;
            p->progress = api_request_step(p->req);
        }
        if (result == 0)
            result = concluded(p->req, err);
        p->req->transport = NULL;
        api_request_free(p->req);
        (void) sem_destroy(&p->done);
        free(p);
    }
    b->n = 0;
    return result;
}

static int ensure(struct batch *b, struct json *doc, struct error *err) {
    const char *name = json_str_or(json_path(doc, "metadata", "name"), "");
    const char *ns = json_str_or(json_path(doc, "metadata", "namespace"), "");
    const struct resource *r =
        resource_by_api_version(json_str(json_get(doc, "apiVersion")), json_str(json_get(doc, "kind")));
    if (!r)
        return error_set(err, -EINVAL, "the bootstrap object \"%s\" is of no known kind", name);
    _cleanup_(store_item_unrefp) struct store_item *item = store_get(b->api->store, r->key, ns, name);
    if (!item) {
        submit(b, r, "create", name, doc);
        return 0;
    }
    _cleanup_json_ struct json *better = reconcile_access(store_item_doc(item), doc);
    if (better)
        submit(b, r, "update", name, better);
    return 0;
}

static int ensure_all(struct batch *b, const struct documents *d, bool namespaces, struct error *err) {
    int r = 0;
    for (size_t i = 0; i < d->n && r >= 0; i++)
        if ((strcmp(json_str_or(json_get(d->items[i], "kind"), ""), "Namespace") == 0) == namespaces)
            r = ensure(b, d->items[i], err);
    int settled = settle(b, r < 0 ? NULL : err);
    return r < 0 ? r : settled;
}

int bootstrap_objects(struct apiserver *api, struct error *err) {
    char *groups[] = {(char[]){"system:masters"}, NULL};
    struct batch b = {.api = api, .self = {.name = (char[]){"system:apiserver"}, .groups = groups}};
    _cleanup_(documents_finish) struct documents d = {0};
    int r = read_files(&d, err);
    if (r >= 0) {
        reconcile_defaults(d.items, d.n);
        r = ensure_all(&b, &d, true, err);
    }
    if (r >= 0)
        r = ensure_all(&b, &d, false, err);
    free(b.items);
    return r;
}
