/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/streams/conduit.h"

#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>
#include <wslay/wslay.h>

#include "orchestrator/apiserver/http/takeover.h"
#include "orchestrator/apiserver/loop_queue.h"
#include "orchestrator/apiserver/server.h"
#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

#define OUTPUT_MAX      (8u * 1024u * 1024u)
#define READS_PER_TURN  4               /* then others on the loop have their turn */
#define COMPACT_BYTES   (256u * 1024u)  /* sent bytes at the front of the output before the rest is moved down */
#define KEEP_ALLOCATION (1024u * 1024u) /* an emptied output buffer larger than this is given back */

/* Whether the client listens, conduit_await_client(). */
enum listening {
    LISTENS,
    ASKED,       /* the first ping is on its way, the deadline running */
    ANSWERED,    /* it came back; the second one is on its way, CONDUIT_GRACE_USEC running */
    LATE_ANSWER, /* the time is over, the second one not back yet; the deadline running */
    EARLY_ANSWER /* the second one is back, the time is not over */
};

struct conduit {
    struct list link; /* api->conduits */
    struct loop_task begin;
    struct apiserver *api;
    struct takeover *socket;
    enum conduit_framing framing;
    const struct conduit_ops *ops;
    void *userdata;
    sd_event_source *io, *deadline, *soon;
    wslay_event_context_ptr ws; /* NULL: plain bytes */
    struct strbuf out;
    size_t out_at;
    const char *in; /* what wslay reads from, during a turn */
    size_t in_len;
    bool paused, finishing, draining, broken;
    enum listening listening;
    sd_event_source *patience; /* how long the present `listening` may last */
    struct strbuf held;        /* output until it listens */
    bool finish_held;          /* and then the end */
};

static void conduit_free(struct conduit *c) {
    list_remove(&c->link);
    (void) sd_event_source_disable_unref(c->io);
    (void) sd_event_source_disable_unref(c->deadline);
    (void) sd_event_source_disable_unref(c->soon);
    (void) sd_event_source_disable_unref(c->patience);
    c->ops->closed(c->userdata);
    if (c->ws)
        wslay_event_context_free(c->ws);
    takeover_close(c->socket);
    strbuf_finish(&c->out);
    strbuf_finish(&c->held);
    free(c);
}

/* --- WebSocket: wslay reads, and writes control frames; data frames need no more than a head --- */

