/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/quota_ledger.h"

#include <pthread.h>
#include <string.h>

#include "orchestrator/object/quota/tally.h"
#include "orchestrator/object/quota/usage.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"
#include "podium/base/list.h"

/* Pages of namespaces that have no quota any more are looked for when there are this many, and again at twice as many.
 */
#define PAGES_SWEEP_MIN 64

struct quota_ledger {
    struct store *store;
    pthread_mutex_t lock;
    struct hashmap *pages; /* "ns/key" */
    size_t sweep_at;
};

struct quota_page {
    struct quota_ledger *ledger;
    char *ns;
    const struct resource *resource;
    struct quota_tally *tally; /* of what is committed */
    struct store_watch *watch; /* NULL: the tally is not to be believed */
    struct hashmap *claims;    /* object's name → struct claim */
    struct amounts *granted;   /* per quota of the tally: what claims add to it */
    size_t n_granted;
};

/* A state of an object and what it uses, whoever counts it. */
struct state {
    struct json *doc; /* NULL: there is none, and nothing is used */
    struct amounts usage;
};

/* An object with writes under way. */
struct claim {
    struct quota_page *page;
    char *name;
    struct state committed; /* what the tally counts */
    struct list grants;
};

struct quota_grant {
    struct list link;
    struct claim *claim;
    struct state state;
};

static void state_set(struct state *s, const struct resource *r, struct json *doc) {
    json_unref(s->doc);
    amounts_finish(&s->usage);
    s->doc = json_ref(doc);
    if (doc)
        quota_usage(r, doc, false, &s->usage);
}

static void claim_free(void *p) {
    struct claim *c = p;
    state_set(&c->committed, NULL, NULL);
    free(c->name);
    free(c);
}

static void forget_granted(struct quota_page *p) {
    for (size_t i = 0; i < p->n_granted; i++)
        amounts_finish(&p->granted[i]);
    free(steal(&p->granted));
    p->n_granted = 0;
}

static void page_free(void *ptr) {
    struct quota_page *p = ptr;
    store_watch_close(p->watch);
    forget_granted(p);
    hashmap_free(p->claims);
    quota_tally_free(p->tally);
    free(p->ns);
    free(p);
}

struct quota_ledger *quota_ledger_new(struct store *store) {
    struct quota_ledger *l = xnew0(struct quota_ledger);
    l->store = store;
    l->pages = hashmap_new(page_free);
    l->sweep_at = PAGES_SWEEP_MIN;
    (void) pthread_mutex_init(&l->lock, NULL);
    return l;
}

void quota_ledger_free(struct quota_ledger *l) {
    if (!l)
        return;
    hashmap_free(l->pages);
    (void) pthread_mutex_destroy(&l->lock);
    free(l);
}

/* --- claims --- */

/* What the state uses of a quota; NULL when it is not in its scopes. */
static const struct amounts *usage_of(const struct quota_page *p, size_t quota, const struct state *s) {
    return s->doc && quota_matches(quota_tally_spec(p->tally, quota), p->resource, s->doc) ? &s->usage : NULL;
}

/* What the claim adds to the committed usage of a quota: where a granted state uses more. */
static struct amounts surplus_of(const struct claim *c, size_t quota) {
    const struct amounts *committed = usage_of(c->page, quota, &c->committed);
    struct amounts most = {0};
    struct quota_grant *g;
    if (committed)
        amounts_add(&most, committed);
    list_foreach(g, &c->grants, link) {
        const struct amounts *usage = usage_of(c->page, quota, &g->state);
        if (usage)
            amounts_raise(&most, usage);
    }
    if (committed)
        amounts_subtract(&most, committed);
    return most;
}

/* Nearly always there is one grant, of what then becomes committed. */
static bool has_no_surplus(const struct claim *c) {
    struct quota_grant *g;
    list_foreach(g, &c->grants, link) {
        if (g->state.doc != c->committed.doc &&
            !json_equal(json_get(g->state.doc, "spec"), json_get(c->committed.doc, "spec")))
            return false;
        if (!amounts_are_equal(&g->state.usage, &c->committed.usage))
            return false;
    }
    return true;
}

