/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One HTTP request: gather, authenticate, run (suspended while the store writes), answer. */
#include <arpa/inet.h>
#include <string.h>

#include "orchestrator/apiserver/audit/audit.h"
#include "orchestrator/apiserver/audit/record.h"
#include "orchestrator/apiserver/authz/impersonate.h"
#include "orchestrator/apiserver/http/encode.h"
#include "orchestrator/apiserver/http/gzip.h"
#include "orchestrator/apiserver/http/inflight.h"
#include "orchestrator/apiserver/http/internal.h"
#include "orchestrator/apiserver/http/list_answer.h"
#include "orchestrator/apiserver/http/stream_answer.h"
#include "orchestrator/apiserver/http/turns.h"
#include "orchestrator/apiserver/http/upgrade.h"
#include "orchestrator/apiserver/metrics.h"
#include "orchestrator/apiserver/routes.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/store/backup.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/limits.h"

/* A body that is too large is read to its end, and dropped, up to this: a client that is hung up on while it writes
 * does not read why. */
#define DISCARD_BYTES_MAX (16u * 1024u * 1024u)

struct exchange {
    struct http_server *server;
    struct api_request *req;
    struct peer *peer; /* the connection's; NULL: there is none */
    struct gate gate;
    uint64_t received; /* bytes of the body */
    uint64_t begun;    /* monotonic */
    char *uri;         /* as it came; only with an audit log */
    bool started;
    bool mutating;              /* by its method */
    struct inflight_user *user; /* counted as his, as long as it is set */
    struct turn turn;
    struct keeper_entry keeping; /* while it is pending */
    uint64_t wake_at;            /* the step wants to be woken then; 0: it waits for something */
    bool kept;
    bool counted;    /* as begun, and not yet as ended */
    bool taken_over; /* an upgraded connection has come back to be closed */
};

/*
 * Who ends the waiting of a pending request: what it waits for (resume()), or its time-out (keeper_came()). Whoever is
 * first wakes the connection; the other one leaves it alone. After a time-out the client is answered, but the request
 * must live until what it waits for comes back: who is last, the exchange or resume(), frees it.
 */
enum waiting {
    WAITING,
    RESUMED,
    ABANDONED, /* timed out */
    LATE,      /* … and has been resumed since */
    ORPHANED,  /* … and the exchange has gone */
};

static void enter(struct http_server *h) {
    (void) pthread_mutex_lock(&h->lock);
    h->n_exchanges++;
    (void) pthread_mutex_unlock(&h->lock);
}

static void leave(struct http_server *h) {
    (void) pthread_mutex_lock(&h->lock);
    if (--h->n_exchanges == 0)
        (void) pthread_cond_signal(&h->idle);
    (void) pthread_mutex_unlock(&h->lock);
}

static void resume(struct api_request *req) {
    struct exchange *x = req->transport;
    struct http_server *h = req->api->http;
    int waiting = WAITING;
    /* Counts by itself: the connection may be answered and gone before MHD_resume_connection() comes to its last act,
     * waking a daemon that must not have been stopped by then. */
    enter(h);
    if (atomic_compare_exchange_strong(&req->waiting, &waiting, RESUMED)) {
        gate_wake(&x->gate);
    } else if (atomic_exchange(&req->waiting, LATE) == ORPHANED) {
        api_request_free(req);
        leave(h);
    }
    leave(h);
}

/* Due, or the server stops: then only those are woken that wait for nothing but time. */
static void keeper_came(struct keeper_entry *e, bool gone) {
    struct exchange *x = container_of(e, struct exchange, keeping);
    int waiting = WAITING;
    if ((!gone || x->wake_at) &&
        atomic_compare_exchange_strong(&x->req->waiting, &waiting, x->wake_at ? RESUMED : ABANDONED))
        gate_wake(&x->gate);
}

static bool wake_at(struct api_request *req, uint64_t usec) {
    struct exchange *x = req->transport;
    if (atomic_load(&x->server->stopping))
        return false;
    x->wake_at = usec;
    return true;
}