static ssize_t ws_recv(wslay_event_context_ptr ws, uint8_t *buf, size_t len, int flags, void *userdata) {
    struct conduit *c = userdata;
    size_t n = c->in_len < len ? c->in_len : len;

    if (n == 0) {
        wslay_event_set_error(ws, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(buf, c->in, n);
    c->in += n;
    c->in_len -= n;
    return (ssize_t) n;
}

static ssize_t ws_send(wslay_event_context_ptr ws, const uint8_t *p, size_t n, int flags, void *userdata) {
    struct conduit *c = userdata;

    strbuf_add(&c->out, p, n);
    return (ssize_t) n;
}

static void release(struct conduit *c);
static void take_pong(struct conduit *c, const uint8_t *p, size_t n);

static void ws_message(wslay_event_context_ptr ws, const struct wslay_event_on_msg_recv_arg *arg, void *userdata) {
    struct conduit *c = userdata;

    if (c->finishing || c->broken)
        return;
    if (arg->opcode == WSLAY_PONG)
        take_pong(c, arg->msg, arg->msg_length);
    if (wslay_is_ctrl_frame(arg->opcode))
        return;
    if (!c->finish_held)
        c->ops->input(c->userdata, arg->msg, arg->msg_length);
    release(c);
}

static const struct wslay_event_callbacks ws_callbacks = {
    .recv_callback = ws_recv, .send_callback = ws_send, .on_msg_recv_callback = ws_message};

/* RFC 6455 section 5.2: final frame, no mask from a server. */
static void add_frame_head(struct strbuf *b, uint8_t opcode, size_t n) {
    uint8_t head[10] = {(uint8_t) (0x80 | opcode)};
    size_t len = n < 126 ? 2 : n < 65536 ? 4 : 10;

    head[1] = len == 2 ? (uint8_t) n : len == 4 ? 126 : 127;
    for (size_t i = 2; i < len; i++)
        head[i] = (uint8_t) (n >> (8 * (len - 1 - i)));
    strbuf_add(b, head, len);
}

/* --- output --- */

size_t conduit_queued(const struct conduit *c) {
    return c->out.len - c->out_at + c->held.len;
}

static size_t unsent(const struct conduit *c) {
    return c->out.len - c->out_at;
}

/* A client that does not read what it is told is not listened to either: answers to its pings would pile up here. */
static bool reads(const struct conduit *c) {
    return c->draining || c->finishing || (!c->paused && conduit_queued(c) < OUTPUT_MAX);
}

static void watch(struct conduit *c) {
    uint32_t in = reads(c) ? (uint32_t) EPOLLIN : (uint32_t) EPOLLRDHUP;

    (void) sd_event_source_set_io_events(c->io, in | (unsent(c) > 0 ? (uint32_t) EPOLLOUT : 0));
}

static int on_soon(sd_event_source *source, void *userdata) {
    conduit_free(userdata);
    return 0;
}

/* The end comes from the loop, never under the feet of who is just sending. */
static void break_off(struct conduit *c) {
    c->broken = true;
    if (!c->soon) /* a loop that has come to its end takes no more: conduits_abort() is near then */
        (void) sd_event_add_defer(c->api->node_loop, &c->soon, on_soon, c);
    if (c->io)
        (void) sd_event_source_set_enabled(c->io, SD_EVENT_OFF);
}

/* Returns whether something has left. */
static bool flush(struct conduit *c) {
    bool progress = false;

    while (unsent(c) > 0 && !c->broken) {
        ssize_t n = takeover_write(c->socket, c->out.data + c->out_at, unsent(c));
        if (n == -EAGAIN)
            break;
        if (n < 0) {
            break_off(c);
            return false;
        }
        c->out_at += (size_t) n;
        progress = true;
    }
    if (c->out_at == c->out.len) {
        if (c->out.cap > KEEP_ALLOCATION)
            strbuf_finish(&c->out);
        strbuf_reset(&c->out);
        c->out_at = 0;
    } else if (c->out_at > COMPACT_BYTES) {
        strbuf_consume(&c->out, c->out_at);
        c->out_at = 0;
    }
    return progress;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
    conduit_free(userdata);
    return 0;
}

static void start_draining(struct conduit *c) {
    c->draining = true;
    takeover_end(c->socket);
    watch(c);
    if (sd_event_add_time_relative(c->api->node_loop, &c->deadline, CLOCK_MONOTONIC, CONDUIT_CLIENT_TIMEOUT_USEC,
                                   CONDUIT_CLIENT_TIMEOUT_USEC / 4, on_deadline, c) < 0)
        break_off(c);
}

static void settle(struct conduit *c) {
    if (c->broken)
        return;
    if (c->finishing && !c->draining && unsent(c) == 0)
        start_draining(c);
    else
        watch(c);
}

void conduit_send(struct conduit *c, const void *p, size_t n) {
    if (c->broken || c->finishing || c->finish_held)
        return;
    struct strbuf *to = c->listening == LISTENS ? &c->out : &c->held;
    bool first = unsent(c) == 0;
    if (c->ws)
        add_frame_head(to, c->framing == CONDUIT_TEXT_MESSAGES ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME, n);
    strbuf_add(to, p, n);
    if (first)
        (void) flush(c);
    settle(c);
}

void conduit_pause(struct conduit *c, bool paused) {
    if (c->paused == paused)
        return;
    c->paused = paused;
    if (!c->broken)
        watch(c);
}

void conduit_finish(struct conduit *c) {
    if (c->broken || c->finishing)
        return;
    if (c->listening != LISTENS) {
        c->finish_held = true;
        return;
    }
    if (c->ws &&
        (wslay_event_queue_close(c->ws, WSLAY_CODE_NORMAL_CLOSURE, NULL, 0) < 0 || wslay_event_send(c->ws) < 0))
        break_off(c);
    c->finishing = true;
    (void) flush(c);
    settle(c);
}

void conduit_abort(struct conduit *c) {
    if (!c->broken)
        break_off(c);
}

/* --- a client that has yet to listen --- */

static void release(struct conduit *c) {
    if (c->listening == LISTENS)
        return;
    c->listening = LISTENS;
    c->patience = sd_event_source_disable_unref(c->patience);
    strbuf_add(&c->out, c->held.data, c->held.len);
    strbuf_finish(&c->held);
    if (c->finish_held) {
        conduit_finish(c);
        return;
    }
    if (flush(c))
        c->ops->sent(c->userdata);
    settle(c);
}

static int on_patience(sd_event_source *source, uint64_t usec, void *userdata) {
    struct conduit *c = userdata;

    if (c->listening != ANSWERED) { /* it does not answer pings (any more), or all is as it should be */
        release(c);
        return 0;
    }
    c->listening = LATE_ANSWER;
    if (sd_event_source_set_time_relative(source, CONDUIT_PONG_TIMEOUT_USEC) < 0 ||
        sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) < 0)
        release(c);
    return 0;
}

static void ping(struct conduit *c, enum listening next, uint64_t patience_usec) {
    const uint8_t number = (uint8_t) next;

    c->listening = next;
    add_frame_head(&c->out, WSLAY_PING, sizeof(number));
    strbuf_add(&c->out, &number, sizeof(number));
    c->patience = sd_event_source_disable_unref(c->patience);
    if (sd_event_add_time_relative(c->api->node_loop, &c->patience, CLOCK_MONOTONIC, patience_usec, 1000, on_patience,
                                   c) < 0)
        release(c);
}

static void take_pong(struct conduit *c, const uint8_t *p, size_t n) {
    if (n != 1 || (*p != ASKED && *p != ANSWERED)) /* nobody asked: the client says it by itself */
        release(c);
    else if (*p == ASKED && c->listening == ASKED)
        ping(c, ANSWERED, CONDUIT_GRACE_USEC);
    else if (*p == ANSWERED && c->listening == ANSWERED)
        c->listening = EARLY_ANSWER;
    else if (*p == ANSWERED && c->listening == LATE_ANSWER)
        release(c);
}

void conduit_await_client(struct conduit *c) {
    if (c->ws && !c->broken)
        ping(c, ASKED, CONDUIT_PONG_TIMEOUT_USEC);
}

/* --- input --- */

static void take_in(struct conduit *c, const char *p, size_t n) {
    if (c->draining || (c->finishing && !c->ws))
        return;
    if (!c->ws) {
        c->ops->input(c->userdata, p, n);
        return;
    }
    c->in = p;
    c->in_len = n;
    if (wslay_event_recv(c->ws) < 0 || (wslay_event_want_write(c->ws) && wslay_event_send(c->ws) < 0))
        break_off(c);
    else if (!wslay_event_want_read(c->ws) && !c->finishing)
        break_off(c); /* the client has closed: there is nobody to tell anything */
}

static void read_some(struct conduit *c) {
    char buf[CONDUIT_READ_BYTES];

    for (int i = 0; i < READS_PER_TURN && !c->broken && reads(c); i++) {
        ssize_t n = takeover_read(c->socket, buf, sizeof(buf));
        if (n == -EAGAIN)
            return;
        if (n <= 0) {
            break_off(c);
            return;
        }
        take_in(c, buf, (size_t) n);
    }
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata) {
    struct conduit *c = userdata;

    if (!reads(c) && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))) {
        break_off(c); /* nothing is read at the moment, so nobody else would notice */
        return 0;
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_some(c);
    if (!c->broken && flush(c) && !c->finishing)
        c->ops->sent(c->userdata);
    settle(c);
    return 0;
}

