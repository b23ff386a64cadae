/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One HTTP request to a port of a pod, or to a node: bytes of the answer pass as they are. */
#include <string.h>

#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/streams/backend_tls.h"
#include "orchestrator/apiserver/streams/conduit.h"
#include "orchestrator/apiserver/streams/sessions.h"
#include "podium/base/alloc.h"

#define STATUS_LINE "HTTP/1.1 101"

struct session {
    struct api_stream *request;
    struct conduit *conduit;
    struct node_stream *node;
    struct backend_tls *tls;            /* NULL: the pod is spoken to in the clear */
    struct strbuf text;                 /* the request, until it is sent */
    char line[sizeof(STATUS_LINE) - 1]; /* how the answer begins */
    size_t line_len;
    bool upgrade, upgraded;
    size_t untaken, uncredited;
};

static const struct node_ops *ops_of(const struct session *s) {
    return s->request->api->node_ops;
}

/* --- the pod's side --- */

static void give_credit(struct session *s) {
    size_t n = s->uncredited;

    if (n == 0 || !s->node || conduit_queued(s->conduit) > CONDUIT_LOW_WATER)
        return;
    s->uncredited = 0;
    ops_of(s)->resume(s->node, n);
}

/* Only an upgrade that the pod has agreed to makes the client's bytes its own. */
static void look_at_line(struct session *s, const char *p, size_t n) {
    size_t k = sizeof(s->line) - s->line_len < n ? sizeof(s->line) - s->line_len : n;

    if (k == 0)
        return;
    memcpy(s->line + s->line_len, p, k);
    s->line_len += k;
    if (s->line_len < sizeof(s->line))
        return;
    s->upgraded = s->upgrade && memcmp(s->line, STATUS_LINE, sizeof(s->line)) == 0;
    conduit_pause(s->conduit, false);
}

/* No byte has come, or none in the clear: a Status instead of an answer. */
static void send_failure(struct session *s, const char *why) {
    _cleanup_json_ struct json *status = json_object();
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    const struct api_stream *request = s->request;
    _cleanup_free_ char *whom = request->to_node ? xasprintf("node %s", request->name)
                                                 : xasprintf("port %d of pod %s", request->ports[0], request->name);

    json_set(&status, "kind", json_string("Status"));
    json_set(&status, "apiVersion", json_string("v1"));
    json_set(&status, "metadata", json_object());
    json_set(&status, "status", json_string("Failure"));
    json_set(&status, "message", json_stringf("error trying to reach %s: %s", whom, why));
    json_set(&status, "reason", json_string("ServiceUnavailable"));
    json_set(&status, "code", json_int(503));
    _cleanup_free_ char *text = json_to_text(status);
    strbuf_addf(&b,
                "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: application/json\r\n"
                "Content-Length: %zu\r\n\r\n%s",
                strlen(text), text);
    conduit_send(s->conduit, b.data, b.len);
}

/* The pod and we do not understand each other. */
static void give_up(struct session *s, const struct error *err) {
    if (s->line_len == 0)
        send_failure(s, error_text(err, -EPROTO));
    if (s->node)
        ops_of(s)->cancel(steal(&s->node));
    conduit_finish(s->conduit);
}

static void pass_to_client(void *userdata, const void *p, size_t n) {
    struct session *s = userdata;

    look_at_line(s, p, n);
    conduit_send(s->conduit, p, n);
}

static void pass_to_pod(void *userdata, const void *p, size_t n) {
    struct session *s = userdata;

    s->untaken += n;
    ops_of(s)->write(s->node, p, n);
}

static const struct backend_tls_ops tls_ops = {.send = pass_to_pod, .receive = pass_to_client};

static void on_data(void *userdata, enum node_channel channel, const void *p, size_t n) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct session *s = userdata;

    s->uncredited += n;
    if (!s->tls)
        pass_to_client(s, p, n);
    else if (backend_tls_input(s->tls, p, n, &err) < 0)
        give_up(s, &err);
    give_credit(s);
}

