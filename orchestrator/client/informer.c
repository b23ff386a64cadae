/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/client/informer.h"

#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"
#include "podium/base/list.h"
#include "podium/base/log.h"
#include "podium/base/random.h"

/* client-go waits 800 ms to 30 s; our first try is shorter because the server is usually in the same process. */
#define RETRY_FIRST_USEC (50 * USEC_PER_MSEC)
#define RETRY_MAX_USEC   (30 * USEC_PER_SEC)
/* A watch that lived this long ended in the normal way: the next one starts at once and failures are forgotten. */
#define WATCH_GOOD_USEC USEC_PER_SEC
#define STATUS_GONE     410
/* Objects of one page of a list: a hundred thousand as trees at once would cost a gigabyte for a moment. */
#define PAGE_OBJECTS 500

/* One object under one key of one index. */
struct posting {
    struct list in_bucket;
    struct bucket *bucket;
    struct entry *entry;
};

struct bucket {
    struct list postings;
    size_t n;
    struct index *index;
    char key[];
};

struct index {
    char *name;
    informer_key_fn key_fn;
    struct hashmap *buckets;
};

struct entry {
    struct json *object;
    struct posting **postings;
    size_t n_postings, cap_postings;
    bool seen; /* mark of a re-list */
};

struct informer {
    sd_event *loop;
    struct client *client;
    const struct resource *resource;
    char *ns, *label_selector, *field_selector;
    struct json *(*keep)(const struct json *object);
    struct json_words *words; /* of a set, or our own */
    bool own_words;
    struct hashmap *entries; /* "ns/name" → entry */
    struct index **indexes;
    size_t n_indexes, cap_indexes;
    struct informer_handlers *handlers;
    size_t n_handlers, cap_handlers;
    bool synced;

    struct client_call *list_call;
    struct client_watch *watch;
    struct json *pages; /* items of the pages so far */
    char *continue_token, *resource_version;
    sd_event_source *retry;
    unsigned failures;
    uint64_t watch_since;
};

static void start_list(struct informer *i);
static void start_watch(struct informer *i);

/* --- store and indexes --- */

static char *object_key(const struct json *object) {
    const char *ns = json_str_or(json_path(object, "metadata", "namespace"), "");
    return xasprintf("%s/%s", ns, json_str_or(json_path(object, "metadata", "name"), ""));
}

static void entry_unindex(struct entry *e) {
    for (size_t k = 0; k < e->n_postings; k++) {
        struct posting *p = e->postings[k];
        struct bucket *b = p->bucket;
        list_remove(&p->in_bucket);
        free(p);
        if (--b->n == 0)
            hashmap_remove(b->index->buckets, b->key);
    }
    e->n_postings = 0;
}

static void entry_post(struct entry *e, struct index *x, const char *key) {
    struct bucket *b = hashmap_get(x->buckets, key);
    if (!b) {
        size_t n = strlen(key) + 1;
        b = xcalloc(1, sizeof(*b) + n);
        memcpy(b->key, key, n);
        list_init(&b->postings);
        b->index = x;
        hashmap_put(x->buckets, key, b);
    }
    struct posting *p = xnew0(struct posting);
    p->bucket = b;
    p->entry = e;
    list_append(&b->postings, &p->in_bucket);
    b->n++;
    xgrow(&e->postings, e->n_postings, &e->cap_postings);
    e->postings[e->n_postings++] = p;
}

static void entry_index(struct entry *e, struct index *x) {
    _cleanup_strv_ char **keys = strv_new();
    x->key_fn(e->object, &keys);
    for (size_t k = 0; keys[k]; k++)
        entry_post(e, x, keys[k]);
}

static void entry_free(void *p) {
    struct entry *e = p;
    entry_unindex(e);
    json_unref(e->object);
    free(e->postings);
    free(e);
}

static void notify(struct informer *i, struct json *old, struct json *object) {
    for (size_t k = 0; k < i->n_handlers; k++)
        if (i->handlers[k].changed)
            i->handlers[k].changed(i->handlers[k].userdata, old, object);
}

static bool same_uid(const struct json *a, const struct json *b) {
    return strcmp(json_str_or(json_path(a, "metadata", "uid"), ""), json_str_or(json_path(b, "metadata", "uid"), "")) ==
           0;
}

static bool same_version(const struct json *a, const struct json *b) {
    const char *va = json_str(json_path(a, "metadata", "resourceVersion"));
    const char *vb = json_str(json_path(b, "metadata", "resourceVersion"));
    return va && vb && strcmp(va, vb) == 0 && same_uid(a, b);
}