static void claim_count(struct claim *c, bool add) {
    struct quota_page *p = c->page;
    if (has_no_surplus(c))
        return;
    for (size_t i = 0; i < p->n_granted; i++) {
        _cleanup_amounts_ struct amounts surplus = surplus_of(c, i);
        if (add)
            amounts_add(&p->granted[i], &surplus);
        else
            amounts_subtract(&p->granted[i], &surplus);
    }
}

static void claim_committed(struct claim *c, struct json *doc) {
    claim_count(c, false);
    state_set(&c->committed, c->page->resource, doc);
    claim_count(c, true);
}

static void count_all_claims(struct quota_page *p) {
    struct hashmap_iter it = {0};
    p->n_granted = quota_tally_len(p->tally);
    p->granted = xcalloc(p->n_granted + 1, sizeof(*p->granted));
    while (hashmap_next(p->claims, &it))
        claim_count(it.value, true);
}

/* --- what is committed --- */

/* Nobody waits for these changes: they are looked at when needed. */
static void ignore_wake(void *userdata) {
}

static void forget_all(struct quota_page *p) {
    struct hashmap_iter it = {0};
    store_watch_close(steal(&p->watch));
    forget_granted(p);
    quota_tally_clear(p->tally);
    while (hashmap_next(p->claims, &it)) {
        struct claim *c = it.value;
        state_set(&c->committed, NULL, NULL);
    }
}

static void read_all(struct quota_page *p) {
    _cleanup_(store_list_finish) struct store_list all = {0};
    struct store *s = p->ledger->store;
    uint64_t now = now_realtime_usec();
    forget_all(p);
    if (store_list(s, p->resource->key, p->ns, NULL, NULL, 0, 0, &all) == 0) {
        for (size_t i = 0; i < all.n; i++) {
            _cleanup_json_ struct json *doc = store_item_read(all.items[i]);
            struct claim *c = hashmap_get(p->claims, store_item_name(all.items[i]));
            (void) quota_tally_change(p->tally, NULL, doc, now);
            if (c)
                state_set(&c->committed, p->resource, doc);
        }
        if (store_watch_open(s, p->resource->key, p->ns, all.revision, ignore_wake, p, &p->watch) < 0)
            p->watch = NULL; /* then all is read again next time */
    }
    count_all_claims(p);
}

static void take_event(struct quota_page *p, const struct store_event *e, uint64_t now) {
    _cleanup_json_ struct json *old = e->old ? store_item_read(e->old) : NULL;
    _cleanup_json_ struct json *doc = e->type == STORE_EVENT_DELETED ? NULL : store_item_read(e->item);
    struct claim *c = hashmap_get(p->claims, store_item_name(e->item));
    (void) quota_tally_change(p->tally, old, doc, now);
    if (c)
        claim_committed(c, doc);
}

static void catch_up(struct quota_page *p) {
    uint64_t now = now_realtime_usec(), next;
    struct store_event e;
    int r = p->watch ? 1 : -ESTALE;
    while (r > 0) {
        r = store_watch_next(p->watch, &e);
        if (r > 0)
            take_event(p, &e, now);
    }
    if (r < 0) /* too far behind, or the first time */
        read_all(p);
    (void) quota_tally_expire(p->tally, now, &next);
}

/* --- pages --- */

static bool has_quota(struct store *s, const char *ns) {
    _cleanup_(store_list_finish) struct store_list one = {0};
    return store_list(s, "resourcequotas", ns, NULL, NULL, 1, 0, &one) == 0 && one.n > 0;
}

static void sweep(struct quota_ledger *l) {
    struct hashmap_iter it = {0};
    if (hashmap_len(l->pages) < l->sweep_at)
        return;
    while (hashmap_next(l->pages, &it)) {
        const struct quota_page *p = it.value;
        if (hashmap_len(p->claims) == 0 && !has_quota(l->store, p->ns))
            (void) hashmap_remove(l->pages, it.key);
    }
    l->sweep_at = PAGES_SWEEP_MIN + 2 * hashmap_len(l->pages);
}

