/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/crash/clients.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "podium/base/alloc.h"
#include "podium/base/json.h"
#include "podium/base/strbuf.h"

#define MAPS     "http://api/api/v1/namespaces/default/configmaps"
#define SELECTED "labelSelector=crash"

static uint64_t now_nsec(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t) t.tv_sec * 1000000000u + (uint64_t) t.tv_nsec;
}

void stage_set(struct stage *s, bool up, bool over) {
    pthread_mutex_lock(&s->lock);
    s->life += up;
    s->up = up;
    s->over = over;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Waits for a server; after a loss (life: of the one lost) for the next. False: it is over. */
static bool await_server(struct stage *s, unsigned *life, bool lost) {
    pthread_mutex_lock(&s->lock);
    while (!s->over && (!s->up || (lost && s->life == *life)))
        pthread_cond_wait(&s->changed, &s->lock);
    *life = s->life;
    bool over = s->over;
    pthread_mutex_unlock(&s->lock);
    return !over;
}

/* --- requests --- */

static size_t collect(char *p, size_t size, size_t n, void *userdata) {
    strbuf_add(userdata, p, size * n);
    return size * n;
}

static CURL *connection(struct stage *s) {
    CURL *curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, s->socket);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    /* A connection that was used before and ends without an answer makes curl ask again, silently: a deletion that was
     * done would be answered "not found". Each request has its own, and what has no answer is known to have none. */
    curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
    return curl;
}

/* The code; 0 without an answer. */
static long request(CURL *curl, const char *method, const char *url, const char *body, struct json **ret) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    const char *type =
        strcmp(method, "PATCH") == 0 ? "Content-Type: application/merge-patch+json" : "Content-Type: application/json";
    struct curl_slist *h = curl_slist_append(NULL, type);
    long code = 0;
    *ret = NULL;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, h);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    if (!body)
        curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &text);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
    if (curl_easy_perform(curl) == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    curl_slist_free_all(h);
    if (code && json_parse(strbuf_str(&text), text.len, NULL, ret, NULL) < 0)
        code = 0;
    return code;
}

/* --- objects --- */

static char *object_text(int object, int64_t value, uint64_t revision, size_t filler) {
    _cleanup_free_ char *fill = xmalloc(filler + 1);
    _cleanup_free_ char *rv =
        revision ? xasprintf("\"resourceVersion\":\"%llu\",", (unsigned long long) revision) : xstrdup("");
    memset(fill, 'a' + (int) (value % 26), filler);
    fill[filler] = 0;
    return xasprintf("{\"metadata\":{%s\"name\":\"n%d\",\"labels\":{\"crash\":\"\"}},"
                     "\"data\":{\"v\":\"%lld\",\"again\":\"%lld\",\"size\":\"%zu\",\"fill\":\"%s\"}}",
                     rv, object, (long long) value, (long long) value, filler, fill);
}

/* Value, revision and number of an object; -1 for a torn one. */
static int64_t object_value(struct stage *s, const struct json *doc, int *object, uint64_t *revision) {
    const struct json *data = json_get(doc, "data");
    const char *v = json_str_or(json_get(data, "v"), "-1"), *fill = json_str_or(json_get(data, "fill"), "");
    int64_t value = strtoll(v, NULL, 10);
    size_t size = strtoul(json_str_or(json_get(data, "size"), "1"), NULL, 10);
    char letter[2] = {(char) ('a' + value % 26), 0};
    *revision = strtoull(json_str_or(json_path(doc, "metadata", "resourceVersion"), "0"), NULL, 10);
    *object = atoi(json_str_or(json_path(doc, "metadata", "name"), "n0") + 1);
    if (value <= 0 || strcmp(v, json_str_or(json_get(data, "again"), "")) != 0 || strlen(fill) != size ||
        strspn(fill, letter) != size || !*revision) {
        atomic_fetch_add(&s->torn, 1);
        return -1;
    }
    return value;
}

/* --- writers --- */