/* What goes on for as long as the client likes has no time-out. */
static bool is_long_running(const struct api_request *req) {
    static const char *const subs[] = {"exec", "attach", "portforward", "proxy", "log"};
    for (size_t i = 0; req->sub && i < ARRAY_LEN(subs); i++)
        if (strcmp(req->sub->name, subs[i]) == 0)
            return true;
    return req->verb && strcmp(req->verb, "watch") == 0;
}

static void keep(struct exchange *x) {
    uint64_t due = is_long_running(x->req) ? 0 : x->begun + x->server->limits.request_usec;
    x->keeping = (struct keeper_entry){.wake = keeper_came, .due = x->wake_at ? x->wake_at : due};
    x->kept = true;
    keeper_add(x->server->keeper, &x->keeping, -1);
}

static void unkeep(struct exchange *x) {
    if (x->kept)
        keeper_remove(x->server->keeper, &x->keeping);
    x->kept = false;
    x->wake_at = 0;
}

static enum MHD_Result add_param(void *cls, enum MHD_ValueKind kind, const char *key, const char *value) {
    api_request_add_param(cls, xstrdup(key), xstrdup(value ? value : ""));
    return MHD_YES;
}

static enum MHD_Result add_header(void *cls, enum MHD_ValueKind kind, const char *key, const char *value) {
    impersonate_header(cls, key, value);
    return MHD_YES;
}

static char *header(struct MHD_Connection *c, const char *name) {
    const char *v = MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
    return v ? xstrdup(v) : NULL;
}

void *exchange_uri(void *cls, const char *uri, struct MHD_Connection *c) {
    struct http_server *h = cls;
    if (!h->api->audit)
        return NULL;
    struct exchange *x = xnew0(struct exchange);
    x->uri = xstrdup(uri);
    return x;
}

/* started: what exchange_uri() made; NULL: nothing yet. */
static struct exchange *exchange_new(struct http_server *h, struct exchange *started, struct MHD_Connection *c,
                                     const char *url, const char *method) {
    struct exchange *x = started ? started : xnew0(struct exchange);
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct api_request *req = api_request_new(h->api);
    x->server = h;
    x->req = req;
    x->gate.connection = c;
    x->peer = info ? info->socket_context : NULL;
    if (x->peer)
        handshake_head_read(&x->peer->handshake, h->limits.body_usec);
    req->transport = x;
    req->resume = resume;
    req->wake_at = wake_at;
    req->watch_allowed = true;
    req->method = xstrdup(method);
    req->path = xstrdup(url);
    req->content_type = header(c, MHD_HTTP_HEADER_CONTENT_TYPE);
    req->accept = header(c, MHD_HTTP_HEADER_ACCEPT);
    req->user_agent = header(c, MHD_HTTP_HEADER_USER_AGENT);
    req->if_none_match = header(c, MHD_HTTP_HEADER_IF_NONE_MATCH);
    (void) MHD_get_connection_values(c, MHD_GET_ARGUMENT_KIND, add_param, req);
    (void) MHD_get_connection_values(c, MHD_HEADER_KIND, add_header, req);
    return x;
}

/* Its answer is made, or never will be. */
static void count(struct exchange *x, unsigned code) {
    if (x->counted)
        metrics_end(x->server->api->metrics, x->req, code, now_monotonic_usec() - x->begun);
    x->counted = false;
    if (x->user) {
        inflight_leave(x->server->inflight, x->user, x->mutating);
        inflight_unref(x->server->inflight, steal(&x->user));
    }
}

/* False: what it waited for will free it. */
static bool request_ends(struct exchange *x) {
    struct api_request *req = x->req;
    bool turned = turn_end(&x->turn); /* was never let in, so nothing comes back */
    if (turned || atomic_load(&req->waiting) < ABANDONED) {
        api_request_free(req);
        return true;
    }
    if (!req->user_owned)
        req->user = NULL; /* it was the connection's, and so is what is remembered of it */
    req->memo = NULL;
    if (atomic_exchange(&req->waiting, ORPHANED) == ABANDONED)
        return false;
    api_request_free(req);
    return true;
}