static struct quota_page *page_of(struct quota_ledger *l, const char *ns, const struct resource *r) {
    _cleanup_free_ char *key = xasprintf("%s/%s", ns, r->key);
    struct quota_page *p = hashmap_get(l->pages, key);
    if (p)
        return p;
    sweep(l);
    p = xnew0(struct quota_page);
    p->ledger = l;
    p->ns = xstrdup(ns);
    p->resource = r;
    p->tally = quota_tally_new(r);
    p->claims = hashmap_new(claim_free);
    hashmap_put(l->pages, key, p);
    return p;
}

/* The claim on an object, whose committed state must be that of the tally: the store shows the same before and after
 * the tally has caught up with it. */
static void make_claim(struct quota_page *p, const char *name) {
    struct store *s = p->ledger->store;
    _cleanup_(store_item_unrefp) struct store_item *item = store_get(s, p->resource->key, p->ns, name);
    for (;;) {
        catch_up(p);
        struct store_item *again = store_get(s, p->resource->key, p->ns, name);
        bool same = again == item;
        store_item_unref(item);
        item = again;
        if (same)
            break;
    }
    struct claim *c = xnew0(struct claim);
    c->page = p;
    c->name = xstrdup(name);
    _cleanup_json_ struct json *committed = item ? store_item_read(item) : NULL;
    state_set(&c->committed, p->resource, committed);
    list_init(&c->grants);
    hashmap_put(p->claims, name, c);
}

struct quota_page *quota_ledger_begin(struct quota_ledger *l, const char *ns, const struct resource *r,
                                      struct json *const *quotas, size_t n_quotas) {
    (void) pthread_mutex_lock(&l->lock);
    struct quota_page *p = page_of(l, ns, r);
    if (quota_tally_set_quotas(p->tally, quotas, n_quotas))
        forget_all(p);
    catch_up(p);
    return p;
}

void quota_ledger_end(struct quota_ledger *l) {
    (void) pthread_mutex_unlock(&l->lock);
}

size_t quota_page_len(const struct quota_page *p) {
    return quota_tally_len(p->tally);
}

const char *quota_page_name(const struct quota_page *p, size_t i) {
    return quota_tally_name(p->tally, i);
}

const struct json *quota_page_spec(const struct quota_page *p, size_t i) {
    return quota_tally_spec(p->tally, i);
}

struct quantity quota_page_used(const struct quota_page *p, size_t i, const char *name) {
    const struct quantity *committed = amounts_get(quota_tally_used(p->tally, i), name);
    const struct quantity *granted = amounts_get(&p->granted[i], name);
    struct quantity used = quantity_of(0);
    if (committed)
        quantity_add(&used, committed);
    if (granted)
        quantity_add(&used, granted);
    return used;
}

struct quota_grant *quota_page_grant(struct quota_page *p, const char *name, struct json *doc) {
    struct quota_grant *g = xnew0(struct quota_grant);
    state_set(&g->state, p->resource, doc);
    if (!hashmap_has(p->claims, name))
        make_claim(p, name);
    g->claim = hashmap_get(p->claims, name);
    claim_count(g->claim, false);
    list_append(&g->claim->grants, &g->link);
    claim_count(g->claim, true);
    return g;
}

void quota_ledger_settle(struct quota_ledger *l, struct quota_grant *g) {
    if (!g)
        return;
    (void) pthread_mutex_lock(&l->lock);
    struct claim *c = g->claim;
    claim_count(c, false);
    list_remove(&g->link);
    claim_count(c, true);
    if (list_empty(&c->grants))
        (void) hashmap_remove(c->page->claims, c->name);
    (void) pthread_mutex_unlock(&l->lock);
    state_set(&g->state, NULL, NULL);
    free(g);
}
