/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * port-forward over SPDY, plain or inside a WebSocket: for each connection the client opens a stream for errors and one
 * for data, with the same request id, and the port.
 */
#include <string.h>
#include <strings.h>

#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/spdy/session.h"
#include "orchestrator/apiserver/streams/conduit.h"
#include "orchestrator/apiserver/streams/sessions.h"
#include "podium/base/alloc.h"

/* Clients made of Go's spdystream obey no windows: what a slow program in the pod has not taken is kept here, so that
 * other connections go on, up to a bound for each and for all. Beyond it the whole connection waits. */
#define FORWARD_UNTAKEN_MAX (1024u * 1024u)
#define SESSION_UNTAKEN_MAX (8u * 1024u * 1024u)

struct session;
struct forward {
    struct list link;
    struct session *session;
    char *id;
    long port;
    struct spdy_stream *error, *data;
    struct node_stream *node;
    size_t untaken, uncredited;
    bool in_ended;
};

struct session {
    struct api_stream *request;
    struct conduit *conduit;
    struct spdy_session *spdy;
    struct list forwards;
    size_t untaken;
};

static const struct node_ops *ops_of(const struct session *s) {
    return s->request->api->node_ops;
}

static void set_pause(struct session *s) {
    struct forward *f;
    bool full = s->untaken >= SESSION_UNTAKEN_MAX;

    list_foreach(f, &s->forwards, link) full |= f->untaken >= FORWARD_UNTAKEN_MAX;
    conduit_pause(s->conduit, full);
}

static void forward_free(struct forward *f) {
    struct session *s = f->session;

    list_remove(&f->link);
    s->untaken -= f->untaken;
    if (f->node)
        ops_of(s)->cancel(f->node);
    if (f->error)
        spdy_stream_free(f->error);
    if (f->data)
        spdy_stream_free(f->data);
    free(f->id);
    free(f);
}

/* --- the node's side --- */

static void give_credit(struct forward *f) {
    size_t n = f->uncredited;

    if (n == 0 || !f->node || spdy_stream_unsent(f->data) + conduit_queued(f->session->conduit) > CONDUIT_LOW_WATER)
        return;
    f->uncredited = 0;
    ops_of(f->session)->resume(f->node, n);
}

static void on_data(void *userdata, enum node_channel channel, const void *p, size_t n) {
    struct forward *f = userdata;

    f->uncredited += n;
    spdy_stream_send(f->data, p, n);
    give_credit(f);
}

static void on_taken(void *userdata, size_t n) {
    struct forward *f = userdata;

    n = n < f->untaken ? n : f->untaken;
    f->untaken -= n;
    f->session->untaken -= n;
    spdy_stream_consumed(f->data, n);
    set_pause(f->session);
}

static void on_end(void *userdata, const struct node_stream_end *end) {
    struct forward *f = userdata;
    struct session *s = f->session;
    _cleanup_free_ char *why = command_failure(s->request, end);

    f->node = NULL;
    if (why) {
        _cleanup_free_ char *text = xasprintf("error forwarding port %ld to pod %s, uid %s: %s", f->port,
                                              s->request->name, s->request->uid, why);
        spdy_stream_send(f->error, text, strlen(text));
    }
    spdy_stream_end(f->error);
    spdy_stream_end(f->data);
    forward_free(f);
    set_pause(s);
}

static const struct node_stream_handlers handlers = {.data = on_data, .taken = on_taken, .end = on_end};

/* --- the client's streams --- */

static struct forward *forward_of(struct session *s, const char *id) {
    struct forward *f;

    list_foreach(f, &s->forwards, link) if (strcmp(f->id, id) == 0) return f;
    f = xnew0(struct forward);
    f->session = s;
    f->id = xstrdup(id);
    list_append(&s->forwards, &f->link);
    return f;
}

/* Old clients send no request id: the error stream comes first, so the data stream's number is the next one. */
static char *request_id(const struct spdy_stream *st, const struct spdy_headers *headers, bool data) {
    const char *id = spdy_header(headers, "requestid");

    return id && *id ? xstrdup(id) : xasprintf("stream-%u", spdy_stream_id(st) - (data ? 2 : 0));
}

