/* SPDX-License-Identifier: GPL-2.0-or-later */
/* exec and attach over SPDY: the client opens a stream for the error, and one for each channel it asked for. */
#include <string.h>
#include <strings.h>

#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/spdy/session.h"
#include "orchestrator/apiserver/streams/conduit.h"
#include "orchestrator/apiserver/streams/sessions.h"
#include "podium/base/alloc.h"

enum channel { ERROR, STDIN, STDOUT, STDERR, RESIZE, CHANNELS };
static const char *const channel_names[CHANNELS] = {"error", "stdin", "stdout", "stderr", "resize"};

#define RESIZE_BYTES_MAX 256 /* of one size message */

struct session {
    struct api_stream *request;
    struct conduit *conduit;
    struct spdy_session *spdy;
    struct spdy_stream *streams[CHANNELS];
    struct node_stream *node; /* NULL before it is open and after its end */
    bool statuses, begun, stdin_ended, ended;
    struct strbuf size; /* a resize message so far */
    size_t untaken, uncredited;
};

static const struct node_ops *ops_of(const struct session *s) {
    return s->request->api->node_ops;
}

/* --- the node's side --- */

/* Bytes that wait for the client's windows. */
static size_t unsent(const struct session *s) {
    size_t n = 0;

    for (int i = 0; i < CHANNELS; i++)
        n += s->streams[i] ? spdy_stream_unsent(s->streams[i]) : 0;
    return n;
}

/* Some output has left, or may leave now. */
static void progress(struct session *s) {
    size_t waiting = unsent(s);

    /* Clients close their connection when they have read the error stream to its end; a GOAWAY would make them drop
     * what they have not read yet. */
    if (s->ended && waiting == 0)
        conduit_finish(s->conduit);
    if (!s->node || s->uncredited == 0 || waiting + conduit_queued(s->conduit) > CONDUIT_LOW_WATER)
        return;
    size_t n = s->uncredited;
    s->uncredited = 0;
    ops_of(s)->resume(s->node, n);
}

static void on_data(void *userdata, enum node_channel channel, const void *p, size_t n) {
    struct session *s = userdata;
    struct spdy_stream *st = s->streams[channel == NODE_STDERR ? STDERR : STDOUT];

    s->uncredited += n;
    if (st)
        spdy_stream_send(st, p, n);
    progress(s);
}

static void on_taken(void *userdata, size_t n) {
    struct session *s = userdata;

    n = n < s->untaken ? n : s->untaken;
    s->untaken -= n;
    if (s->streams[STDIN])
        spdy_stream_consumed(s->streams[STDIN], n);
    conduit_pause(s->conduit, s->untaken >= NODE_STREAM_WINDOW);
}

static void on_end(void *userdata, const struct node_stream_end *end) {
    struct session *s = userdata;
    _cleanup_free_ char *text = NULL;

    s->node = NULL;
    if (s->statuses) {
        _cleanup_json_ struct json *status = command_status(s->request, end);
        text = json_to_text(status);
    } else {
        text = command_failure(s->request, end);
    }
    if (text && s->streams[ERROR])
        spdy_stream_send(s->streams[ERROR], text, strlen(text));
    for (int i = STDOUT; i <= STDERR; i++)
        if (s->streams[i])
            spdy_stream_end(s->streams[i]);
    if (s->streams[ERROR])
        spdy_stream_end(s->streams[ERROR]);
    s->ended = true;
    progress(s);
}

static const struct node_stream_handlers handlers = {.data = on_data, .taken = on_taken, .end = on_end};

/* --- the client's side --- */

static bool all_there(const struct session *s) {
    const struct node_exec_request *r = &s->request->exec;

    return s->streams[ERROR] && (!r->in || s->streams[STDIN]) && (!r->out || s->streams[STDOUT]) &&
           (!r->err || s->streams[STDERR]);
}

static void stream_opened(void *userdata, struct spdy_stream *st, const struct spdy_headers *headers) {
    struct session *s = userdata;
    const char *type = spdy_header(headers, "streamtype");

    for (int i = 0; type && i < CHANNELS; i++) {
        if (strcasecmp(channel_names[i], type) != 0 || s->streams[i])
            continue;
        s->streams[i] = st;
        spdy_stream_accept(st);
        if (!s->begun && all_there(s)) {
            s->begun = true;
            s->node = ops_of(s)->open_exec(s->request->api->node_carrier, &s->request->exec, &handlers, s);
        }
        return;
    }
    spdy_stream_reset(st, SPDY_REFUSED_STREAM);
    spdy_stream_free(st);
}

/* Sizes are JSON objects behind each other, as Go's encoder writes them; a frame may hold parts. */
static void take_size(struct session *s, const char *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (s->size.len >= RESIZE_BYTES_MAX)
            strbuf_reset(&s->size);
        strbuf_addc(&s->size, p[i]);
        if (p[i] != '}')
            continue;
        command_resize(ops_of(s), s->node, s->size.data, s->size.len);
        strbuf_reset(&s->size);
    }
}

static void stream_data(void *userdata, struct spdy_stream *st, const void *p, size_t n) {
    struct session *s = userdata;

    if (st == s->streams[STDIN] && s->node && s->request->exec.in && !s->stdin_ended) {
        s->untaken += n;
        if (s->untaken >= NODE_STREAM_WINDOW)
            conduit_pause(s->conduit, true);
        ops_of(s)->write(s->node, p, n);
        return;
    }
    if (st == s->streams[RESIZE] && s->node)
        take_size(s, p, n);
    spdy_stream_consumed(st, n);
}

static void stream_ended(void *userdata, struct spdy_stream *st) {
    struct session *s = userdata;

    if (st != s->streams[STDIN] || !s->node || !s->request->exec.in || s->stdin_ended)
        return;
    s->stdin_ended = true;
    ops_of(s)->write_end(s->node);
}

static void stream_reset(void *userdata, struct spdy_stream *st) {
    struct session *s = userdata;

    stream_ended(s, st);
    for (int i = 0; i < CHANNELS; i++)
        if (s->streams[i] == st)
            s->streams[i] = NULL;
    spdy_stream_free(st);
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

static void input(void *userdata, const void *p, size_t n) {
    struct session *s = userdata;

    if (spdy_session_feed(s->spdy, p, n, NULL) < 0)
        conduit_finish(s->conduit);
    else
        progress(s); /* the client's window may have grown */
}

static void sent(void *userdata) {
    progress(userdata);
}

static void closed(void *userdata) {
    struct session *s = userdata;

    if (s->node)
        ops_of(s)->cancel(s->node);
    spdy_session_free(s->spdy);
    strbuf_finish(&s->size);
    api_stream_free(s->request);
    free(s);
}

static const struct conduit_ops conduit_ops = {.opened = opened, .input = input, .sent = sent, .closed = closed};

void command_spdy_start(struct api_stream *take, struct takeover *socket_take, const char *protocol, char *head_take) {
    struct session *s = xnew0(struct session);

    s->request = take;
    s->statuses = strncmp(protocol, "v4.", 3) == 0;
    conduit_new(take->api, socket_take, CONDUIT_BYTES, head_take, &conduit_ops, s);
}
