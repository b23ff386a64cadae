/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/client/events.h"

#include <stdarg.h>
#include <string.h>

#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"
#include "podium/base/list.h"
#include "podium/base/log.h"

/* Numbers of client-go. */
#define SIMILAR_MAX         10
#define SIMILAR_WINDOW_USEC (600 * USEC_PER_SEC)
#define BURST               25
#define REFILL_USEC         (300 * USEC_PER_SEC)
#define REMEMBERED_MAX      4096
#define KNOWN_USEC          (3600 * USEC_PER_SEC) /* by then the event itself is gone */
#define MESSAGE_MAX         1024
#define TRIES_MAX           4
#define RETRY_USEC          (2 * USEC_PER_SEC)
#define CALLS_MAX           256 /* under way at once; what exceeds is dropped */

/* One event that exists or is being created, by its whole identity. */
struct known {
    char *ns, *name;
    uint64_t last;  /* monotonic */
    unsigned count; /* as often as it happened, also when nobody was told */
    char first[TIMESTAMP_SIZE];
    bool exists;       /* was created: now it is patched */
    bool writing;      /* one write at a time: a patch must not overtake the creation */
    struct json *next; /* what it became meanwhile */
};

/* Events of one object, type and reason: which messages came lately. */
struct similar {
    struct hashmap *messages;
    uint64_t since;
};

/* Tokens of one object. */
struct spam {
    double tokens;
    uint64_t last;
};

struct event_recorder {
    sd_event *loop;
    struct client *client;
    char *component, *host;
    struct hashmap *known, *similar, *spam;
    struct list writes;
    size_t n_writes;
    uint64_t swept;
};

struct write {
    struct list link;
    struct event_recorder *rec;
    struct client_call *call;
    sd_event_source *retry;
    char *key; /* of the known */
    struct json *event;
    bool patch; /* else create */
    unsigned tries;
};

static void write_start(struct write *w);

static void known_free(void *p) {
    struct known *k = p;
    free(k->ns);
    free(k->name);
    json_unref(k->next);
    free(k);
}

static void similar_free(void *p) {
    struct similar *s = p;
    hashmap_free(s->messages);
    free(s);
}

struct event_recorder *event_recorder_new(sd_event *loop, struct client *client, const char *component) {
    struct event_recorder *rec = xnew0(struct event_recorder);
    rec->loop = sd_event_ref(loop);
    rec->client = client;
    rec->component = xstrdup(component);
    rec->swept = now_monotonic_usec();
    rec->known = hashmap_new(known_free);
    rec->similar = hashmap_new(similar_free);
    rec->spam = hashmap_new(free);
    list_init(&rec->writes);
    return rec;
}

void event_recorder_set_host(struct event_recorder *rec, const char *host) {
    free(rec->host);
    rec->host = host ? xstrdup(host) : NULL;
}

static void write_free(struct write *w) {
    list_remove(&w->link);
    w->rec->n_writes--;
    client_cancel(w->rec->client, w->call);
    sd_event_source_disable_unref(w->retry);
    json_unref(w->event);
    free(w->key);
    free(w);
}

void event_recorder_free(struct event_recorder *rec) {
    if (!rec)
        return;
    struct write *w;
    list_foreach(w, &rec->writes, link) write_free(w);
    hashmap_free(rec->known);
    hashmap_free(rec->similar);
    hashmap_free(rec->spam);
    free(rec->component);
    free(rec->host);
    sd_event_unref(rec->loop);
    free(rec);
}

/* --- writing --- */

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
    write_start(userdata);
    return 0;
}

static void write_event(struct event_recorder *rec, const char *key, struct known *k, struct json *event) {
    struct write *w = xnew0(struct write);
    w->rec = rec;
    w->key = xstrdup(key);
    w->event = event;
    w->patch = k->exists;
    k->writing = true;
    list_append(&rec->writes, &w->link);
    rec->n_writes++;
    write_start(w);
}

/* The end of a write, good or not; what happened meanwhile is next. */
static void write_ended(struct write *w, bool good) {
    struct event_recorder *rec = w->rec;
    struct known *k = hashmap_get(rec->known, w->key); /* NULL: forgotten */
    if (k) {
        k->exists = k->exists || good;
        k->writing = false;
        if (k->next)
            write_event(rec, w->key, k, steal(&k->next));
    }
    write_free(w);
}

/* No answer or an overloaded server may pass; a namespace that is ending, or a refusal, does not. */
static bool worth_retrying(const struct client_result *r) {
    return r->code == 0 || r->code == 429 || r->code >= 500;
}

