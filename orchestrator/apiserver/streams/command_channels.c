/* SPDX-License-Identifier: GPL-2.0-or-later */
/* exec and attach over the channels of a WebSocket. */
#include <string.h>

#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/streams/conduit.h"
#include "orchestrator/apiserver/streams/sessions.h"
#include "podium/base/alloc.h"

enum { CHANNEL_STDIN = 0, CHANNEL_STDOUT = 1, CHANNEL_STDERR = 2, CHANNEL_STATUS = 3, CHANNEL_RESIZE = 4 };
#define CHANNEL_CLOSE 255 /* v5: the next byte names the channel that has ended */

struct session {
    struct api_stream *request;
    struct conduit *conduit;
    struct node_stream *stream; /* NULL before it is open and after its end */
    bool text, statuses, closes;
    bool stdin_ended;
    size_t untaken;    /* bytes of stdin the node has not taken yet */
    size_t uncredited; /* bytes of output the node wants credit for */
};

static const struct node_ops *ops_of(const struct session *s) {
    return s->request->api->node_ops;
}

/* --- the node's side --- */

static void give_credit(struct session *s) {
    if (!s->stream || s->uncredited == 0 || conduit_queued(s->conduit) > CONDUIT_LOW_WATER)
        return;
    size_t n = s->uncredited;
    s->uncredited = 0;
    ops_of(s)->resume(s->stream, n);
}

static void on_data(void *userdata, enum node_channel channel, const void *p, size_t n) {
    struct session *s = userdata;

    if (n == 0)
        return;
    s->uncredited += n;
    channel_message_send(s->conduit, s->text, channel == NODE_STDERR ? CHANNEL_STDERR : CHANNEL_STDOUT, p, n);
    give_credit(s);
}

static void on_taken(void *userdata, size_t n) {
    struct session *s = userdata;

    s->untaken -= n < s->untaken ? n : s->untaken;
    conduit_pause(s->conduit, s->untaken >= NODE_STREAM_WINDOW);
}

static void on_end(void *userdata, const struct node_stream_end *end) {
    struct session *s = userdata;
    _cleanup_free_ char *text = NULL;

    s->stream = NULL;
    if (s->statuses) {
        _cleanup_json_ struct json *status = command_status(s->request, end);
        text = json_to_text(status);
    } else {
        text = command_failure(s->request, end);
    }
    if (text)
        channel_message_send(s->conduit, s->text, CHANNEL_STATUS, text, strlen(text));
    conduit_finish(s->conduit);
}

static const struct node_stream_handlers handlers = {.data = on_data, .taken = on_taken, .end = on_end};

/* --- the client's side --- */

static void opened(void *userdata, struct conduit *c) {
    struct session *s = userdata;

    s->conduit = c;
    conduit_await_client(c);
    s->stream = ops_of(s)->open_exec(s->request->api->node_carrier, &s->request->exec, &handlers, s);
}

static void input(void *userdata, const void *message, size_t n) {
    struct session *s = userdata;
    _cleanup_free_ uint8_t *bytes = NULL;
    unsigned channel;
    size_t len;

    if (!s->stream || !channel_message_parse(s->text, message, n, &channel, &bytes, &len))
        return;
    if (channel == CHANNEL_RESIZE) {
        command_resize(ops_of(s), s->stream, bytes, len);
    } else if (!s->request->exec.in || s->stdin_ended) {
        return;
    } else if (channel == CHANNEL_STDIN && len > 0) {
        s->untaken += len;
        if (s->untaken >= NODE_STREAM_WINDOW)
            conduit_pause(s->conduit, true);
        ops_of(s)->write(s->stream, bytes, len);
    } else if (channel == CHANNEL_CLOSE && s->closes && len == 1 && bytes[0] == CHANNEL_STDIN) {
        s->stdin_ended = true;
        ops_of(s)->write_end(s->stream);
    }
}

static void sent(void *userdata) {
    give_credit(userdata);
}

static void closed(void *userdata) {
    struct session *s = userdata;

    if (s->stream)
        ops_of(s)->cancel(s->stream);
    api_stream_free(s->request);
    free(s);
}

static const struct conduit_ops conduit_ops = {.opened = opened, .input = input, .sent = sent, .closed = closed};

void command_channels_start(struct api_stream *take, struct takeover *socket_take, const char *protocol,
                            char *head_take) {
    struct session *s = xnew0(struct session);

    s->request = take;
    s->text = channels_in_text(protocol);
    s->statuses = strncmp(protocol, "v4.", 3) == 0 || strncmp(protocol, "v5.", 3) == 0;
    s->closes = strncmp(protocol, "v5.", 3) == 0;
    conduit_new(take->api, socket_take, s->text ? CONDUIT_TEXT_MESSAGES : CONDUIT_BINARY_MESSAGES, head_take,
                &conduit_ops, s);
}