static void on_taken(void *userdata, size_t n) {
    struct session *s = userdata;

    s->untaken -= n < s->untaken ? n : s->untaken;
    if (s->upgraded)
        conduit_pause(s->conduit, s->untaken >= NODE_STREAM_WINDOW);
}

static void on_end(void *userdata, const struct node_stream_end *end) {
    struct session *s = userdata;

    s->node = NULL;
    if (s->line_len == 0)
        send_failure(s, end->error ? (end->message ? end->message : error_text(NULL, end->error))
                        : s->tls && !backend_tls_established(s->tls)
                            ? "the connection was closed in the middle of the TLS handshake"
                            : "the connection was closed without an answer");
    conduit_finish(s->conduit);
}

static const struct node_stream_handlers handlers = {.data = on_data, .taken = on_taken, .end = on_end};

/* --- the client's side --- */

/* In the clear; the pod may be told later, or not at all. */
static void write_to_pod(struct session *s, const void *p, size_t n) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (!s->tls)
        pass_to_pod(s, p, n);
    else if (backend_tls_write(s->tls, p, n, &err) < 0)
        give_up(s, &err);
}

static void open_pod(struct session *s) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    const struct node_forward_request r = {
        .pod = s->request->exec.pod, .port = s->request->ports[0], .pod_address = true};

    if (s->upgrade)
        conduit_pause(s->conduit, true);
    s->node = ops_of(s)->open_forward(s->request->api->node_carrier, &r, &handlers, s);
    if (s->request->tls && backend_tls_new(&tls_ops, s, &s->tls, &err) < 0)
        give_up(s, &err);
    else /* a body of a few MiB at most: more than the window, but it is here already */
        write_to_pod(s, s->text.data, s->text.len);
}

/* A node is told the request line only: nothing that it answers needs more. */
static void open_node(struct session *s) {
    const char *method = strbuf_str(&s->text), *path = method + strcspn(method, " ");
    _cleanup_free_ char *first = xstrndup(method, (size_t) (path - method));
    _cleanup_free_ char *second = xstrndup(path + 1, strcspn(path + 1, " "));
    const struct node_query_request r = {.node = s->request->node, .method = first, .path = second};

    s->node = ops_of(s)->open_query(s->request->api->node_carrier, &r, &handlers, s);
}

static void opened(void *userdata, struct conduit *c) {
    struct session *s = userdata;

    s->conduit = c;
    if (s->request->to_node)
        open_node(s);
    else
        open_pod(s);
    strbuf_finish(&s->text);
}

static void input(void *userdata, const void *p, size_t n) {
    struct session *s = userdata;

    if (!s->upgraded) {
        conduit_abort(s->conduit); /* it thinks the connection is free for its next request */
        return;
    }
    if (!s->node)
        return;
    write_to_pod(s, p, n);
    if (s->untaken >= NODE_STREAM_WINDOW)
        conduit_pause(s->conduit, true);
}

static void sent(void *userdata) {
    give_credit(userdata);
}

static void closed(void *userdata) {
    struct session *s = userdata;

    if (s->node)
        ops_of(s)->cancel(s->node);
    backend_tls_free(s->tls);
    strbuf_finish(&s->text);
    api_stream_free(s->request);
    free(s);
}

static const struct conduit_ops conduit_ops = {.opened = opened, .input = input, .sent = sent, .closed = closed};

void proxy_start(struct api_stream *take, struct takeover *socket_take, struct strbuf *request_take, bool upgrade) {
    struct session *s = xnew0(struct session);

    s->request = take;
    s->text = *request_take;
    *request_take = (struct strbuf) STRBUF_INIT;
    s->upgrade = upgrade;
    conduit_new(take->api, socket_take, CONDUIT_BYTES, xstrdup(""), &conduit_ops, s);
}