static void on_written(void *userdata, const struct client_result *result) {
    struct write *w = userdata;
    w->call = NULL;
    if (w->patch && result->code == 404) { /* expired since: it is made anew, and goes on counting */
        w->patch = false;
        write_start(w);
        return;
    }
    if (client_ok(result) || !worth_retrying(result) || ++w->tries >= TRIES_MAX) {
        if (!client_ok(result))
            log_debug("event lost: %d %s", result->code, result->message ? result->message : "");
        write_ended(w, client_ok(result));
        return;
    }
    w->retry = sd_event_source_disable_unref(w->retry);
    if (sd_event_add_time_relative(w->rec->loop, &w->retry, CLOCK_MONOTONIC, RETRY_USEC * w->tries, 0, on_retry, w) < 0)
        abort();
}

static void write_start(struct write *w) {
    const struct json *meta = json_get(w->event, "metadata");
    struct client_request r = {
        .verb = CLIENT_CREATE,
        .resource = resource_by_plural("", "v1", "events"),
        .ns = json_str(json_get(meta, "namespace")),
        .body = w->event,
        .code_only = true,
    };
    _cleanup_json_ struct json *patch = NULL;
    if (w->patch) {
        patch = json_object();
        json_set(&patch, "count", json_ref(json_get(w->event, "count")));
        json_set(&patch, "lastTimestamp", json_ref(json_get(w->event, "lastTimestamp")));
        json_set(&patch, "message", json_ref(json_get(w->event, "message")));
        r.verb = CLIENT_PATCH;
        r.patch_type = PATCH_MERGE;
        r.name = json_str(json_get(meta, "name"));
        r.body = patch;
    }
    w->call = client_start(w->rec->client, &r, on_written, w);
}

/* --- correlating --- */

static struct json *reference(const struct json *object) {
    static const char *const from_meta[] = {"namespace", "name", "uid", "resourceVersion"};
    struct json *ref = json_object();
    json_set(&ref, "kind", json_ref(json_get(object, "kind")));
    json_set(&ref, "apiVersion", json_ref(json_get(object, "apiVersion")));
    for (size_t i = 0; i < ARRAY_LEN(from_meta); i++) {
        struct json *v = json_path(object, "metadata", from_meta[i]);
        if (v)
            json_set(&ref, from_meta[i], json_ref(v));
    }
    if (json_get(object, "fieldPath"))
        json_set(&ref, "fieldPath", json_ref(json_get(object, "fieldPath")));
    return ref;
}

static bool take_token(struct event_recorder *rec, const char *object_key, uint64_t now) {
    struct spam *s = hashmap_get(rec->spam, object_key);
    if (!s) {
        s = xnew0(struct spam);
        s->tokens = BURST;
        s->last = now;
        hashmap_put(rec->spam, object_key, s);
    }
    s->tokens += (double) (now - s->last) / (double) REFILL_USEC;
    if (s->tokens > BURST)
        s->tokens = BURST;
    s->last = now;
    if (s->tokens < 1)
        return false;
    s->tokens -= 1;
    return true;
}

/* True when this reason of this object has had too many different messages lately. */
static bool too_many_messages(struct event_recorder *rec, const char *reason_key, const char *message, uint64_t now) {
    struct similar *s = hashmap_get(rec->similar, reason_key);
    if (!s || now - s->since > SIMILAR_WINDOW_USEC) {
        s = xnew0(struct similar);
        s->messages = hashmap_new(NULL);
        hashmap_put(rec->similar, reason_key, s);
    }
    s->since = now;
    if (hashmap_len(s->messages) < SIMILAR_MAX)
        hashmap_put(s->messages, message, s);
    return !hashmap_has(s->messages, message);
}

static struct known *remember(struct event_recorder *rec, const char *key, const struct json *object,
                              const char *now_text) {
    struct known *k = xnew0(struct known);
    const char *ns = json_str_or(json_path(object, "metadata", "namespace"), "");
    k->ns = xstrdup(*ns ? ns : "default"); /* events of cluster-scoped objects live in "default" */
    k->name = xasprintf("%s.%016llx", json_str_or(json_path(object, "metadata", "name"), "unknown"),
                        (unsigned long long) now_realtime_usec() * 1000 + hashmap_len(rec->known) % 1000);
    memcpy(k->first, now_text, sizeof(k->first));
    hashmap_put(rec->known, key, k);
    return k;
}

static void forget_when_full(struct event_recorder *rec) {
    if (hashmap_len(rec->known) >= REMEMBERED_MAX)
        hashmap_clear(rec->known);
    if (hashmap_len(rec->similar) >= REMEMBERED_MAX)
        hashmap_clear(rec->similar);
    if (hashmap_len(rec->spam) >= REMEMBERED_MAX)
        hashmap_clear(rec->spam);
}