/* Items of a list carry no kind; whoever sends an object back to the server needs it. */
static struct json *with_kind(const struct informer *i, struct json *object) {
    struct json *copy = json_ref(object);
    if (!json_str(json_get(copy, "kind")))
        json_set(&copy, "kind", json_string(i->resource->kind));
    if (!json_str(json_get(copy, "apiVersion")))
        json_set(&copy, "apiVersion", json_string(resource_api_version(i->resource)));
    return copy;
}

/* Packed: it may be kept for months. In-process it comes packed: then the store and all informers hold the same one. */
static struct json *kept(const struct informer *i, struct json *object) {
    _cleanup_json_ struct json *all = i->keep ? i->keep(object) : with_kind(i, object);
    return json_packed(all, i->words);
}

static void store_put(struct informer *i, struct json *object) {
    _cleanup_free_ char *key = object_key(object);
    struct entry *e = hashmap_get(i->entries, key);
    if (e) {
        e->seen = true;
        if (same_version(e->object, object))
            return;
    } else {
        e = xnew0(struct entry);
        e->seen = true;
        hashmap_put(i->entries, key, e);
    }
    _cleanup_json_ struct json *old = e->object;
    /* A reference of its own: a handler may run the loop's other callbacks, which may replace the entry. */
    _cleanup_json_ struct json *now = kept(i, object);
    e->object = json_ref(now);
    entry_unindex(e);
    for (size_t k = 0; k < i->n_indexes; k++)
        entry_index(e, i->indexes[k]);
    if (old && !same_uid(old, now)) { /* deleted and made anew while we were not looking: two lives, two changes */
        notify(i, old, NULL);
        old = (json_unref(old), NULL);
    }
    notify(i, old, now);
}

static void store_remove(struct informer *i, const char *key) {
    struct entry *e = hashmap_get(i->entries, key);
    if (!e)
        return;
    _cleanup_json_ struct json *old = json_ref(e->object);
    hashmap_remove(i->entries, key);
    notify(i, old, NULL);
}

/* --- list --- */

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
    struct informer *i = userdata;
    if (i->resource_version)
        start_watch(i);
    else
        start_list(i);
    return 0;
}

static void schedule_retry(struct informer *i) {
    unsigned shift = i->failures < 10 ? i->failures : 10;
    uint64_t usec = RETRY_FIRST_USEC << shift;
    if (usec > RETRY_MAX_USEC)
        usec = RETRY_MAX_USEC;
    usec += random_u64() % (usec / 2 + 1); /* not all informers of all components at one moment */
    i->failures++;
    i->retry = sd_event_source_disable_unref(i->retry);
    if (sd_event_add_time_relative(i->loop, &i->retry, CLOCK_MONOTONIC, usec, USEC_PER_MSEC, on_retry, i) < 0)
        abort();
}

static void forget_position(struct informer *i) {
    free(steal(&i->resource_version));
    free(steal(&i->continue_token));
    json_unref(steal(&i->pages));
}

static void apply_list(struct informer *i) {
    struct hashmap_iter it = {0};
    while (hashmap_next(i->entries, &it))
        ((struct entry *) it.value)->seen = false;
    _cleanup_json_ struct json *pages = steal(&i->pages);
    for (size_t k = 0; k < json_len(pages); k++)
        store_put(i, json_at(pages, k));
    _cleanup_strv_ char **gone = strv_new();
    it = (struct hashmap_iter){0};
    while (i->synced && hashmap_next(i->entries, &it))
        if (!((struct entry *) it.value)->seen)
            strv_push_dup(&gone, it.key);
    for (size_t k = 0; gone[k]; k++)
        store_remove(i, gone[k]);
    if (i->synced)
        return;
    i->synced = true;
    for (size_t k = 0; k < i->n_handlers; k++)
        if (i->handlers[k].synced)
            i->handlers[k].synced(i->handlers[k].userdata);
}

static void on_list(void *userdata, const struct client_result *result) {
    struct informer *i = userdata;
    i->list_call = NULL;
    if (!client_ok(result)) {
        log_debug("cannot list %s: %d %s", i->resource->key, result->code, result->message ? result->message : "");
        forget_position(i);
        schedule_retry(i);
        return;
    }
    struct json *items = json_get(result->object, "items");
    if (!i->pages && !json_str(json_path(result->object, "metadata", "continue"))) {
        i->pages = json_ref(items); /* the usual case: one page, shared */
    } else {
        for (size_t k = 0; k < json_len(items); k++)
            json_append(&i->pages, kept(i, json_at(items, k)));
    }
    free(steal(&i->continue_token));
    const char *token = json_str_or(json_path(result->object, "metadata", "continue"), "");
    if (*token) {
        i->continue_token = xstrdup(token);
        start_list(i);
        return;
    }
    free(i->resource_version);
    i->resource_version = xstrdup(json_str_or(json_path(result->object, "metadata", "resourceVersion"), "0"));
    apply_list(i);
    start_watch(i);
}

