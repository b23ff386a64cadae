/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "orchestrator/apiserver/audit/audit.h"
#include "orchestrator/apiserver/audit/policy.h"
#include "orchestrator/apiserver/http/http_server.h"
#include "orchestrator/apiserver/metrics_process.h"
#include "orchestrator/apiserver/routes.h"
#include "orchestrator/apiserver/server.h"
#include "podium/base/alloc.h"

#define SHARDS     8
#define SERIES_MAX 4096 /* per shard; what comes later is not counted: codes and verbs are few */

/* Upper bounds in milliseconds, upstream's. */
static const unsigned buckets[] = {5,    25,   50,   100,  200,  400,   600,   800,   1000,  1250,  1500, 2000,
                                   3000, 4000, 5000, 6000, 8000, 10000, 15000, 20000, 30000, 45000, 60000};

struct series {
    /* the key */
    const struct resource *resource; /* NULL: a path */
    const struct subresource *sub;
    const struct route *route;
    const char *verb, *scope; /* static strings */
    unsigned code;
    bool dry_run;
    /* the value */
    uint64_t n, usec, in_bucket[ARRAY_LEN(buckets)];
};

struct shard {
    pthread_mutex_t lock;
    struct series *series;
    size_t n, cap;
    uint16_t slots[2 * SERIES_MAX]; /* index + 1, open addressing */
};

struct metrics {
    uint64_t started; /* real time, seconds */
    atomic_int reading, mutating, watches;
    struct shard shards[SHARDS];
};

struct metrics *metrics_new(void) {
    struct metrics *m = xnew0(struct metrics);
    m->started = (uint64_t) time(NULL);
    for (size_t i = 0; i < SHARDS; i++)
        (void) pthread_mutex_init(&m->shards[i].lock, NULL);
    return m;
}

void metrics_free(struct metrics *m) {
    if (!m)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        (void) pthread_mutex_destroy(&m->shards[i].lock);
        free(m->shards[i].series);
    }
    free(m);
}

/* --- counting --- */

static bool is_reading(const struct api_request *req) {
    return strcmp(req->method, "GET") == 0 || strcmp(req->method, "HEAD") == 0;
}

static const char *verb_label(const struct api_request *req) {
    static const struct {
        const char *verb, *label;
    } verbs[] = {
        {"get", "GET"},     {"list", "LIST"},    {"watch", "WATCH"},   {"create", "POST"},
        {"update", "PUT"},  {"patch", "PATCH"},  {"delete", "DELETE"}, {"deletecollection", "DELETECOLLECTION"},
        {"GET", "GET"},     {"HEAD", "HEAD"},    {"POST", "POST"},     {"PUT", "PUT"},
        {"PATCH", "PATCH"}, {"DELETE", "DELETE"}};
    static const char *const connects[] = {"exec", "attach", "portforward", "proxy"};
    for (size_t i = 0; req->sub && i < ARRAY_LEN(connects); i++)
        if (strcmp(req->sub->name, connects[i]) == 0)
            return "CONNECT";
    if (req->verb && strcmp(req->verb, "patch") == 0 && req->content_type &&
        strncmp(req->content_type, "application/apply-patch", strlen("application/apply-patch")) == 0)
        return "APPLY";
    const char *verb = req->resource && req->verb ? req->verb : req->method;
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (strcmp(verbs[i].verb, verb) == 0)
            return verbs[i].label;
    return "OTHER";
}

static const char *scope_label(const struct api_request *req) {
    if (!req->resource)
        return "";
    if ((req->name && *req->name) || strcmp(req->verb ? req->verb : "", "create") == 0)
        return "resource";
    return req->ns && *req->ns ? "namespace" : "cluster";
}

static struct series key_of(const struct api_request *req, unsigned code) {
    return (struct series){.resource = req->resource,
                           .sub = req->sub,
                           .route = req->resource ? NULL : req->route,
                           .verb = verb_label(req),
                           .scope = scope_label(req),
                           .code = code,
                           .dry_run = req->dry_run};
}

static bool same_key(const struct series *a, const struct series *b, bool with_code) {
    return a->resource == b->resource && a->sub == b->sub && a->route == b->route && a->verb == b->verb &&
           a->scope == b->scope && a->dry_run == b->dry_run && (!with_code || a->code == b->code);
}

static size_t hash_of(const struct series *s) {
    uintptr_t parts[] = {(uintptr_t) s->resource,
                         (uintptr_t) s->sub,
                         (uintptr_t) s->route,
                         (uintptr_t) s->verb,
                         (uintptr_t) s->scope,
                         (uintptr_t) s->dry_run,
                         s->code};
    uint64_t h = 1469598103934665603ull;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        h = (h ^ parts[i]) * 1099511628211ull;
    return (size_t) (h ^ h >> 29);
}

