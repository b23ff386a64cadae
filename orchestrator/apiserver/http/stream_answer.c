/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/stream_answer.h"

#include <gnutls/crypto.h>
#include <string.h>
#include <strings.h>

#include "orchestrator/apiserver/http/exec_session.h"
#include "orchestrator/apiserver/subresources/stream.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"

/* --- logs --- */

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

/* --- exec and attach --- */

static const char *const protocols[] = {"v5.channel.k8s.io", "v4.channel.k8s.io"};

static bool header_has(const char *header, const char *token) {
    size_t n = strlen(token);
    while (header && *header) {
        header += strspn(header, ", \t");
        size_t len = strcspn(header, ", \t");
        if (len == n && strncasecmp(header, token, n) == 0)
            return true;
        header += len;
    }
    return false;
}

static const char *header(struct MHD_Connection *c, const char *name) {
    return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

static const char *choose_protocol(struct MHD_Connection *c) {
    const char *offered = header(c, "Sec-WebSocket-Protocol");
    for (size_t i = 0; i < ARRAY_LEN(protocols); i++)
        if (header_has(offered, protocols[i]))
            return protocols[i];
    return NULL;
}

/* RFC 6455: base64 of the SHA-1 of the key and a fixed text. */
static char *accept_key(const char *key) {
    uint8_t digest[20];
    _cleanup_free_ char *text = xasprintf("%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    if (gnutls_hash_fast(GNUTLS_DIG_SHA1, text, strlen(text), digest) < 0)
        return xstrdup("");
    return base64_encode(digest, sizeof(digest));
}

static void upgraded(void *cls, struct MHD_Connection *c, void *req_cls, const char *extra, size_t extra_len,
                     MHD_socket sock, struct MHD_UpgradeResponseHandle *urh) {
    exec_session_start(cls, urh, sock, extra, extra_len);
}

static enum MHD_Result refuse(struct MHD_Connection *c, struct api_stream *take) {
    static const char text[] =
        "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"Upgrade "
        "request "
        "required: WebSocket with the subprotocol v5.channel.k8s.io or v4.channel.k8s.io\",\"reason\":\"BadRequest\","
        "\"code\":400}\n";
    api_stream_free(take);
    struct MHD_Response *r = MHD_create_response_from_buffer(sizeof(text) - 1, (void *) text, MHD_RESPMEM_PERSISTENT);
    if (!r)
        return MHD_NO;
    (void) MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    enum MHD_Result ok = MHD_queue_response(c, 400, r);
    MHD_destroy_response(r);
    return ok;
}

static enum MHD_Result queue_exec(struct MHD_Connection *c, struct api_stream *take) {
    const char *key = header(c, "Sec-WebSocket-Key"), *protocol = choose_protocol(c);
    if (!key || !protocol || !header_has(header(c, MHD_HTTP_HEADER_UPGRADE), "websocket"))
        return refuse(c, take);
    struct MHD_Response *r = MHD_create_response_for_upgrade(upgraded, take);
    if (!r) {
        api_stream_free(take);
        return MHD_NO;
    }
    _cleanup_free_ char *accept = accept_key(key);
    (void) MHD_add_response_header(r, MHD_HTTP_HEADER_UPGRADE, "websocket");
    (void) MHD_add_response_header(r, "Sec-WebSocket-Accept", accept);
    (void) MHD_add_response_header(r, "Sec-WebSocket-Protocol", protocol);
    enum MHD_Result ok = MHD_queue_response(c, MHD_HTTP_SWITCHING_PROTOCOLS, r);
    MHD_destroy_response(r);
    return ok;
}

enum MHD_Result stream_answer_queue(struct http_server *h, struct MHD_Connection *c, struct api_request *req) {
    struct api_stream *s = steal(&req->out.stream);
    return s->log ? queue_log(h, c, s) : queue_exec(c, s);
}