static struct client_request base_request(const struct informer *i) {
    return (struct client_request){
        .verb = CLIENT_LIST,
        .resource = i->resource,
        .ns = i->ns,
        .label_selector = i->label_selector,
        .field_selector = i->field_selector,
        .keeps = !i->keep,
    };
}

static void start_list(struct informer *i) {
    struct client_request r = base_request(i);
    r.continue_token = i->continue_token;
    r.limit = PAGE_OBJECTS;
    i->list_call = client_start(i->client, &r, on_list, i);
}

/* --- watch --- */

static void watch_ended(struct informer *i, bool position_lost) {
    i->watch = NULL;
    if (position_lost)
        forget_position(i);
    if (now_monotonic_usec() - i->watch_since >= WATCH_GOOD_USEC)
        i->failures = 0;
    if (i->failures > 0) {
        schedule_retry(i);
        return;
    }
    i->failures++;
    if (i->resource_version)
        start_watch(i);
    else
        start_list(i);
}

static void on_event(void *userdata, const char *type, struct json *object) {
    struct informer *i = userdata;
    if (strcmp(type, "CLOSED") == 0) {
        watch_ended(i, false);
        return;
    }
    if (strcmp(type, "ERROR") == 0) {
        int64_t code = json_int_or(json_get(object, "code"), 0);
        /* Only "too old" loses the position for certain, but listing again is the safe answer to any answered error;
         * without an answer (code 0) the server is away and the position may still be good when it is back. */
        watch_ended(i, code == STATUS_GONE || code >= 400);
        return;
    }
    const char *version = json_str(json_path(object, "metadata", "resourceVersion"));
    if (version) {
        free(i->resource_version);
        i->resource_version = xstrdup(version);
    }
    if (strcmp(type, "DELETED") == 0) {
        _cleanup_free_ char *key = object_key(object);
        store_remove(i, key);
    } else if (strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0) {
        store_put(i, object);
    }
}

static void start_watch(struct informer *i) {
    struct client_request r = base_request(i);
    r.resource_version = i->resource_version;
    r.allow_bookmarks = true;
    i->watch_since = now_monotonic_usec();
    i->watch = client_watch(i->client, &r, on_event, i);
}

/* --- interface --- */

struct informer *informer_new(sd_event *loop, struct client *c, const struct informer_options *options) {
    struct informer *i = xnew0(struct informer);
    i->loop = sd_event_ref(loop);
    i->client = c;
    i->resource = options->resource;
    i->ns = options->ns ? xstrdup(options->ns) : NULL;
    i->label_selector = options->label_selector ? xstrdup(options->label_selector) : NULL;
    i->field_selector = options->field_selector ? xstrdup(options->field_selector) : NULL;
    i->keep = options->keep;
    i->words = options->words ? options->words : json_words_new();
    i->own_words = !options->words;
    i->entries = hashmap_new(entry_free);
    start_list(i);
    return i;
}

void informer_free(struct informer *i) {
    if (!i)
        return;
    client_cancel(i->client, i->list_call);
    client_watch_cancel(i->client, i->watch);
    sd_event_source_disable_unref(i->retry);
    forget_position(i);
    hashmap_free(i->entries); /* before the indexes: entries leave their buckets */
    for (size_t k = 0; k < i->n_indexes; k++) {
        hashmap_free(i->indexes[k]->buckets);
        free(i->indexes[k]->name);
        free(i->indexes[k]);
    }
    free(i->indexes);
    if (i->own_words)
        json_words_free(i->words);
    free(i->handlers);
    free(i->ns);
    free(i->label_selector);
    free(i->field_selector);
    sd_event_unref(i->loop);
    free(i);
}

void informer_add_handlers(struct informer *i, const struct informer_handlers *h) {
    xgrow(&i->handlers, i->n_handlers, &i->cap_handlers);
    i->handlers[i->n_handlers++] = *h;
    if (!i->synced)
        return;
    if (h->changed) {
        size_t n;
        _cleanup_free_ struct json **all = informer_list(i, NULL, NULL, &n);
        for (size_t k = 0; k < n; k++)
            h->changed(h->userdata, NULL, all[k]);
    }
    if (h->synced)
        h->synced(h->userdata);
}

