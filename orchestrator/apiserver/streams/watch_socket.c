/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/streams/watch_socket.h"

#include <stdatomic.h>

#include "orchestrator/apiserver/http/watch_encode.h"
#include "orchestrator/apiserver/loop_queue.h"
#include "orchestrator/apiserver/metrics.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/streams/conduit.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define QUEUED_MAX          (256u * 1024u) /* more is not pulled until the client has read */
#define EVENTS_PER_TURN     64
#define TIMER_ACCURACY_USEC (100 * USEC_PER_MSEC)

struct session {
    struct apiserver *api;
    struct api_watch *watch;
    struct watch_encoder encoder;
    struct conduit *conduit;
    struct loop_task task; /* to pull again */
    atomic_bool queued;
    bool full, ended;
    sd_event_source *timer; /* bookmarks, the end */
    struct strbuf message;
};

/* On the commit thread, too. */
static void pull_soon(void *userdata) {
    struct session *s = userdata;
    if (!atomic_exchange(&s->queued, true))
        loop_queue_post(s->api->node_queue, &s->task);
}

static int due(sd_event_source *source, uint64_t usec, void *userdata) {
    pull_soon(userdata);
    return 0;
}

static void set_timer(struct session *s) {
    uint64_t at = api_watch_due(s->watch);
    if (s->timer) {
        (void) sd_event_source_set_time(s->timer, at);
        (void) sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
        return;
    }
    (void) sd_event_add_time(s->api->node_loop, &s->timer, CLOCK_MONOTONIC, at, TIMER_ACCURACY_USEC, due, s);
}

static void pull(struct loop_task *task) {
    struct session *s = container_of(task, struct session, task);
    struct watch_event e;
    atomic_store(&s->queued, false);
    for (unsigned i = 0; i < EVENTS_PER_TURN && !s->ended; i++) {
        s->full = conduit_queued(s->conduit) > QUEUED_MAX;
        if (s->full) /* sent() goes on */
            return;
        int r = api_watch_next(s->watch, &e);
        if (r == 0) {
            set_timer(s);
            return;
        }
        if (r < 0) {
            s->ended = true;
            conduit_finish(s->conduit);
            return;
        }
        strbuf_reset(&s->message);
        watch_encode(&s->encoder, &e, false, &s->message);
        conduit_send(s->conduit, s->message.data, s->message.len);
    }
    if (!s->ended)
        pull_soon(s);
}

static void opened(void *userdata, struct conduit *c) {
    struct session *s = userdata;
    s->conduit = c;
    api_watch_set_wake(s->watch, pull_soon, s);
    pull_soon(s);
}

/* There is nothing to say to a watch. */
static void input(void *userdata, const void *message, size_t n) {
}

static void sent(void *userdata) {
    struct session *s = userdata;
    if (s->full && conduit_queued(s->conduit) < CONDUIT_LOW_WATER)
        pull_soon(s);
}

static void closed(void *userdata) {
    struct session *s = userdata;
    metrics_watches(s->api->metrics, -1);
    api_watch_free(s->watch); /* after this nobody posts the task */
    loop_queue_withdraw(s->api->node_queue, &s->task);
    (void) sd_event_source_disable_unref(s->timer);
    strbuf_finish(&s->message);
    free(s);
}

static const struct conduit_ops conduit_ops = {.opened = opened, .input = input, .sent = sent, .closed = closed};

void watch_socket_start(struct api_request *req, struct takeover *socket_take, char *head_take) {
    struct session *s = xnew0(struct session);
    s->api = req->api;
    s->watch = steal(&req->out.watch);
    s->task.run = pull;
    list_init(&s->task.link);
    watch_encoder_init(&s->encoder, req, api_watch_resource(s->watch));
    metrics_watches(s->api->metrics, 1);
    conduit_new(req->api, socket_take,
                s->encoder.form.media == ACCEPT_PROTOBUF ? CONDUIT_BINARY_MESSAGES : CONDUIT_TEXT_MESSAGES, head_take,
                &conduit_ops, s);
}
