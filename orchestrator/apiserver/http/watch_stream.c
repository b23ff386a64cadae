/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A watch as a chunked answer: one JSON object and a newline per event, or one protobuf frame. What is sent of an
 * object is what the store item carries, encoded once for all watchers; only tables and metadata views are made per
 * watcher.
 */
#include <string.h>

#include "orchestrator/apiserver/audit/record.h"
#include "orchestrator/apiserver/http/internal.h"
#include "orchestrator/apiserver/http/watch_encode.h"
#include "orchestrator/apiserver/metrics.h"
#include "orchestrator/apiserver/verbs/watch.h"
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
    struct watch_encoder encoder;
    bool ended;
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
        watch_encode(&s->encoder, &e, true, &s->buffer);
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
    watch_encoder_init(&s->encoder, req, api_watch_resource(s->watch));
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
                                   s->encoder.form.media == ACCEPT_PROTOBUF
                                       ? "application/vnd.kubernetes.protobuf;stream=watch"
                                       : "application/json");
    (void) MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache, private");
    if (req->audit)
        (void) MHD_add_response_header(r, "Audit-Id", req->audit->id);
    enum MHD_Result ok = MHD_queue_response(c, 200, r);
    MHD_destroy_response(r);
    return ok;
}