static struct series *find(struct shard *d, const struct series *key) {
    size_t at = hash_of(key) % ARRAY_LEN(d->slots);
    for (; d->slots[at]; at = (at + 1) % ARRAY_LEN(d->slots))
        if (same_key(&d->series[d->slots[at] - 1], key, true))
            return &d->series[d->slots[at] - 1];
    if (d->n == SERIES_MAX)
        return NULL;
    xgrow(&d->series, d->n, &d->cap);
    d->series[d->n++] = *key;
    d->slots[at] = (uint16_t) d->n;
    return &d->series[d->n - 1];
}

void metrics_begin(struct metrics *m, const struct api_request *req) {
    atomic_fetch_add_explicit(is_reading(req) ? &m->reading : &m->mutating, 1, memory_order_relaxed);
}

void metrics_end(struct metrics *m, const struct api_request *req, unsigned code, uint64_t usec) {
    struct series key = key_of(req, code);
    struct shard *d = &m->shards[(size_t) pthread_self() / 4096 % SHARDS];
    size_t b = 0;
    while (b < ARRAY_LEN(buckets) && usec > buckets[b] * 1000ull)
        b++;
    atomic_fetch_sub_explicit(is_reading(req) ? &m->reading : &m->mutating, 1, memory_order_relaxed);
    (void) pthread_mutex_lock(&d->lock);
    struct series *s = find(d, &key);
    if (s) {
        s->n++;
        s->usec += usec;
        if (b < ARRAY_LEN(buckets))
            s->in_bucket[b]++;
    }
    (void) pthread_mutex_unlock(&d->lock);
}

void metrics_watches(struct metrics *m, int change) {
    atomic_fetch_add_explicit(&m->watches, change, memory_order_relaxed);
}

/* --- showing --- */

struct totals {
    struct series *series;
    size_t n, cap;
};

static void add_series(struct series *to, const struct series *s) {
    to->n += s->n;
    to->usec += s->usec;
    for (size_t i = 0; i < ARRAY_LEN(buckets); i++)
        to->in_bucket[i] += s->in_bucket[i];
}

static void add_to(struct totals *t, const struct series *s, bool with_code) {
    for (size_t i = 0; i < t->n; i++) {
        if (!same_key(&t->series[i], s, with_code))
            continue;
        add_series(&t->series[i], s);
        return;
    }
    xgrow(&t->series, t->n, &t->cap);
    t->series[t->n++] = *s;
}

static void sum_up(struct metrics *m, struct totals *with_codes, struct totals *without) {
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *d = &m->shards[i];
        (void) pthread_mutex_lock(&d->lock);
        for (size_t k = 0; k < d->n; k++) {
            add_to(with_codes, &d->series[k], true);
            add_to(without, &d->series[k], false);
        }
        (void) pthread_mutex_unlock(&d->lock);
    }
}

static void add_labels(struct strbuf *b, const struct series *s) {
    const struct resource *r = s->resource;
    strbuf_addf(b, "component=\"%s\",dry_run=\"%s\",group=\"%s\",resource=\"%s\",scope=\"%s\",subresource=\"%s\",",
                r ? "apiserver" : "", s->dry_run ? "All" : "", r ? r->group : "", r ? r->plural : "", s->scope,
                s->sub     ? s->sub->name
                : s->route ? s->route->path
                           : "");
    strbuf_addf(b, "verb=\"%s\",version=\"%s\"", s->verb, r ? r->version : "");
}