static const struct {
    const char *method;
    unsigned weight;
} kinds[] = {[OP_CREATE] = {"POST", 3},
             [OP_REPLACE] = {"PUT", 4},
             [OP_PATCH] = {"PATCH", 4},
             [OP_DELETE] = {"DELETE", 2},
             [OP_GET] = {"GET", 5}};

static enum op_kind draw_kind(unsigned *seed) {
    unsigned n = 0;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        n += kinds[i].weight;
    n = (unsigned) rand_r(seed) % n;
    for (size_t i = 0;; n -= kinds[i++].weight)
        if (n < kinds[i].weight)
            return (enum op_kind) i;
}

static enum op_result result_of(struct stage *s, long code, const struct json *answer) {
    const char *reason = json_str_or(json_get(answer, "reason"), "");
    if (code == 200 || code == 201)
        return OP_DONE;
    if (code == 404)
        return OP_ABSENT;
    if (code == 409)
        return strcmp(reason, "AlreadyExists") == 0 ? OP_EXISTS : OP_CHANGED;
    if (code && code < 500)
        atomic_fetch_add(&s->refused_otherwise, 1);
    return OP_UNKNOWN;
}

/* What a writer knows of the objects from its last look at each. */
struct knowledge {
    int64_t value[OBJECTS];
    uint64_t revision[OBJECTS];
};

static void operate(struct client *c, CURL *curl, struct op *op, struct knowledge *k) {
    _cleanup_free_ char *url = op->kind == OP_CREATE ? xstrdup(MAPS) : xasprintf(MAPS "/n%d", op->object);
    _cleanup_free_ char *body = NULL;
    _cleanup_json_ struct json *answer = NULL;
    if (op->kind == OP_REPLACE)
        op->expected = k->value[op->object];
    if (op->kind != OP_GET && op->kind != OP_DELETE) {
        op->value = c->next_value++;
        body = object_text(op->object, op->value, op->kind == OP_REPLACE ? k->revision[op->object] : 0,
                           1u << rand_r(&c->seed) % 14);
    }
    op->called = now_nsec();
    long code = request(curl, kinds[op->kind].method, url, body, &answer);
    op->answered = now_nsec();
    op->result = result_of(c->stage, code, answer);
    if (op->kind == OP_PATCH && op->result == OP_CHANGED)
        op->result = OP_UNKNOWN; /* gave up after many others: it did nothing, which is one of the ways */
    if (op->result != OP_DONE || op->kind == OP_DELETE)
        return;
    int object;
    int64_t value = object_value(c->stage, answer, &object, &op->revision);
    if (op->kind == OP_GET)
        op->value = value;
    k->value[op->object] = value;
    k->revision[op->object] = op->revision;
}

static struct op *new_op(struct client *c, enum op_kind kind, int object) {
    xgrow(&c->ops, c->n_ops, &c->cap_ops);
    c->ops[c->n_ops] = (struct op){.kind = kind, .object = object};
    return &c->ops[c->n_ops++];
}

void *writer_main(void *client) {
    struct client *c = client;
    struct knowledge k = {0};
    CURL *curl = connection(c->stage);
    unsigned life = 0;
    for (bool lost = false; await_server(c->stage, &life, lost);) {
        int object = rand_r(&c->seed) % OBJECTS;
        enum op_kind kind = draw_kind(&c->seed);
        if (kind == OP_REPLACE && !k.revision[object])
            kind = OP_GET;
        struct op *op = new_op(c, kind, object);
        operate(c, curl, op, &k);
        atomic_fetch_add(&c->stage->acknowledged, op->result == OP_DONE && kind != OP_GET);
        lost = op->result == OP_UNKNOWN;
    }
    curl_easy_cleanup(curl);
    return NULL;
}

void read_all(struct client *c) {
    struct knowledge k = {0};
    CURL *curl = connection(c->stage);
    for (int i = 0; i < OBJECTS; i++)
        operate(c, curl, new_op(c, OP_GET, i), &k);
    curl_easy_cleanup(curl);
}

/* --- watchers --- */

