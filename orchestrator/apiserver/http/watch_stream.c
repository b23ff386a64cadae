/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A watch as a chunked answer: one JSON object and a newline per event, or one protobuf frame. What is sent of an
 * object is what the store item carries, encoded once for all watchers; only tables and metadata views are made per
 * watcher.
 */
#include <string.h>

#include "orchestrator/apiserver/http/encode.h"
#include "orchestrator/apiserver/http/internal.h"
#include "orchestrator/apiserver/metrics.h"
#include "orchestrator/apiserver/verbs/watch.h"
#include "orchestrator/object/protobuf.h"
#include "orchestrator/object/table.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

/* Events gathered for one write; a single larger one still goes out whole. */
#define GATHER_BYTES (32u * 1024u)
/* What a buffer may keep between bursts: thousands of idle watches should cost little. */
#define KEEP_BYTES (4u * 1024u)

struct watch_stream {
    struct http_server *server;
    struct api_watch *watch;
    struct gate gate;
    struct keeper_entry keeping;
    struct strbuf buffer;
    size_t sent;
    struct accepted form;
    enum table_include include;
    bool columns_sent, ended;
    atomic_bool gone;
};

static void changes_came(void *userdata) {
    struct watch_stream *s = userdata;
    gate_wake(&s->gate);
}

static void keeper_came(struct keeper_entry *e, bool gone) {
    struct watch_stream *s = container_of(e, struct watch_stream, keeping);
    if (gone)
        atomic_store(&s->gone, true);
    gate_wake(&s->gate);
}

static struct json *event_table(struct watch_stream *s, const char *type, const struct json *doc) {
    const struct resource *r = api_watch_resource(s->watch);
    bool bookmark = strcmp(type, "BOOKMARK") == 0;
    struct json *t = json_object(), *m = json_object();
    json_set(&t, "kind", json_string("Table"));
    json_set(&t, "apiVersion", json_string(accepted_meta_version(&s->form)));
    json_set(&m, "resourceVersion", json_ref(json_path(doc, "metadata", "resourceVersion")));
    json_set(&t, "metadata", m);
    json_set(&t, "columnDefinitions", s->columns_sent ? json_null() : table_columns(r));
    s->columns_sent = true;
    json_set(&t, "rows", json_array());
    if (!bookmark)
        json_append(json_edit(&t, "rows"), table_row(r, doc, s->include, now_realtime_usec()));
    else /* upstream puts the bookmark into the row: clients read the revision there */
        json_append(json_edit(&t, "rows"), table_row(r, doc, TABLE_INCLUDE_METADATA, now_realtime_usec()));
    return t;
}

/* The initial state is packed for this watcher alone: kept for all, it would double what every object takes. */
static void frame_item(struct watch_stream *s, const struct watch_event *e) {
    const struct resource *r = api_watch_resource(s->watch);
    _cleanup_strbuf_ struct strbuf own = STRBUF_INIT;
    size_t n;
    const char *packed = store_item_packed(e->item, e->shared ? encode_packed : NULL, (void *) r, &n);
    if (!packed && encode_packed((void *) r, store_item_doc(e->item), &own) == 0) {
        packed = strbuf_str(&own);
        n = own.len;
    }
    if (packed)
        protobuf_frame_event(e->type, resource_api_version(r), r->kind, packed, n, &s->buffer);
}

static void frame_event(struct watch_stream *s, const struct watch_event *e) {
    _cleanup_strbuf_ struct strbuf message = STRBUF_INIT;
    bool partial = s->form.as == AS_PARTIAL && strcmp(e->type, "ERROR") != 0;
    if (e->item && !partial) {
        frame_item(s, e);
        return;
    }
    const struct json *doc = e->item ? store_item_doc(e->item) : e->object;
    const char *api_version = partial ? "meta.k8s.io/v1" : json_str_or(json_get(doc, "apiVersion"), ""),
               *kind = partial ? "PartialObjectMetadata" : json_str_or(json_get(doc, "kind"), "");
    if (protobuf_encode_message(api_version, kind, doc, &message, NULL) == 0)
        protobuf_frame_event(e->type, partial ? accepted_meta_version(&s->form) : api_version, kind, message.data,
                             message.len, &s->buffer);
}