size_t event_recorder_forget(struct event_recorder *rec, uint64_t now) {
    struct hashmap_iter it = {0};

    rec->swept = now;
    while (hashmap_next(rec->known, &it)) {
        const struct known *k = it.value;
        if (!k->writing && !k->next && now - k->last >= KNOWN_USEC)
            (void) hashmap_remove(rec->known, it.key);
    }
    it = (struct hashmap_iter){0};
    while (hashmap_next(rec->similar, &it))
        if (now - ((const struct similar *) it.value)->since > SIMILAR_WINDOW_USEC)
            (void) hashmap_remove(rec->similar, it.key);
    it = (struct hashmap_iter){0};
    while (hashmap_next(rec->spam, &it)) {
        const struct spam *s = it.value;
        if (s->tokens + (double) (now - s->last) / (double) REFILL_USEC >= BURST)
            (void) hashmap_remove(rec->spam, it.key);
    }
    return hashmap_len(rec->known) + hashmap_len(rec->similar) + hashmap_len(rec->spam);
}

static struct json *event_document(const struct event_recorder *rec, const struct known *k, const struct json *object,
                                   const char *type, const char *reason, const char *message, const char *now_text) {
    struct json *e = json_object();
    json_set(&e, "apiVersion", json_string("v1"));
    json_set(&e, "kind", json_string("Event"));
    json_set_path(&e, json_string(k->name), "metadata", "name");
    json_set_path(&e, json_string(k->ns), "metadata", "namespace");
    if (json_get(object, "annotations"))
        json_set_path(&e, json_ref(json_get(object, "annotations")), "metadata", "annotations");
    json_set(&e, "involvedObject", reference(object));
    json_set(&e, "reason", json_string(reason));
    json_set(&e, "message", json_string(message));
    json_set(&e, "type", json_string(type));
    json_set(&e, "count", json_int(k->count));
    json_set(&e, "firstTimestamp", json_string(k->first));
    json_set(&e, "lastTimestamp", json_string(now_text));
    json_set_path(&e, json_string(rec->component), "source", "component");
    if (rec->host)
        json_set_path(&e, json_string(rec->host), "source", "host");
    json_set(&e, "reportingComponent", json_string(rec->component));
    json_set(&e, "reportingInstance", json_string(rec->host ? rec->host : ""));
    return e;
}

/* Shortens to at most max bytes, not inside a UTF-8 character. */
static void cut(char *text, size_t max) {
    if (strlen(text) <= max)
        return;
    while (max > 0 && ((unsigned char) text[max] & 0xc0) == 0x80)
        max--;
    text[max] = 0;
}

static void record(struct event_recorder *rec, const struct json *object, const char *type, const char *reason,
                   const char *message) {
    uint64_t now = now_monotonic_usec();
    char now_text[TIMESTAMP_SIZE];
    timestamp_format(now_realtime_usec(), now_text);
    if (now - rec->swept >= REFILL_USEC)
        (void) event_recorder_forget(rec, now);
    forget_when_full(rec);
    _cleanup_free_ char *object_key = xasprintf("%s/%s/%s/%s", json_str_or(json_get(object, "kind"), ""),
                                                json_str_or(json_path(object, "metadata", "namespace"), ""),
                                                json_str_or(json_path(object, "metadata", "name"), ""),
                                                json_str_or(json_path(object, "metadata", "uid"), ""));
    _cleanup_free_ char *reason_key = xasprintf("%s %s %s", object_key, type, reason);
    bool joined = too_many_messages(rec, reason_key, message, now);
    _cleanup_free_ char *text = xasprintf("%s%s", joined ? "(combined from similar events): " : "", message);
    cut(text, MESSAGE_MAX);
    _cleanup_free_ char *known_key = xasprintf("%s %s %s", reason_key, json_str_or(json_get(object, "fieldPath"), ""),
                                               joined ? "(combined)" : message);
    struct known *k = hashmap_get(rec->known, known_key);
    if (k) {
        k->count++;
        k->last = now;
    }
    if (rec->n_writes >= CALLS_MAX || !take_token(rec, object_key, now))
        return;
    if (!k) {
        k = remember(rec, known_key, object, now_text);
        k->count = 1;
        k->last = now;
    }
    struct json *event = event_document(rec, k, object, type, reason, text, now_text);
    if (k->writing) {
        json_unref(k->next);
        k->next = event;
    } else {
        write_event(rec, known_key, k, event);
    }
}

void event_record(struct event_recorder *rec, const struct json *object, const char *type, const char *reason,
                  const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    _cleanup_free_ char *message = xvasprintf(fmt, ap);
    va_end(ap);
    cut(message, MESSAGE_MAX);
    record(rec, object, type, reason, message);
}
