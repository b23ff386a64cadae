/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/stream_answer.h"

#include "orchestrator/apiserver/http/proxy.h"
#include "orchestrator/apiserver/http/upgrade.h"
#include "orchestrator/apiserver/subresources/stream.h"
#include "podium/base/alloc.h"

struct log_answer {
    struct http_server *server;
    struct api_stream *stream;
    struct gate gate;
    struct keeper_entry keeping; /* for the hang-up of a client that follows a silent log */
    atomic_bool gone;
};

static void bytes_came(void *userdata) {
    struct log_answer *a = userdata;
    gate_wake(&a->gate);
}

static void keeper_came(struct keeper_entry *e, bool gone) {
    struct log_answer *a = container_of(e, struct log_answer, keeping);
    if (gone)
        atomic_store(&a->gone, true);
    gate_wake(&a->gate);
}

static ssize_t read_log(void *cls, uint64_t pos, char *buf, size_t max) {
    struct log_answer *a = cls;
    for (;;) {
        gate_arm(&a->gate);
        if (atomic_load(&a->gone))
            return MHD_CONTENT_READER_END_OF_STREAM;
        long n = log_stream_read(a->stream->log, buf, max);
        if (n > 0)
            return n;
        if (n < 0)
            return MHD_CONTENT_READER_END_OF_STREAM;
        log_stream_set_wake(a->stream->log, bytes_came, a);
        if (gate_close(&a->gate))
            return 0;
    }
}

static void free_log(void *cls) {
    struct log_answer *a = cls;
    keeper_remove(a->server->keeper, &a->keeping);
    api_stream_free(a->stream); /* no wake after this */
    free(a);
}

static enum MHD_Result queue_log(struct http_server *h, struct MHD_Connection *c, struct api_stream *take) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct log_answer *a = xnew0(struct log_answer);
    a->server = h;
    a->stream = take;
    a->gate.connection = c;
    a->keeping.wake = keeper_came;
    keeper_add(h->keeper, &a->keeping, info ? info->connect_fd : -1);
    struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, read_log, a, free_log);
    if (!r) {
        free_log(a);
        return MHD_NO;
    }
    (void) MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
    (void) MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache, private");
    enum MHD_Result ok = MHD_queue_response(c, 200, r);
    MHD_destroy_response(r);
    return ok;
}

enum MHD_Result stream_answer_queue(struct http_server *h, struct MHD_Connection *c, struct api_request *req,
                                    bool *taken_over) {
    struct api_stream *s = steal(&req->out.stream);

    if (s->kind == API_STREAM_PROXY)
        return proxy_queue(c, req, s, taken_over);
    return s->kind == API_STREAM_LOG ? queue_log(h, c, s) : upgrade_queue(c, s, taken_over);
}
