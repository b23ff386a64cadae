/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/client/fake_client.h"

#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/selector.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/list.h"
#include "podium/base/random.h"

struct row {
    const struct resource *resource;
    char *ns, *name;
    struct json *object;
};

struct log_event {
    const struct resource *resource;
    uint64_t version;
    const char *type;
    struct json *object, *old;
};

struct client_call {
    struct list link;
    struct fake *f;
    struct client_request r;
    client_done_fn done;
    void *userdata;
};

struct client_watch {
    struct list link;
    struct client_request r;
    client_event_fn event;
    void *userdata;
    size_t position;
    const char *end; /* "CLOSED" or "ERROR" when it is to end */
    bool dead;
};

struct failure {
    enum client_verb verb;
    char *plural, *reason;
    int code;
    unsigned times;
};

struct fake {
    struct client client;
    sd_event *loop;
    sd_event_source *pump;
    struct row *rows;
    size_t n_rows, cap_rows;
    struct log_event *log;
    size_t n_log, cap_log;
    struct failure *failures;
    size_t n_failures, cap_failures;
    struct {
        enum client_verb verb;
        const struct resource *resource;
        unsigned n;
    } * counts;
    size_t n_counts, cap_counts;
    struct list calls, watches;
    uint64_t version;
    size_t page;
    bool delivering;
};

/* --- small things --- */

struct json *fake_json(const char *text) {
    _cleanup_free_ char *copy = xstrdup(text);
    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct json *v = NULL;
    if (json_parse(copy, strlen(copy), NULL, &v, &err) < 0) {
        fprintf(stderr, "bad JSON in a test: %s\n%s\n", error_text(&err, -EINVAL), copy);
        abort();
    }
    return v;
}

const struct resource *fake_resource(const char *plural) {
    size_t n;
    const struct resource *all = resources_all(&n);
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i].plural, plural) == 0 && all[i].stored)
            return &all[i];
    fprintf(stderr, "no resource %s\n", plural);
    abort();
}

static const char *meta(const struct json *object, const char *field) {
    return json_str_or(json_path(object, "metadata", field), "");
}

static struct json *status_object(int code, const char *reason, const char *message) {
    struct json *s = json_object();
    json_set(&s, "kind", json_string("Status"));
    json_set(&s, "code", json_int(code));
    json_set(&s, "status", json_string(code < 300 ? "Success" : "Failure"));
    json_set(&s, "reason", json_string(reason));
    json_set(&s, "message", json_string(message));
    return s;
}

static struct row *row_find(struct fake *f, const struct resource *r, const char *ns, const char *name) {
    for (size_t i = 0; i < f->n_rows; i++)
        if (f->rows[i].resource == r && strcmp(f->rows[i].name, name) == 0 &&
            (!r->namespaced || strcmp(f->rows[i].ns, ns ? ns : "") == 0))
            return &f->rows[i];
    return NULL;
}

static void wake_pump(struct fake *f) {
    (void) sd_event_source_set_enabled(f->pump, SD_EVENT_ON);
}

static void log_add(struct fake *f, const struct resource *r, const char *type, struct json *object, struct json *old) {
    xgrow(&f->log, f->n_log, &f->cap_log);
    f->log[f->n_log++] = (struct log_event){r, f->version, type, json_ref(object), json_ref(old)};
    wake_pump(f);
}

static void stamp(struct fake *f, struct json **object) {
    char version[24];
    snprintf(version, sizeof(version), "%llu", (unsigned long long) ++f->version);
    json_set_path(object, json_string(version), "metadata", "resourceVersion");
}

static void row_put(struct fake *f, struct row *row, struct json *take) {
    struct json *old = row->object;
    stamp(f, &take);
    row->object = take;
    log_add(f, row->resource, "MODIFIED", take, old);
    json_unref(old);
}

static void row_delete(struct fake *f, struct row *row) {
    struct json *old = row->object;
    struct json *last = json_ref(old);
    stamp(f, &last);
    log_add(f, row->resource, "DELETED", last, old);
    json_unref(last);
    json_unref(old);
    free(row->ns);
    free(row->name);
    *row = f->rows[--f->n_rows];
}

