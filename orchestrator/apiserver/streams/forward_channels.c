/* SPDX-License-Identifier: GPL-2.0-or-later */
/* port-forward over the channels of a WebSocket: one connection for each port of the request, made at once. */
#include <string.h>

#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/streams/conduit.h"
#include "orchestrator/apiserver/streams/sessions.h"
#include "podium/base/alloc.h"

#define CHANNEL_CLOSE 255 /* the next byte names the channel that has ended */

struct session;
struct forward {
    struct session *session;
    unsigned data, error; /* channels */
    struct node_stream *node;
    size_t untaken, uncredited;
    bool in_ended;
};

struct session {
    struct api_stream *request;
    struct conduit *conduit;
    bool text, closes;
    size_t open;
    struct forward *forwards; /* one for each port of the request */
};

static const struct node_ops *ops_of(const struct session *s) {
    return s->request->api->node_ops;
}

static void give_credit(struct forward *f) {
    size_t n = f->uncredited;

    if (n == 0 || !f->node || conduit_queued(f->session->conduit) > CONDUIT_LOW_WATER)
        return;
    f->uncredited = 0;
    ops_of(f->session)->resume(f->node, n);
}

static void on_data(void *userdata, enum node_channel channel, const void *p, size_t n) {
    struct forward *f = userdata;

    if (n == 0)
        return;
    f->uncredited += n;
    channel_message_send(f->session->conduit, f->session->text, f->data, p, n);
    give_credit(f);
}

/* One connection that is not read holds up all of this WebSocket: the protocol has no flow control of its own. */
static void set_pause(struct session *s) {
    bool full = false;

    for (size_t i = 0; i < s->request->n_ports; i++)
        full |= s->forwards[i].node && s->forwards[i].untaken >= NODE_STREAM_WINDOW;
    conduit_pause(s->conduit, full);
}

static void on_taken(void *userdata, size_t n) {
    struct forward *f = userdata;

    f->untaken -= n < f->untaken ? n : f->untaken;
    set_pause(f->session);
}

static void on_end(void *userdata, const struct node_stream_end *end) {
    struct forward *f = userdata;
    struct session *s = f->session;
    _cleanup_free_ char *text = command_failure(s->request, end);

    f->node = NULL;
    if (text)
        channel_message_send(s->conduit, s->text, f->error, text, strlen(text));
    if (--s->open == 0)
        conduit_finish(s->conduit);
    else
        set_pause(s);
}

static const struct node_stream_handlers handlers = {.data = on_data, .taken = on_taken, .end = on_end};

static void opened(void *userdata, struct conduit *c) {
    struct session *s = userdata;

    s->conduit = c;
    for (size_t i = 0; i < s->request->n_ports; i++) {
        const struct node_forward_request r = {.pod = s->request->exec.pod, .port = s->request->ports[i]};
        const uint8_t port[] = {(uint8_t) r.port, (uint8_t) (r.port >> 8)};
        struct forward *f = &s->forwards[i];
        *f = (struct forward){.session = s, .data = 2 * (unsigned) i, .error = 2 * (unsigned) i + 1};
        channel_message_send(c, s->text, f->data, port, sizeof(port));
        channel_message_send(c, s->text, f->error, port, sizeof(port));
        f->node = ops_of(s)->open_forward(s->request->api->node_carrier, &r, &handlers, f);
    }
}

static void input(void *userdata, const void *message, size_t n) {
    struct session *s = userdata;
    _cleanup_free_ uint8_t *bytes = NULL;
    unsigned channel;
    size_t len;

    if (!channel_message_parse(s->text, message, n, &channel, &bytes, &len) || len == 0)
        return;
    bool close = s->closes && channel == CHANNEL_CLOSE;
    if (close)
        channel = bytes[0];
    if (channel % 2 != 0 || channel / 2 >= s->request->n_ports)
        return;
    struct forward *f = &s->forwards[channel / 2];
    if (!f->node || f->in_ended)
        return;
    if (close) {
        f->in_ended = true;
        ops_of(s)->write_end(f->node);
        return;
    }
    f->untaken += len;
    ops_of(s)->write(f->node, bytes, len);
    set_pause(s);
}

static void sent(void *userdata) {
    struct session *s = userdata;

    for (size_t i = 0; i < s->request->n_ports; i++)
        give_credit(&s->forwards[i]);
}

static void closed(void *userdata) {
    struct session *s = userdata;

    for (size_t i = 0; i < s->request->n_ports; i++)
        if (s->forwards[i].node)
            ops_of(s)->cancel(s->forwards[i].node);
    free(s->forwards);
    api_stream_free(s->request);
    free(s);
}

static const struct conduit_ops conduit_ops = {.opened = opened, .input = input, .sent = sent, .closed = closed};

void forward_channels_start(struct api_stream *take, struct takeover *socket_take, const char *protocol,
                            char *head_take) {
    struct session *s = xnew0(struct session);

    s->request = take;
    s->text = channels_in_text(protocol);
    s->closes = strncmp(protocol, "v5.", 3) == 0;
    s->open = take->n_ports;
    s->forwards = xcalloc(take->n_ports, sizeof(*s->forwards));
    conduit_new(take->api, socket_take, s->text ? CONDUIT_TEXT_MESSAGES : CONDUIT_BINARY_MESSAGES, head_take,
                &conduit_ops, s);
}