static void head(struct strbuf *b, const char *name, const char *type, const char *help) {
    strbuf_addf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void show_requests(struct strbuf *b, const struct totals *t) {
    static const char name[] = "apiserver_request_total";
    head(b, name, "counter", "Requests answered, by verb, resource and HTTP status.");
    for (size_t i = 0; i < t->n; i++) {
        strbuf_addf(b, "%s{code=\"%u\",", name, t->series[i].code);
        add_labels(b, &t->series[i]);
        strbuf_addf(b, "} %llu\n", (unsigned long long) t->series[i].n);
    }
}

static void show_durations(struct strbuf *b, const struct totals *t) {
    static const char name[] = "apiserver_request_duration_seconds";
    head(b, name, "histogram", "Time from the whole request to its answer, by verb and resource.");
    for (size_t i = 0; i < t->n; i++) {
        const struct series *s = &t->series[i];
        _cleanup_strbuf_ struct strbuf labels = STRBUF_INIT;
        uint64_t sum = 0;
        if (strcmp(s->verb, "WATCH") == 0 || strcmp(s->verb, "CONNECT") == 0)
            continue; /* their time is no measure of the server */
        add_labels(&labels, s);
        for (size_t k = 0; k < ARRAY_LEN(buckets); k++) {
            sum += s->in_bucket[k];
            strbuf_addf(b, "%s_bucket{%s,le=\"%g\"} %llu\n", name, strbuf_str(&labels), buckets[k] / 1000.0,
                        (unsigned long long) sum);
        }
        strbuf_addf(b, "%s_bucket{%s,le=\"+Inf\"} %llu\n", name, strbuf_str(&labels), (unsigned long long) s->n);
        strbuf_addf(b, "%s_sum{%s} %.6f\n", name, strbuf_str(&labels), (double) s->usec / 1e6);
        strbuf_addf(b, "%s_count{%s} %llu\n", name, strbuf_str(&labels), (unsigned long long) s->n);
    }
}

static void show_gauges(struct strbuf *b, struct metrics *m) {
    head(b, "apiserver_current_inflight_requests", "gauge", "Requests under way.");
    strbuf_addf(b, "apiserver_current_inflight_requests{request_kind=\"mutating\"} %d\n", atomic_load(&m->mutating));
    strbuf_addf(b, "apiserver_current_inflight_requests{request_kind=\"readOnly\"} %d\n", atomic_load(&m->reading));
    head(b, "apiserver_longrunning_requests", "gauge", "Open watches.");
    strbuf_addf(b, "apiserver_longrunning_requests{component=\"apiserver\",verb=\"WATCH\"} %d\n",
                atomic_load(&m->watches));
}

static void show_store(struct strbuf *b, struct apiserver *api) {
    size_t n;
    const struct resource *all = resources_all(&n);
    head(b, "apiserver_storage_objects", "gauge", "Objects stored, by resource.");
    for (size_t i = 0; i < n; i++)
        if (all[i].stored && all[i].storage_version)
            strbuf_addf(b, "apiserver_storage_objects{resource=\"%s\"} %zu\n", all[i].display_name,
                        store_count(api->store, all[i].key));
    head(b, "podium_store_revision", "counter", "Revision of the newest durable write.");
    strbuf_addf(b, "podium_store_revision %llu\n", (unsigned long long) store_revision(api->store));
}

static void show_shares(struct strbuf *b, const struct http_server *h) {
    struct http_counts c;
    http_server_counts(h, &c);
    head(b, "apiserver_dropped_requests_total", "counter", "Requests answered with 429, Too Many Requests.");
    strbuf_addf(b, "apiserver_dropped_requests_total{request_kind=\"readOnly\"} %llu\n",
                (unsigned long long) c.dropped_reading);
    strbuf_addf(b, "apiserver_dropped_requests_total{request_kind=\"mutating\"} %llu\n",
                (unsigned long long) c.dropped_mutating);
    head(b, "podium_turns_total", "counter", "Long requests that waited for their turn.");
    strbuf_addf(b, "podium_turns_total %llu\n", (unsigned long long) c.waited);
    head(b, "podium_turns_waiting", "gauge", "Long requests that wait for their turn.");
    strbuf_addf(b, "podium_turns_waiting %llu\n", (unsigned long long) c.waiting);
}

/* Under upstream's names; levels are of the requests, not of their events. */
static void show_audit(struct strbuf *b, const struct audit *a) {
    struct audit_counts c;
    audit_counts(a, &c);
    head(b, "apiserver_audit_event_total", "counter", "Audit events made.");
    strbuf_addf(b, "apiserver_audit_event_total %llu\n", (unsigned long long) c.events);
    head(b, "apiserver_audit_error_total", "counter", "Audit events lost: the buffer was full, or the log failed.");
    strbuf_addf(b, "apiserver_audit_error_total{plugin=\"log\"} %llu\n", (unsigned long long) c.dropped);
    head(b, "apiserver_audit_level_total", "counter", "Requests by the level of their audit policy.");
    for (size_t i = 0; i < ARRAY_LEN(c.by_level); i++)
        strbuf_addf(b, "apiserver_audit_level_total{level=\"%s\"} %llu\n", audit_level_name((enum audit_level) i),
                    (unsigned long long) c.by_level[i]);
}

enum api_progress metrics_serve(struct api_request *req) {
    struct metrics *m = req->api->metrics;
    struct totals with_codes = {0}, without = {0};
    struct strbuf b = STRBUF_INIT;
    sum_up(m, &with_codes, &without);
    show_requests(&b, &with_codes);
    show_durations(&b, &without);
    show_gauges(&b, m);
    show_store(&b, req->api);
    if (req->api->http)
        show_shares(&b, req->api->http);
    if (req->api->audit)
        show_audit(&b, req->api->audit);
    head(&b, "kubernetes_build_info", "gauge", "What is running.");
    strbuf_addf(&b, "kubernetes_build_info{git_version=\"%s\",major=\"1\",minor=\"32\"} 1\n", req->api->version);
    metrics_process(&b, m->started);
    free(with_codes.series);
    free(without.series);
    return api_reply_bytes(req, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
}