static void now_text(char out[TIMESTAMP_SIZE]) {
    timestamp_format(now_realtime_usec(), out);
}

static struct row *row_create(struct fake *f, const struct resource *r, const char *ns, struct json *take) {
    struct json *o = take;
    char text[TIMESTAMP_SIZE], uid[37], suffix[6];
    if (!*meta(o, "name")) {
        random_name_suffix(suffix, 5);
        json_set_path(&o, json_stringf("%s%s", meta(o, "generateName"), suffix), "metadata", "name");
    }
    if (r->namespaced)
        json_set_path(&o, json_string(ns), "metadata", "namespace");
    if (!*meta(o, "uid")) {
        random_uuid(uid);
        json_set_path(&o, json_string(uid), "metadata", "uid");
    }
    if (!*meta(o, "creationTimestamp")) {
        now_text(text);
        json_set_path(&o, json_string(text), "metadata", "creationTimestamp");
    }
    if (r->tracks_generation)
        json_set_path(&o, json_int(1), "metadata", "generation");
    json_set(&o, "apiVersion", json_string(resource_api_version(r)));
    json_set(&o, "kind", json_string(r->kind));
    stamp(f, &o);
    xgrow(&f->rows, f->n_rows, &f->cap_rows);
    struct row *row = &f->rows[f->n_rows++];
    *row = (struct row){r, xstrdup(r->namespaced ? ns : ""), xstrdup(meta(o, "name")), o};
    log_add(f, r, "ADDED", o, NULL);
    return row;
}

/* --- verbs: each returns the code and a new reference in *ret --- */

static int answer(struct json **ret, int code, const char *reason, const char *message) {
    *ret = status_object(code, reason, message);
    return code;
}

static bool selected(const struct client_request *r, const struct json *object) {
    if (r->resource->namespaced && r->ns && *r->ns && strcmp(r->ns, meta(object, "namespace")) != 0)
        return false;
    _cleanup_(selector_freep) struct selector *s = NULL;
    _cleanup_(field_selector_freep) struct field_selector *fs = NULL;
    if (selector_parse(r->label_selector, &s, NULL) < 0 ||
        field_selector_parse(r->field_selector, r->resource->group, r->resource->version, r->resource->kind, &fs,
                             NULL) < 0)
        abort();
    return selector_matches(s, json_path(object, "metadata", "labels")) && field_selector_matches(fs, object);
}

static int do_list(struct fake *f, const struct client_request *r, struct json **ret) {
    struct json *list = json_object();
    struct json *items = json_array();
    size_t from = r->continue_token ? strtoul(r->continue_token, NULL, 10) : 0, n = 0;
    size_t i = from;
    for (; i < f->n_rows && (f->page == 0 || n < f->page); i++)
        if (f->rows[i].resource == r->resource && selected(r, f->rows[i].object)) {
            struct json *item = json_ref(f->rows[i].object);
            json_del(&item, "kind");
            json_del(&item, "apiVersion");
            json_append(&items, item);
            n++;
        }
    json_set(&list, "kind", json_string(r->resource->list_kind));
    json_set_path(&list, json_stringf("%llu", (unsigned long long) f->version), "metadata", "resourceVersion");
    if (i < f->n_rows)
        json_set_path(&list, json_stringf("%zu", i), "metadata", "continue");
    json_set(&list, "items", items);
    *ret = list;
    return 200;
}

static int do_create(struct fake *f, const struct client_request *r, struct json **ret) {
    if (*meta(r->body, "name") && row_find(f, r->resource, r->ns, meta(r->body, "name")))
        return answer(ret, 409, "AlreadyExists", "already exists");
    struct json *o = json_ref(r->body);
    if (resource_subresource(r->resource, "status"))
        json_del(&o, "status");
    *ret = json_ref(row_create(f, r->resource, r->ns, o)->object);
    return 201;
}