void exchange_completed(void *cls, struct MHD_Connection *c, void **con_cls, enum MHD_RequestTerminationCode why) {
    struct exchange *x = *con_cls;
    struct http_server *h = cls;
    if (!x)
        return;
    *con_cls = NULL;
    bool counted = x->started;
    bool ended = true;
    if (x->req) {
        unkeep(x);
        count(x, 0); /* the client has gone before there was an answer */
        ended = request_ends(x);
        if (x->peer)
            handshake_answered(&x->peer->handshake);
    }
    free(x->uri);
    free(x);
    if (counted && ended)
        leave(h);
}

/* --- answering --- */

static void unref_item(void *cls) {
    store_item_unref(cls);
}

static void free_text(void *cls) {
    free(cls);
}

static struct MHD_Response *response_of(struct encoded *e) {
    if (e->item) {
        size_t n;
        const char *text = store_item_text(e->item, &n);
        return MHD_create_response_from_buffer_with_free_callback_cls(n, (void *) text, unref_item, steal(&e->item));
    }
    size_t n = e->text.len;
    char *text = strbuf_steal(&e->text);
    return MHD_create_response_from_buffer_with_free_callback_cls(n, text, free_text, text);
}

static bool takes_gzip(struct MHD_Connection *c) {
    return accept_gzip(MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT_ENCODING));
}

/* Large answers are compressed for who asks for it. True: e->text is gzip now. */
static bool compress(struct MHD_Connection *c, struct encoded *e) {
    size_t n = e->text.len;
    const char *text = e->item ? store_item_text(e->item, &n) : e->text.data;
    struct strbuf small = STRBUF_INIT;
    if (n <= GZIP_BYTES_MIN || !takes_gzip(c))
        return false;
    if (!gzip_add(text, n, &small)) {
        strbuf_finish(&small);
        return false;
    }
    strbuf_finish(&e->text);
    store_item_unref(steal(&e->item));
    e->text = small;
    return true;
}

/* Go's quoting for the header (RFC 7234 warn-text): quotes and backslashes escaped, no line ends. */
static void add_warning(struct MHD_Response *r, const char *text) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    strbuf_adds(&b, "299 - \"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            strbuf_addc(&b, '\\');
        strbuf_addc(&b, (unsigned char) *text < 0x20 ? ' ' : *text);
    }
    strbuf_addc(&b, '"');
    (void) MHD_add_response_header(r, MHD_HTTP_HEADER_WARNING, strbuf_str(&b));
}

static void add_headers(struct MHD_Response *r, const struct api_request *req, const struct encoded *e) {
    const struct api_response *out = &req->out;
    (void) MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, e->content_type);
    (void) MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL,
                                   out->immutable ? "public, immutable" : "no-cache, private");
    if (out->etag) {
        (void) MHD_add_response_header(r, MHD_HTTP_HEADER_ETAG, out->etag);
        (void) MHD_add_response_header(r, MHD_HTTP_HEADER_VARY, "Accept");
    }
    if (req->audit)
        (void) MHD_add_response_header(r, "Audit-Id", req->audit->id);
    if (out->location)
        (void) MHD_add_response_header(r, MHD_HTTP_HEADER_LOCATION, out->location);
    if (out->retry_after) {
        char s[16];
        (void) snprintf(s, sizeof(s), "%u", out->retry_after);
        (void) MHD_add_response_header(r, MHD_HTTP_HEADER_RETRY_AFTER, s);
    }
    for (char **w = out->warnings; w && *w; w++)
        add_warning(r, *w);
}

/* --- backups: made line by line as the client takes them --- */

static ssize_t read_backup(void *cls, uint64_t pos, char *buf, size_t max) {
    size_t n = store_backup_read(cls, buf, max);
    return n > 0 ? (ssize_t) n : MHD_CONTENT_READER_END_OF_STREAM;
}

static void free_backup(void *cls) {
    store_backup_free(cls);
}

static enum MHD_Result backup_queue(struct MHD_Connection *c, struct api_request *req) {
    struct store_backup *b = steal(&req->out.backup);
    struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 65536, read_backup, b, free_backup);
    if (!r) {
        store_backup_free(b);
        return MHD_NO;
    }
    (void) MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "application/jsonl");
    (void) MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    enum MHD_Result ok = MHD_queue_response(c, 200, r);
    MHD_destroy_response(r);
    return ok;
}