static void note(struct client *c, int what, int object, int64_t value, uint64_t revision) {
    xgrow(&c->sights, c->n_sights, &c->cap_sights);
    c->sights[c->n_sights++] = (struct sight){what, object, value, revision};
}

/* The revision to watch from; 0: lost the server. */
static uint64_t list_all(struct client *c, CURL *curl) {
    _cleanup_json_ struct json *list = NULL;
    if (request(curl, "GET", MAPS "?" SELECTED, NULL, &list) != 200)
        return 0;
    uint64_t revision = strtoull(json_str_or(json_path(list, "metadata", "resourceVersion"), "0"), NULL, 10);
    note(c, SIGHT_LIST, 0, 0, revision);
    const struct json *items = json_get(list, "items");
    for (size_t i = 0; i < json_len(items); i++) {
        int object;
        uint64_t rv;
        int64_t value = object_value(c->stage, json_at(items, i), &object, &rv);
        note(c, SIGHT_LISTED, object, value, rv);
    }
    return revision;
}

struct watching {
    struct client *client;
    struct strbuf text; /* of the line not whole yet */
    uint64_t position;
    bool gone;
};

static void take_event(struct watching *w, const char *line, size_t n) {
    _cleanup_json_ struct json *event = NULL;
    int object;
    uint64_t revision;
    if (json_parse(line, n, NULL, &event, NULL) < 0)
        return (void) atomic_fetch_add(&w->client->stage->torn, 1);
    const char *type = json_str_or(json_get(event, "type"), "");
    const struct json *o = json_get(event, "object");
    if (strcmp(type, "ERROR") == 0) {
        w->gone = json_int_or(json_get(o, "code"), 0) == 410;
        return;
    }
    if (strcmp(type, "BOOKMARK") == 0) {
        w->position = strtoull(json_str_or(json_path(o, "metadata", "resourceVersion"), "0"), NULL, 10);
        return;
    }
    if (!o) /* no event but the Status of a refusal */
        return;
    int64_t value = object_value(w->client->stage, o, &object, &revision);
    note(w->client, SIGHT_EVENT, object, strcmp(type, "DELETED") == 0 ? 0 : value, revision);
    w->position = revision;
}

static size_t take_bytes(char *p, size_t size, size_t n, void *userdata) {
    struct watching *w = userdata;
    strbuf_add(&w->text, p, size * n);
    const char *start = strbuf_str(&w->text), *end;
    size_t used = 0;
    while ((end = memchr(start + used, '\n', w->text.len - used))) {
        take_event(w, start + used, (size_t) (end - start) - used);
        used = (size_t) (end - start) + 1;
    }
    strbuf_consume(&w->text, used);
    return size * n;
}

static int progress(void *userdata, curl_off_t a, curl_off_t b, curl_off_t d, curl_off_t e) {
    struct client *c = userdata;
    pthread_mutex_lock(&c->stage->lock);
    bool over = c->stage->over;
    pthread_mutex_unlock(&c->stage->lock);
    return over;
}

/* Until the server goes, or turns the watcher away. */
static uint64_t watch_from(struct client *c, uint64_t revision) {
    struct watching w = {.client = c, .position = revision};
    CURL *curl = connection(c->stage);
    _cleanup_free_ char *url = xasprintf(MAPS "?watch=true&allowWatchBookmarks=true&" SELECTED "&resourceVersion=%llu",
                                         (unsigned long long) revision);
    long code = 0;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &w);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, c);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    (void) curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_cleanup(curl);
    strbuf_finish(&w.text);
    bool away = w.gone || code == 410;
    c->turned_away += away;
    return away ? 0 : w.position;
}

void *watcher_main(void *client) {
    struct client *c = client;
    CURL *curl = connection(c->stage);
    unsigned life = 0;
    uint64_t position = 0;
    for (bool lost = false; await_server(c->stage, &life, lost);) {
        if (position == 0)
            position = list_all(c, curl);
        lost = position == 0;
        if (lost)
            continue;
        position = watch_from(c, position);
        note(c, SIGHT_END, 0, 0, position);
        lost = position != 0;
    }
    curl_easy_cleanup(curl);
    return NULL;
}