static bool has_finalizers(const struct row *row) {
    return json_len(json_path(row->object, "metadata", "finalizers")) > 0 ||
           (strcmp(row->resource->plural, "namespaces") == 0 &&
            json_len(json_path(row->object, "spec", "finalizers")) > 0);
}

/* What a write of `next` over the row leaves, by subresource. */
static struct json *merged(const struct client_request *r, const struct row *row, const struct json *next) {
    struct json *o = json_ref(next);
    if (r->subresource && strcmp(r->subresource, "status") == 0) {
        struct json *status = json_ref(json_get(next, "status"));
        struct json *annotations = json_ref(json_path(next, "metadata", "annotations"));
        json_unref(o);
        o = json_ref(row->object);
        if (annotations)
            json_set_path(&o, annotations, "metadata", "annotations");
        json_set(&o, "status", status ? status : json_object());
        return o;
    }
    if (resource_subresource(r->resource, "status")) {
        struct json *status = json_get(row->object, "status");
        if (status)
            json_set(&o, "status", json_ref(status));
        else
            json_del(&o, "status");
    }
    bool annotated =
        strcmp(r->resource->kind, "Deployment") == 0 &&
        !json_equal(json_path(o, "metadata", "annotations"), json_path(row->object, "metadata", "annotations"));
    if (r->resource->tracks_generation &&
        (annotated || !json_equal(json_get(o, "spec"), json_get(row->object, "spec"))))
        json_set_path(&o, json_int(json_int_or(json_path(row->object, "metadata", "generation"), 0) + 1), "metadata",
                      "generation");
    return o;
}

static int do_write(struct fake *f, const struct client_request *r, struct row *row, const struct json *next,
                    struct json **ret) {
    const char *version = meta(next, "resourceVersion");
    if (*version && strcmp(version, meta(row->object, "resourceVersion")) != 0)
        return answer(ret, 409, "Conflict", "the object has been modified");
    if (*meta(next, "uid") && strcmp(meta(next, "uid"), meta(row->object, "uid")) != 0)
        return answer(ret, 409, "Conflict", "another uid");
    struct json *o = merged(r, row, next);
    if (json_equal(o, row->object)) {
        *ret = o;
        return 200;
    }
    row_put(f, row, o);
    *ret = json_ref(row->object);
    if (*meta(row->object, "deletionTimestamp") && !has_finalizers(row) &&
        json_int_or(json_path(row->object, "metadata", "deletionGracePeriodSeconds"), 0) == 0)
        row_delete(f, row);
    return 200;
}

static int do_patch(struct fake *f, const struct client_request *r, struct row *row, struct json **ret) {
    _cleanup_json_ struct json *next = NULL;
    int e = r->patch_type == PATCH_STRATEGIC
                ? patch_strategic(type_of_kind(resource_api_version(r->resource), r->resource->kind), row->object,
                                  r->body, &next, NULL)
                : patch_merge(row->object, r->body, &next, NULL);
    if (e < 0)
        return answer(ret, 422, "Invalid", "bad patch");
    return do_write(f, r, row, next, ret);
}

static void add_finalizer(struct json **o, const char *name) {
    json_append(json_edit(json_edit(o, "metadata"), "finalizers"), json_string(name));
}

