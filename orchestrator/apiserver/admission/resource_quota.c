/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ResourceQuota: what would go beyond a quota is refused, exactly, however many ask at once (quota_ledger.h). Decisions
 * and texts are upstream's (pkg/quota/v1 and the plugin of this name); differences: spec.hard counts at once instead of
 * when a controller has copied it into the status, and a write that fails afterwards costs nothing.
 *
 * Namespaces without quotas pay one look into the store's index.
 */
#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/quota_ledger.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/apiserver/versions.h"
#include "orchestrator/object/quota/usage.h"
#include "podium/base/alloc.h"

#define QUOTAS "resourcequotas"

struct quotas {
    struct store_list items;
    struct json **docs;
};

static void quotas_finish(struct quotas *q) {
    store_list_finish(&q->items);
    free(q->docs);
}

static bool is_key(const struct resource *r, const char *key) {
    return strcmp(r->key, key) == 0;
}

/* Whether a write of this kind can need more than there was. */
static bool is_charged(const struct api_request *req, const struct json *old) {
    const struct resource *r = req->resource;
    if (!r->namespaced || !*req->ns || !quota_counts(r))
        return false;
    if (req->sub)
        return old && is_key(r, "pods") && strcmp(req->sub->name, "resize") == 0;
    return !old || is_key(r, "services") || is_key(r, "persistentvolumeclaims");
}

/* False: the namespace has none. */
static bool find_quotas(struct api_request *req, struct quotas *ret) {
    *ret = (struct quotas){0};
    if (store_count(req->api->store, QUOTAS) == 0 ||
        store_list(req->api->store, QUOTAS, req->ns, NULL, NULL, 0, 0, &ret->items) < 0)
        return false;
    ret->docs = xcalloc(ret->items.n + 1, sizeof(*ret->docs));
    for (size_t i = 0; i < ret->items.n; i++)
        ret->docs[i] = (struct json *) store_item_doc(ret->items.items[i]);
    return ret->items.n > 0;
}

static const char *name_of(const struct json *doc) {
    return json_str_or(json_path(doc, "metadata", "name"), "");
}

static bool everything_is_said(struct api_request *req, const struct quotas *q, const struct json *doc) {
    for (size_t i = 0; i < q->items.n; i++) {
        const struct json *spec = json_get(q->docs[i], "spec");
        if (!quota_matches(spec, req->resource, doc))
            continue;
        _cleanup_free_ char *missing = quota_missing(spec, req->resource, doc);
        if (!missing)
            continue;
        (void) api_forbidden(req, name_of(doc), "failed quota: %s: must specify %s", name_of(q->docs[i]), missing);
        return false;
    }
    return true;
}

/* What the write needs beyond what the object has: only members that are more than zero. */
static struct amounts demand_of(const struct resource *r, const struct json *old, const struct json *doc) {
    _cleanup_amounts_ struct amounts now = {0}, before = {0};
    struct amounts demand = {0};
    quota_usage(r, doc, false, &now);
    if (old)
        quota_usage(r, old, false, &before);
    for (size_t i = 0; i < now.n; i++) {
        const struct quantity *had = amounts_get(&before, now.items[i].name);
        struct quantity more = now.items[i].value;
        if (had)
            quantity_subtract(&more, had);
        if (more.nano > 0)
            amounts_add_to(&demand, now.items[i].name, &more);
    }
    return demand;
}

static void add_pair(struct strbuf *b, const char *name, const struct quantity *q) {
    _cleanup_free_ char *text = quantity_text(q);
    strbuf_addf(b, "%s%s=%s", b->len ? "," : "", name, text);
}

/* False: answered. */
static bool fits(struct api_request *req, const struct quota_page *p, size_t i, const struct amounts *demand,
                 const struct json *doc) {
    const struct json *hard = json_get(quota_page_spec(p, i), "hard");
    _cleanup_strbuf_ struct strbuf requested = STRBUF_INIT, used = STRBUF_INIT, limited = STRBUF_INIT;
    for (size_t k = 0; k < demand->n; k++) {
        const struct amount *wanted = &demand->items[k];
        struct quantity limit, had, sum;
        if (!quantity_read(json_get(hard, wanted->name), &limit))
            continue;
        sum = had = quota_page_used(p, i, wanted->name);
        quantity_add(&sum, &wanted->value);
        if (sum.nano <= limit.nano)
            continue;
        add_pair(&requested, wanted->name, &wanted->value);
        add_pair(&used, wanted->name, &had);
        add_pair(&limited, wanted->name, &limit);
    }
    if (requested.len == 0)
        return true;
    (void) api_forbidden(req, name_of(doc), "exceeded quota: %s, requested: %s, used: %s, limited: %s",
                         quota_page_name(p, i), strbuf_str(&requested), strbuf_str(&used), strbuf_str(&limited));
    return false;
}

static bool charge(struct api_request *req, const struct quotas *q, const struct amounts *demand, struct json *doc) {
    struct quota_ledger *l = req->api->quotas;
    const struct resource *r = resource_storage(req->resource);
    bool fine = true, matched = false;
    struct quota_page *p = quota_ledger_begin(l, req->ns, r, q->docs, q->items.n);
    for (size_t i = 0; fine && i < quota_page_len(p); i++) {
        if (!quota_matches(quota_page_spec(p, i), r, doc))
            continue;
        matched = true;
        fine = fits(req, p, i, demand, doc);
    }
    if (fine && matched && !req->dry_run)
        req->quota = quota_page_grant(p, name_of(doc), doc);
    quota_ledger_end(l);
    return fine;
}

bool resource_quota_validate(struct api_request *req, const struct json *old, const struct json *doc) {
    _cleanup_(quotas_finish) struct quotas q = {0};
    resource_quota_settle(req); /* of an earlier attempt */
    if (!is_charged(req, old) || !find_quotas(req, &q))
        return true;
    _cleanup_json_ struct json *stored = version_stored(req->resource, (struct json *) doc);
    _cleanup_amounts_ struct amounts demand = demand_of(req->resource, old, stored);
    return everything_is_said(req, &q, stored) && (demand.n == 0 || charge(req, &q, &demand, stored));
}

void resource_quota_settle(struct api_request *req) {
    if (req->quota)
        quota_ledger_settle(req->api->quotas, steal(&req->quota));
}