static void stream_opened(void *userdata, struct spdy_stream *st, const struct spdy_headers *headers) {
    struct session *s = userdata;
    const char *type = spdy_header(headers, "streamtype"), *port = spdy_header(headers, "port");
    bool data = type && strcasecmp(type, "data") == 0, error = type && strcasecmp(type, "error") == 0;
    char *end = NULL;
    long number = port ? strtol(port, &end, 10) : 0;
    _cleanup_free_ char *id = request_id(st, headers, data);
    struct forward *f = (data || error) && number > 0 && number < 65536 && !*end ? forward_of(s, id) : NULL;

    if (!f || (data ? f->data : f->error) || (f->port && f->port != number)) {
        spdy_stream_reset(st, SPDY_PROTOCOL_ERROR);
        spdy_stream_free(st);
        return;
    }
    f->port = number;
    *(data ? &f->data : &f->error) = st;
    spdy_stream_set_userdata(st, f);
    spdy_stream_accept(st);
    if (!f->data || !f->error)
        return;
    const struct node_forward_request r = {.pod = s->request->exec.pod, .port = (int) number};
    f->node = ops_of(s)->open_forward(s->request->api->node_carrier, &r, &handlers, f);
}

static void stream_data(void *userdata, struct spdy_stream *st, const void *p, size_t n) {
    struct session *s = userdata;
    struct forward *f = spdy_stream_userdata(st);

    if (st != f->data || !f->node || f->in_ended) {
        spdy_stream_consumed(st, n);
        return;
    }
    f->untaken += n;
    s->untaken += n;
    if (f->untaken >= FORWARD_UNTAKEN_MAX || s->untaken >= SESSION_UNTAKEN_MAX)
        set_pause(s);
    ops_of(s)->write(f->node, p, n); /* the last step: it may end the stream, and f with it */
}

static void stream_ended(void *userdata, struct spdy_stream *st) {
    struct session *s = userdata;
    struct forward *f = spdy_stream_userdata(st);

    if (st != f->data || !f->node || f->in_ended)
        return;
    f->in_ended = true;
    ops_of(s)->write_end(f->node);
}

/* The client's program has hung up. */
static void stream_reset(void *userdata, struct spdy_stream *st) {
    struct session *s = userdata;
    struct forward *f = spdy_stream_userdata(st);

    if (f->error)
        spdy_stream_end(f->error);
    forward_free(f);
    set_pause(s);
}

static void output(void *userdata, const void *p, size_t n) {
    struct session *s = userdata;

    conduit_send(s->conduit, p, n);
}

static const struct spdy_ops spdy_ops = {
    .opened = stream_opened, .data = stream_data, .ended = stream_ended, .reset = stream_reset, .output = output};

/* --- the connection --- */

static void opened(void *userdata, struct conduit *c) {
    struct session *s = userdata;

    s->conduit = c;
    s->spdy = spdy_session_new(&spdy_ops, s);
}

static void give_credits(struct session *s) {
    struct forward *f;

    list_foreach(f, &s->forwards, link) give_credit(f);
}

static void input(void *userdata, const void *p, size_t n) {
    struct session *s = userdata;

    if (spdy_session_feed(s->spdy, p, n, NULL) < 0)
        conduit_finish(s->conduit);
    else
        give_credits(s);
}

static void sent(void *userdata) {
    give_credits(userdata);
}

static void closed(void *userdata) {
    struct session *s = userdata;
    struct forward *f;

    list_foreach(f, &s->forwards, link) forward_free(f);
    spdy_session_free(s->spdy);
    api_stream_free(s->request);
    free(s);
}

static const struct conduit_ops conduit_ops = {.opened = opened, .input = input, .sent = sent, .closed = closed};

void forward_spdy_start(struct api_stream *take, struct takeover *socket_take, const char *protocol, char *head_take) {
    struct session *s = xnew0(struct session);

    s->request = take;
    list_init(&s->forwards);
    conduit_new(take->api, socket_take,
                strncmp(protocol, "SPDY/3.1+", 9) == 0 ? CONDUIT_BINARY_MESSAGES : CONDUIT_BYTES, head_take,
                &conduit_ops, s);
}