static int do_delete(struct fake *f, const struct client_request *r, struct row *row, struct json **ret) {
    const char *uid = json_str(json_path(r->body, "preconditions", "uid"));
    if (uid && strcmp(uid, meta(row->object, "uid")) != 0)
        return answer(ret, 409, "Conflict", "Precondition failed: UID");
    const char *policy = json_str_or(json_get(r->body, "propagationPolicy"), "Background");
    bool pod = strcmp(r->resource->plural, "pods") == 0;
    int64_t grace = 0;
    if (pod && *json_str_or(json_path(row->object, "spec", "nodeName"), ""))
        grace = json_int_or(json_get(r->body, "gracePeriodSeconds"),
                            json_int_or(json_path(row->object, "spec", "terminationGracePeriodSeconds"), 30));
    struct json *o = json_ref(row->object);
    if (!*meta(o, "deletionTimestamp")) {
        if (strcmp(policy, "Foreground") == 0)
            add_finalizer(&o, "foregroundDeletion");
        else if (strcmp(policy, "Orphan") == 0)
            add_finalizer(&o, "orphan");
    }
    char text[TIMESTAMP_SIZE];
    now_text(text);
    json_set_path(&o, json_string(text), "metadata", "deletionTimestamp");
    json_set_path(&o, json_int(grace), "metadata", "deletionGracePeriodSeconds");
    if (strcmp(r->resource->plural, "namespaces") == 0)
        json_set_path(&o, json_string("Terminating"), "status", "phase");
    bool again = *meta(row->object, "deletionTimestamp") &&
                 json_int_or(json_path(row->object, "metadata", "deletionGracePeriodSeconds"), 0) <= grace;
    if (again)
        json_unref(o);
    else
        row_put(f, row, o);
    *ret = json_ref(row->object);
    if (grace == 0 && !has_finalizers(row))
        row_delete(f, row);
    return 200;
}

static int do_bind(struct fake *f, const struct client_request *r, struct row *row, struct json **ret) {
    if (*meta(r->body, "uid") && strcmp(meta(r->body, "uid"), meta(row->object, "uid")) != 0)
        return answer(ret, 409, "Conflict", "another uid");
    if (*json_str_or(json_path(row->object, "spec", "nodeName"), "") || *meta(row->object, "deletionTimestamp"))
        return answer(ret, 409, "Conflict", "assigned already, or being deleted");
    struct json *o = json_ref(row->object);
    json_set_path(&o, json_ref(json_path(r->body, "target", "name")), "spec", "nodeName");
    row_put(f, row, o);
    return answer(ret, 201, "", "");
}

/* A token that says who asked for what. */
static int do_token(struct fake *f, const struct client_request *r, struct json **ret) {
    const struct json *spec = json_get(r->body, "spec");

    (void) answer(ret, 201, "", "");
    json_set_path(ret,
                  json_stringf("%s/%s/%s/%lld", r->name, json_str_or(json_path(spec, "boundObjectRef", "name"), ""),
                               json_str_or(json_at(json_get(spec, "audiences"), 0), ""),
                               (long long) json_int_or(json_get(spec, "expirationSeconds"), 0)),
                  "status", "token");
    json_set_path(ret, json_string("2100-01-01T00:00:00Z"), "status", "expirationTimestamp");
    return 201;
}

static int do_delete_collection(struct fake *f, const struct client_request *r, struct json **ret) {
    for (size_t i = 0; i < f->n_rows;) {
        struct row *row = &f->rows[i];
        if (row->resource != r->resource || !selected(r, row->object)) {
            i++;
            continue;
        }
        size_t before = f->n_rows;
        _cleanup_json_ struct json *one = NULL;
        (void) do_delete(f, r, row, &one);
        if (f->n_rows == before)
            i++;
    }
    return answer(ret, 200, "", "");
}

static int planned_failure(struct fake *f, const struct client_request *r, struct json **ret) {
    for (size_t i = 0; i < f->n_failures; i++) {
        struct failure *x = &f->failures[i];
        if (x->times > 0 && x->verb == r->verb && strcmp(x->plural, r->resource->plural) == 0) {
            x->times--;
            return answer(ret, x->code, x->reason, "planned failure");
        }
    }
    return 0;
}

static void count(struct fake *f, const struct client_request *r) {
    for (size_t i = 0; i < f->n_counts; i++)
        if (f->counts[i].verb == r->verb && f->counts[i].resource == r->resource) {
            f->counts[i].n++;
            return;
        }
    xgrow(&f->counts, f->n_counts, &f->cap_counts);
    f->counts[f->n_counts].verb = r->verb;
    f->counts[f->n_counts].resource = r->resource;
    f->counts[f->n_counts++].n = 1;
}