void informer_remove_handlers(struct informer *i, const void *userdata) {
    size_t kept = 0;
    for (size_t k = 0; k < i->n_handlers; k++)
        if (i->handlers[k].userdata != userdata)
            i->handlers[kept++] = i->handlers[k];
    i->n_handlers = kept;
}

static struct index *index_find(const struct informer *i, const char *name) {
    for (size_t k = 0; k < i->n_indexes; k++)
        if (strcmp(i->indexes[k]->name, name) == 0)
            return i->indexes[k];
    return NULL;
}

void informer_add_index(struct informer *i, const char *index_name, informer_key_fn key_fn) {
    if (index_find(i, index_name))
        return;
    struct index *x = xnew0(struct index);
    x->name = xstrdup(index_name);
    x->key_fn = key_fn;
    x->buckets = hashmap_new(free);
    xgrow(&i->indexes, i->n_indexes, &i->cap_indexes);
    i->indexes[i->n_indexes++] = x;
    struct hashmap_iter it = {0};
    while (hashmap_next(i->entries, &it))
        entry_index(it.value, x);
}

bool informer_synced(const struct informer *i) {
    return i->synced;
}

struct json *informer_get(const struct informer *i, const char *ns, const char *name) {
    _cleanup_free_ char *key = xasprintf("%s/%s", ns ? ns : "", name ? name : "");
    struct entry *e = hashmap_get(i->entries, key);
    return e ? e->object : NULL;
}

struct json *informer_get_key(const struct informer *i, const char *key) {
    _cleanup_free_ char *cluster = strchr(key, '/') ? NULL : xasprintf("/%s", key);
    struct entry *e = hashmap_get(i->entries, cluster ? cluster : key);
    return e ? e->object : NULL;
}

size_t informer_len(const struct informer *i) {
    return hashmap_len(i->entries);
}

static struct json **list_all(const struct informer *i, size_t *ret_n) {
    struct json **all = xreallocarray(NULL, hashmap_len(i->entries) + 1, sizeof(*all));
    size_t n = 0;
    struct hashmap_iter it = {0};
    while (hashmap_next(i->entries, &it))
        all[n++] = ((struct entry *) it.value)->object;
    all[n] = NULL;
    *ret_n = n;
    return all;
}

struct json **informer_list(const struct informer *i, const char *index_name, const char *key, size_t *ret_n) {
    if (!index_name)
        return list_all(i, ret_n);
    struct index *x = index_find(i, index_name);
    struct bucket *b = x ? hashmap_get(x->buckets, key) : NULL;
    struct json **found = xreallocarray(NULL, (b ? b->n : 0) + 1, sizeof(*found));
    size_t n = 0;
    if (b) {
        struct posting *p;
        list_foreach(p, &b->postings, in_bucket) found[n++] = p->entry->object;
    }
    found[n] = NULL;
    *ret_n = n;
    return found;
}

/* --- shared informers --- */

struct informer_set {
    sd_event *loop;
    struct client *client;
    struct json_words *words;
    struct hashmap *informers; /* "group/version/plural" → informer */
};

static void set_informer_free(void *p) {
    informer_free(p);
}

struct informer_set *informer_set_new(sd_event *loop, struct client *c) {
    struct informer_set *s = xnew0(struct informer_set);
    s->loop = sd_event_ref(loop);
    s->client = c;
    s->words = json_words_new();
    s->informers = hashmap_new(set_informer_free);
    return s;
}

void informer_set_free(struct informer_set *s) {
    if (!s)
        return;
    hashmap_free(s->informers);
    json_words_free(s->words);
    sd_event_unref(s->loop);
    free(s);
}

struct informer *informer_set_get(struct informer_set *s, const struct resource *r) {
    _cleanup_free_ char *key = xasprintf("%s/%s/%s", r->group, r->version, r->plural);
    struct informer *i = hashmap_get(s->informers, key);
    if (!i) {
        i = informer_new(s->loop, s->client, &(struct informer_options){.resource = r, .words = s->words});
        hashmap_put(s->informers, key, i);
    }
    return i;
}

bool informer_set_synced(const struct informer_set *s) {
    struct hashmap_iter it = {0};
    while (hashmap_next(s->informers, &it))
        if (!informer_synced(it.value))
            return false;
    return true;
}