static bool watch_form_accepted(struct api_request *req) {
    struct accepted a;
    if (accept_parse(req->accept, OFFER_VIEWS | OFFER_STREAM, &a) && a.as != AS_PARTIAL_LIST)
        return a.as != AS_TABLE || table_options_valid(req);
    (void) api_fail(req, 406, "NotAcceptable",
                    "only the following media types are accepted: application/json;stream=watch, "
                    "application/vnd.kubernetes.protobuf;stream=watch");
    return false;
}

static enum MHD_Result queue(struct MHD_Connection *c, unsigned code, struct MHD_Response *take, bool compressed) {
    if (compressed) {
        (void) MHD_add_response_header(take, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
        (void) MHD_add_response_header(take, MHD_HTTP_HEADER_VARY, "Accept-Encoding");
    }
    enum MHD_Result ok = MHD_queue_response(c, code, take);
    MHD_destroy_response(take);
    return ok;
}

static void finished(struct exchange *x, unsigned code) {
    count(x, code);
    if (x->req->audit)
        audit_answered(x->req, code, false);
}

static enum MHD_Result list_queue(struct exchange *x, struct MHD_Connection *c, const struct accepted *form) {
    struct encoded e = {.code = x->req->out.code};
    bool gzip = takes_gzip(c);
    finished(x, e.code);
    struct MHD_Response *r = list_answer(x->server, x->req, form, &gzip, &e.content_type);
    if (!r)
        return MHD_NO;
    add_headers(r, x->req, &e);
    return queue(c, e.code, r, gzip);
}

static enum MHD_Result answer(struct exchange *x, struct MHD_Connection *c) {
    struct api_request *req = x->req;
    struct accepted form;
    _cleanup_(encoded_finish) struct encoded e = {0};
    bool watch = req->out.kind == API_OUT_WATCH && watch_form_accepted(req);
    bool long_running = watch || req->out.kind == API_OUT_STREAM || req->out.kind == API_OUT_BACKUP;
    if (long_running)
        count(x, req->out.code ? req->out.code : 200);
    if (long_running && req->audit)
        audit_answered(req, req->out.code ? req->out.code : 200, true);
    if (watch && upgrade_watch(c, req)) {
        x->taken_over = true;
        return MHD_YES;
    }
    if (watch)
        return watch_stream_queue(x->server, c, req);
    if (req->out.kind == API_OUT_STREAM)
        return stream_answer_queue(x->server, c, req, &x->taken_over);
    if (req->out.kind == API_OUT_BACKUP)
        return backup_queue(c, req);
    if (req->out.kind == API_OUT_LIST && encode_form(req, &form) && list_answer_possible(req, &form))
        return list_queue(x, c, &form);
    encode_response(req, &e);
    if (req->out.etag && req->if_none_match && e.code == 200 && strstr(req->if_none_match, req->out.etag)) {
        e.code = 304;
        strbuf_reset(&e.text);
    }
    unsigned code = e.code;
    finished(x, code);
    bool compressed = compress(c, &e);
    struct MHD_Response *r = response_of(&e);
    if (!r)
        return MHD_NO;
    add_headers(r, req, &e);
    return queue(c, code, r, compressed);
}

/* --- running --- */

static void begin_audit(struct exchange *x, struct MHD_Connection *c, bool authenticated) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char address[INET6_ADDRSTRLEN] = "";
    struct audit_source from = {
        .uri = x->uri,
        .forwarded = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "X-Forwarded-For"),
        .id = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Audit-ID"),
        .address = address,
    };
    if (!info || !peer_address(info->client_addr, address))
        from.address = "127.0.0.1"; /* the unix socket */
    audit_begin(x->req, &from, authenticated);
}

/* Who asks, and for what: before it is looked at whether he may. False: refused (401). */
static bool introduce(struct exchange *x, struct MHD_Connection *c, struct peer *peer) {
    bool known = peer && peer_authenticate(peer, c, x->req);
    route_find(x->req);
    if (x->server->api->audit)
        begin_audit(x, c, known);
    if (!known)
        (void) api_fail(x->req, 401, "Unauthorized", "Unauthorized");
    return known;
}