static int perform(struct fake *f, const struct client_request *r, struct json **ret) {
    count(f, r);
    int code = planned_failure(f, r, ret);
    if (code)
        return code;
    struct row *row = r->name ? row_find(f, r->resource, r->ns, r->name) : NULL;
    if (r->name && !row)
        return answer(ret, 404, "NotFound", "not found");
    switch (r->verb) {
    case CLIENT_GET:
        *ret = json_ref(row->object);
        return 200;
    case CLIENT_LIST:
        return do_list(f, r, ret);
    case CLIENT_CREATE:
        if (r->subresource && strcmp(r->subresource, "binding") == 0)
            return do_bind(f, r, row, ret);
        if (r->subresource && strcmp(r->subresource, "token") == 0)
            return do_token(f, r, ret);
        return do_create(f, r, ret);
    case CLIENT_UPDATE:
        return do_write(f, r, row, r->body, ret);
    case CLIENT_PATCH:
        return do_patch(f, r, row, ret);
    case CLIENT_DELETE:
        return do_delete(f, r, row, ret);
    case CLIENT_DELETE_COLLECTION:
        return do_delete_collection(f, r, ret);
    }
    abort();
}

/* --- the client interface --- */

static char *dup_or_null(const char *s) {
    return s ? xstrdup(s) : NULL;
}

static void request_copy(struct client_request *to, const struct client_request *from) {
    *to = *from;
    to->ns = dup_or_null(from->ns);
    to->name = dup_or_null(from->name);
    to->subresource = dup_or_null(from->subresource);
    to->label_selector = dup_or_null(from->label_selector);
    to->field_selector = dup_or_null(from->field_selector);
    to->resource_version = dup_or_null(from->resource_version);
    to->continue_token = dup_or_null(from->continue_token);
    to->field_manager = NULL;
    to->body = json_ref(from->body);
}

static void request_finish(struct client_request *r) {
    free((char *) r->ns);
    free((char *) r->name);
    free((char *) r->subresource);
    free((char *) r->label_selector);
    free((char *) r->field_selector);
    free((char *) r->resource_version);
    free((char *) r->continue_token);
    json_unref(r->body);
}

static void call_free(struct client_call *call) {
    list_remove(&call->link);
    request_finish(&call->r);
    free(call);
}

static struct client_call *fake_start(struct client *c, const struct client_request *r, client_done_fn done,
                                      void *userdata) {
    struct fake *f = (struct fake *) c;
    struct client_call *call = xnew0(struct client_call);
    request_copy(&call->r, r);
    call->done = done;
    call->userdata = userdata;
    list_append(&f->calls, &call->link);
    wake_pump(f);
    return call;
}

static void fake_cancel(struct client *c, struct client_call *call) {
    call_free(call);
}

static void watch_free(struct client_watch *w) {
    list_remove(&w->link);
    request_finish(&w->r);
    free(w);
}

static struct client_watch *fake_watch(struct client *c, const struct client_request *r, client_event_fn event,
                                       void *userdata) {
    struct fake *f = (struct fake *) c;
    struct client_watch *w = xnew0(struct client_watch);
    request_copy(&w->r, r);
    w->event = event;
    w->userdata = userdata;
    uint64_t from = r->resource_version ? strtoull(r->resource_version, NULL, 10) : 0;
    while (w->position < f->n_log && f->log[w->position].version <= from)
        w->position++;
    if (f->n_log > 0 && w->position == 0 && f->log[0].version > from + 1 && from < f->log[0].version - 1 && from > 0)
        w->position = 0;
    list_append(&f->watches, &w->link);
    wake_pump(f);
    return w;
}

static void fake_watch_cancel(struct client *c, struct client_watch *w) {
    struct fake *f = (struct fake *) c;
    if (f->delivering)
        w->dead = true;
    else
        watch_free(w);
}