static void write_event(struct watch_stream *s, const struct watch_event *e) {
    struct strbuf *b = &s->buffer;
    if (s->form.media == ACCEPT_PROTOBUF) {
        frame_event(s, e);
        return;
    }
    bool error = strcmp(e->type, "ERROR") == 0;
    strbuf_addf(b, "{\"type\":\"%s\",\"object\":", e->type);
    if (s->form.as == AS_ITSELF || error) {
        size_t n;
        if (e->item) {
            const char *text = store_item_text(e->item, &n);
            strbuf_add(b, text, n);
        } else {
            json_write(e->object, 0, b);
        }
    } else {
        const struct json *doc = e->item ? store_item_doc(e->item) : e->object;
        _cleanup_json_ struct json *view =
            s->form.as == AS_TABLE ? event_table(s, e->type, doc) : partial_document(doc, &s->form);
        json_write(view, 0, b);
    }
    strbuf_adds(b, "}\n");
}

/* Pulls events into the empty buffer. */
static void fill(struct watch_stream *s) {
    struct watch_event e;
    if (s->buffer.cap > KEEP_BYTES && s->buffer.cap > 2 * GATHER_BYTES)
        strbuf_finish(&s->buffer);
    strbuf_reset(&s->buffer);
    s->sent = 0;
    while (s->buffer.len < GATHER_BYTES) {
        int r = api_watch_next(s->watch, &e);
        if (r == 0)
            return;
        if (r < 0) {
            s->ended = true;
            return;
        }
        write_event(s, &e);
    }
}

static ssize_t read_stream(void *cls, uint64_t pos, char *buf, size_t max) {
    struct watch_stream *s = cls;
    for (;;) {
        size_t n = s->buffer.len - s->sent;
        if (n > 0) {
            n = n < max ? n : max;
            memcpy(buf, s->buffer.data + s->sent, n);
            s->sent += n;
            return (ssize_t) n;
        }
        if (atomic_load(&s->gone))
            return atomic_load(&s->server->stopping) ? MHD_CONTENT_READER_END_OF_STREAM
                                                     : MHD_CONTENT_READER_END_WITH_ERROR;
        if (s->ended)
            return MHD_CONTENT_READER_END_OF_STREAM;
        gate_arm(&s->gate);
        fill(s);
        if (s->buffer.len > 0 || s->ended || atomic_load(&s->gone))
            continue;
        if (s->buffer.cap > KEEP_BYTES)
            strbuf_finish(&s->buffer);
        s->sent = 0;
        keeper_set_due(s->server->keeper, &s->keeping, api_watch_due(s->watch));
        if (gate_close(&s->gate))
            return 0;
    }
}

static void free_stream(void *cls) {
    struct watch_stream *s = cls;
    keeper_remove(s->server->keeper, &s->keeping);
    metrics_watches(s->server->api->metrics, -1);
    api_watch_free(s->watch);
    strbuf_finish(&s->buffer);
    free(s);
}

enum MHD_Result watch_stream_queue(struct http_server *h, struct MHD_Connection *c, struct api_request *req) {
    struct watch_stream *s = xnew0(struct watch_stream);
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    s->server = h;
    s->watch = steal(&req->out.watch);
    s->gate.connection = c;
    s->include = table_include(req);
    if (!accept_parse(req->accept, OFFER_VIEWS | OFFER_STREAM, &s->form)) /* the caller has checked */
        s->form = (struct accepted){0};
    api_watch_set_wake(s->watch, changes_came, s);
    s->keeping = (struct keeper_entry){.wake = keeper_came, .due = api_watch_due(s->watch)};
    keeper_add(h->keeper, &s->keeping, info ? info->connect_fd : -1);
    metrics_watches(h->api->metrics, 1);
    struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1024, read_stream, s, free_stream);
    if (!r) {
        free_stream(s);
        return MHD_NO;
    }
    (void) MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE,
                                   s->form.media == ACCEPT_PROTOBUF ? "application/vnd.kubernetes.protobuf;stream=watch"
                                                                    : "application/json");
    (void) MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache, private");
    enum MHD_Result ok = MHD_queue_response(c, 200, r);
    MHD_destroy_response(r);
    return ok;
}