/* False: his share is used up, and he has been told to come back. */
static bool let_in(struct exchange *x, struct peer *peer) {
    struct http_server *h = x->server;
    struct api_request *req = x->req;
    struct inflight_user *u = peer_inflight(peer, req);
    x->mutating = strcmp(req->method, "GET") != 0 && strcmp(req->method, "HEAD") != 0;
    if (inflight_enter(h->inflight, u, x->mutating)) {
        x->user = u;
        return true;
    }
    inflight_unref(h->inflight, u);
    (void) api_reply_text(req, 429, "text/plain; charset=utf-8",
                          xstrdup("Too many requests, please try again later.\n"));
    req->out.retry_after = 1;
    return false;
}

static enum api_progress begin(struct exchange *x, struct MHD_Connection *c) {
    struct api_request *req = x->req;
    struct peer *peer = x->peer;
    x->started = x->counted = true;
    x->begun = now_monotonic_usec();
    metrics_begin(x->server->api->metrics, req);
    enter(x->server);
    /* Whoever was let in before we began to stop is served once; a client that asks again is told to come back. */
    bool first = peer && peer_asks(peer);
    if (peer)
        handshake_request_read(&peer->handshake);
    if (!introduce(x, c, peer))
        return API_DONE;
    if (req->body.overflow)
        return api_fail(req, 413, "RequestEntityTooLarge", "Request entity too large: limit is %u", OBJECT_BYTES_MAX);
    if (atomic_load(&x->server->stopping) && !first) {
        req->out.retry_after = 1;
        return api_fail(req, 503, "ServiceUnavailable", "the server is shutting down");
    }
    const struct api_user *caller = req->user;
    if (!impersonate(req))
        return API_DONE;
    if (req->audit && req->user != caller)
        audit_impersonated(req);
    if (!let_in(x, peer))
        return API_DONE;
    if (!turn_wanted(req))
        return api_request_start(req);
    turn_wait(x->server->turns, &x->turn, req);
    req->next = api_request_start;
    return API_PENDING;
}

static enum api_progress go_on(struct exchange *x, struct MHD_Connection *c) {
    int waiting = x->started ? atomic_load(&x->req->waiting) : WAITING;
    if (waiting >= ABANDONED)
        return api_timeout(x->req);
    atomic_store(&x->req->waiting, WAITING);
    if (x->turn.turns && !x->turn.begun)
        turn_begin(&x->turn);
    return x->started ? api_request_step(x->req) : begin(x, c);
}

static enum MHD_Result run(struct exchange *x, struct MHD_Connection *c) {
    for (;;) {
        unkeep(x);
        gate_arm(&x->gate);
        if (go_on(x, c) == API_DONE) {
            enum MHD_Result r = answer(x, c);
            if (x->turn.granted)
                (void) turn_end(&x->turn);
            return r;
        }
        if (x->turn.granted) /* the rest is waiting */
            (void) turn_end(&x->turn);
        keep(x);
        bool waits_for_turn = x->turn.turns && !x->turn.begun;
        if (!gate_close(&x->gate))
            continue;
        if (waits_for_turn)
            turn_offer(&x->turn);
        return MHD_YES;
    }
}

/* Said in advance: then nothing of it is read. */
static bool far_too_large(struct MHD_Connection *c) {
    const char *length = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return length && strtoull(length, NULL, 10) > DISCARD_BYTES_MAX;
}

enum MHD_Result exchange_handle(void *cls, struct MHD_Connection *c, const char *url, const char *method,
                                const char *version, const char *upload, size_t *upload_size, void **con_cls) {
    struct exchange *x = *con_cls;
    if (!x || !x->req) { /* answering in this first call would close the connection afterwards */
        *con_cls = x = exchange_new(cls, x, c, url, method);
        if (!far_too_large(c))
            return MHD_YES;
        x->req->body.overflow = true;
        return run(x, c);
    }
    if (x->taken_over)
        return MHD_NO;
    if (*upload_size > 0) {
        x->received += *upload_size;
        if (x->received > DISCARD_BYTES_MAX) /* it did not say so before (chunked), and cannot be answered now */
            return MHD_NO;
        strbuf_add(&x->req->body, upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    return run(x, c);
}