/* Sends one event; false when the watch has nothing to send. */
static bool watch_step(struct fake *f, struct client_watch *w) {
    while (w->position < f->n_log) {
        struct log_event *e = &f->log[w->position++];
        if (e->resource != w->r.resource)
            continue;
        bool now = strcmp(e->type, "DELETED") != 0 && selected(&w->r, e->object);
        bool before = e->old && selected(&w->r, e->old);
        if (!now && !before)
            continue;
        const char *type = !now ? "DELETED" : before ? "MODIFIED" : "ADDED";
        _cleanup_json_ struct json *object = json_ref(e->object);
        w->event(w->userdata, type, object);
        return true;
    }
    if (!w->end)
        return false;
    _cleanup_json_ struct json *status =
        strcmp(w->end, "ERROR") == 0 ? status_object(410, "Expired", "too old resource version") : NULL;
    w->dead = true;
    w->event(w->userdata, w->end, status);
    return true;
}

static bool call_step(struct fake *f) {
    if (list_empty(&f->calls))
        return false;
    struct client_call *call = list_entry(f->calls.next, struct client_call, link);
    _cleanup_json_ struct json *object = NULL;
    int code = perform(f, &call->r, &object);
    client_done_fn done = call->done;
    void *userdata = call->userdata;
    call_free(call);
    struct client_result result = {
        .code = code,
        .object = object,
        .reason = code < 300 ? "" : json_str_or(json_get(object, "reason"), ""),
        .message = code < 300 ? "" : json_str_or(json_get(object, "message"), ""),
    };
    done(userdata, &result);
    return true;
}

static int on_pump(sd_event_source *s, void *userdata) {
    struct fake *f = userdata;
    bool more = call_step(f);
    f->delivering = true;
    struct client_watch *w;
    for (struct list *at = f->watches.next; at != &f->watches; at = at->next) {
        w = list_entry(at, struct client_watch, link);
        if (!w->dead && watch_step(f, w))
            more = true;
    }
    f->delivering = false;
    list_foreach(w, &f->watches, link) {
        if (w->dead)
            watch_free(w);
    }
    if (!more)
        (void) sd_event_source_set_enabled(f->pump, SD_EVENT_OFF);
    return 0;
}

static void fake_client_free(struct client *c) {
    fake_free((struct fake *) c);
}

static const struct client_ops fake_ops = {
    .start = fake_start,
    .cancel = fake_cancel,
    .watch = fake_watch,
    .watch_cancel = fake_watch_cancel,
    .free = fake_client_free,
};

/* --- what tests do --- */

struct fake *fake_new(sd_event *loop) {
    struct fake *f = xnew0(struct fake);
    f->client.ops = &fake_ops;
    f->loop = sd_event_ref(loop);
    list_init(&f->calls);
    list_init(&f->watches);
    f->version = 100;
    if (sd_event_add_defer(loop, &f->pump, on_pump, f) < 0)
        abort();
    (void) sd_event_source_set_enabled(f->pump, SD_EVENT_OFF);
    return f;
}

struct client *fake_client(struct fake *f) {
    return &f->client;
}

static void log_clear(struct fake *f) {
    for (size_t i = 0; i < f->n_log; i++) {
        json_unref(f->log[i].object);
        json_unref(f->log[i].old);
    }
    f->n_log = 0;
}

void fake_free(struct fake *f) {
    struct client_call *call;
    list_foreach(call, &f->calls, link) call_free(call);
    struct client_watch *w;
    list_foreach(w, &f->watches, link) watch_free(w);
    log_clear(f);
    free(f->log);
    for (size_t i = 0; i < f->n_rows; i++) {
        json_unref(f->rows[i].object);
        free(f->rows[i].ns);
        free(f->rows[i].name);
    }
    free(f->rows);
    for (size_t i = 0; i < f->n_failures; i++) {
        free(f->failures[i].plural);
        free(f->failures[i].reason);
    }
    free(f->failures);
    free(f->counts);
    sd_event_source_disable_unref(f->pump);
    sd_event_unref(f->loop);
    free(f);
}