/* --- life --- */

static void begin(struct loop_task *task) {
    struct conduit *c = container_of(task, struct conduit, begin);

    list_append(&c->api->conduits, &c->link);
    if (sd_event_add_io(c->api->node_loop, &c->io, takeover_fd(c->socket), EPOLLIN, on_io, c) < 0 ||
        (c->framing != CONDUIT_BYTES && wslay_event_context_server_init(&c->ws, &ws_callbacks, c) < 0)) {
        conduit_free(c);
        return;
    }
    if (c->ws)
        wslay_event_config_set_max_recv_msg_length(c->ws, CONDUIT_MESSAGE_MAX);
    (void) flush(c);
    c->ops->opened(c->userdata, c);
    settle(c);
}

void conduit_new(struct apiserver *api, struct takeover *take, enum conduit_framing framing, char *head_take,
                 const struct conduit_ops *ops, void *userdata) {
    struct conduit *c = xnew0(struct conduit);

    list_init(&c->link);
    c->api = api;
    c->socket = take;
    c->framing = framing;
    c->ops = ops;
    c->userdata = userdata;
    strbuf_adds(&c->out, head_take);
    free(head_take);
    c->begin.run = begin;
    loop_queue_post(api->node_queue, &c->begin);
}

void conduits_abort(struct apiserver *api) {
    struct conduit *c;

    list_foreach(c, &api->conduits, link) conduit_free(c);
}