struct json *fake_create(struct fake *f, const char *json_text) {
    struct json *o = fake_json(json_text);
    const struct resource *r =
        resource_by_api_version(json_str(json_get(o, "apiVersion")), json_str(json_get(o, "kind")));
    const char *ns = *meta(o, "namespace") ? meta(o, "namespace") : "default";
    if (!r || (*meta(o, "name") && row_find(f, r, ns, meta(o, "name"))))
        abort();
    _cleanup_free_ char *ns_copy = xstrdup(ns);
    return json_ref(row_create(f, r, ns_copy, o)->object);
}

struct json *fake_get(struct fake *f, const struct resource *r, const char *ns, const char *name) {
    struct row *row = row_find(f, r, ns, name);
    return row ? row->object : NULL;
}

void fake_merge(struct fake *f, const struct resource *r, const char *ns, const char *name, const char *json_text) {
    struct row *row = row_find(f, r, ns, name);
    if (!row)
        abort();
    _cleanup_json_ struct json *patch = fake_json(json_text);
    struct json *next = NULL;
    if (patch_merge(row->object, patch, &next, NULL) < 0)
        abort();
    if (r->tracks_generation && json_get(patch, "spec"))
        json_set_path(&next, json_int(json_int_or(json_path(next, "metadata", "generation"), 0) + 1), "metadata",
                      "generation");
    row_put(f, row, next);
}

void fake_remove(struct fake *f, const struct resource *r, const char *ns, const char *name) {
    struct row *row = row_find(f, r, ns, name);
    if (row)
        row_delete(f, row);
}

struct json **fake_all(struct fake *f, const struct resource *r, const char *ns, size_t *ret_n) {
    struct json **all = xcalloc(f->n_rows + 1, sizeof(*all));
    size_t n = 0;
    for (size_t i = 0; i < f->n_rows; i++)
        if (f->rows[i].resource == r && (!ns || strcmp(f->rows[i].ns, ns) == 0))
            all[n++] = f->rows[i].object;
    *ret_n = n;
    return all;
}

size_t fake_count(struct fake *f, const struct resource *r, const char *ns) {
    size_t n;
    free(fake_all(f, r, ns, &n));
    return n;
}

void fake_fail(struct fake *f, enum client_verb verb, const char *plural, int code, const char *reason,
               unsigned times) {
    xgrow(&f->failures, f->n_failures, &f->cap_failures);
    f->failures[f->n_failures++] = (struct failure){verb, xstrdup(plural), xstrdup(reason), code, times};
}

void fake_heal(struct fake *f) {
    for (size_t i = 0; i < f->n_failures; i++)
        f->failures[i].times = 0;
}

void fake_break_watches(struct fake *f, bool position_lost) {
    struct client_watch *w;
    list_foreach(w, &f->watches, link) {
        w->end = position_lost ? "ERROR" : "CLOSED";
        if (position_lost)
            w->position = f->n_log;
    }
    wake_pump(f);
}

void fake_set_page(struct fake *f, size_t n) {
    f->page = n;
}

unsigned fake_requests(struct fake *f, enum client_verb verb, const char *plural) {
    for (size_t i = 0; i < f->n_counts; i++)
        if (f->counts[i].verb == verb && strcmp(f->counts[i].resource->plural, plural) == 0)
            return f->counts[i].n;
    return 0;
}

void fake_settle(sd_event *loop) {
    for (int idle = 0; idle < 3;)
        idle = sd_event_run(loop, 0) > 0 ? 0 : idle + 1;
}

void fake_run_for(sd_event *loop, uint64_t usec) {
    const uint64_t step = 5 * USEC_PER_MSEC;
    for (uint64_t passed = 0; passed < usec;) {
        uint64_t before = now_monotonic_usec();
        (void) sd_event_run(loop, step);
        uint64_t took = now_monotonic_usec() - before;
        passed += took < step ? took : step; /* while others had the processor, nothing could happen here */
    }
}

bool fake_wait(sd_event *loop, bool (*condition)(void *userdata), void *userdata) {
    uint64_t end = now_monotonic_usec() + 30 * USEC_PER_SEC;
    while (!condition(userdata)) {
        if (now_monotonic_usec() > end)
            return false;
        (void) sd_event_run(loop, 20 * USEC_PER_MSEC);
    }
    return true;
}
