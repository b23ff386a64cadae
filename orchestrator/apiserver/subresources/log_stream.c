/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <pthread.h>
#include <string.h>

#include "orchestrator/apiserver/loop_queue.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/subresources/stream.h"
#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

/* Belongs to the reader until log_stream_close(), then to the loop, which frees it. */
struct log_stream {
    struct list link; /* in api->logs, under api->logs_lock */
    struct apiserver *api;
    struct node_logs_request request;
    struct loop_task pump;
    pthread_mutex_t lock; /* guards everything below */
    struct strbuf bytes;
    size_t at, credit; /* read so far; bytes not yet given back */
    bool queued, ended, closed, any;
    int error;
    char *message;
    void (*wake)(void *userdata);
    void *userdata;
    struct api_stream *keep; /* strings of the request, freed last */
    /* loop thread only */
    struct node_stream *stream;
    bool opened;
};

/* Under the lock. */
static void post(struct log_stream *l) {
    if (l->queued)
        return;
    l->queued = true;
    loop_queue_post(l->api->node_queue, &l->pump);
}

static void no_wake(void *userdata) {
}

/* Under the lock. */
static void fire(struct log_stream *l) {
    void (*wake)(void *userdata) = l->wake;
    l->wake = no_wake;
    wake(l->userdata);
}

static void on_data(void *userdata, enum node_channel channel, const void *p, size_t n) {
    struct log_stream *l = userdata;
    (void) pthread_mutex_lock(&l->lock);
    if (!l->closed) {
        strbuf_add(&l->bytes, p, n);
        l->any = true;
        fire(l);
    }
    (void) pthread_mutex_unlock(&l->lock);
}

static void on_end(void *userdata, const struct node_stream_end *end) {
    struct log_stream *l = userdata;
    (void) pthread_mutex_lock(&l->lock);
    l->stream = NULL;
    l->ended = true;
    l->error = end->error;
    free(l->message);
    l->message = xstrdup(end->message ? end->message : error_text(NULL, end->error ? end->error : -EIO));
    if (!l->closed)
        fire(l);
    (void) pthread_mutex_unlock(&l->lock);
}

static const struct node_stream_handlers handlers = {.data = on_data, .end = on_end};

static void destroy(struct log_stream *l) {
    (void) pthread_mutex_lock(&l->api->logs_lock);
    list_remove(&l->link);
    (void) pthread_mutex_unlock(&l->api->logs_lock);
    (void) pthread_mutex_destroy(&l->lock);
    strbuf_finish(&l->bytes);
    free(l->message);
    struct api_stream *keep = l->keep;
    free(l);
    api_stream_free(keep);
}

/* On the loop: opens, gives credit, cancels. */
static void pump(struct loop_task *task) {
    struct log_stream *l = container_of(task, struct log_stream, pump);
    const struct node_ops *ops = l->api->node_ops;
    (void) pthread_mutex_lock(&l->lock);
    l->queued = false;
    bool closed = l->closed;
    size_t credit = l->credit;
    l->credit = 0;
    (void) pthread_mutex_unlock(&l->lock);
    if (!l->opened && !closed) {
        l->opened = true;
        l->stream = ops->open_logs(l->api->node_carrier, &l->request, &handlers, l);
    }
    if (l->stream && !closed && credit > 0)
        ops->resume(l->stream, credit);
    if (!closed)
        return;
    if (l->stream)
        ops->cancel(l->stream);
    destroy(l);
}

struct log_stream *log_stream_open(struct apiserver *api, const struct node_logs_request *request) {
    struct log_stream *l = xnew0(struct log_stream);
    l->api = api;
    l->request = *request;
    l->pump.run = pump;
    l->wake = no_wake;
    (void) pthread_mutex_init(&l->lock, NULL);
    (void) pthread_mutex_lock(&api->logs_lock);
    list_append(&api->logs, &l->link);
    (void) pthread_mutex_unlock(&api->logs_lock);
    (void) pthread_mutex_lock(&l->lock);
    post(l);
    (void) pthread_mutex_unlock(&l->lock);
    return l;
}

void log_stream_set_wake(struct log_stream *l, void (*wake)(void *userdata), void *userdata) {
    (void) pthread_mutex_lock(&l->lock);
    l->wake = wake;
    l->userdata = userdata;
    if (l->ended || l->bytes.len > l->at)
        fire(l);
    (void) pthread_mutex_unlock(&l->lock);
}

long log_stream_read(struct log_stream *l, char *buf, size_t max) {
    (void) pthread_mutex_lock(&l->lock);
    size_t n = l->bytes.len - l->at;
    n = n < max ? n : max;
    long r = n > 0 ? (long) n : l->ended ? -1 : 0;
    if (n > 0) {
        memcpy(buf, l->bytes.data + l->at, n);
        l->at += n;
        l->credit += n;
        if (l->at == l->bytes.len) {
            strbuf_reset(&l->bytes);
            l->at = 0;
            if (!l->ended)
                post(l);
        }
    }
    (void) pthread_mutex_unlock(&l->lock);
    return r;
}

int log_stream_failure(struct log_stream *l, const char **message) {
    (void) pthread_mutex_lock(&l->lock);
    int r = l->ended && !l->any ? l->error : 0;
    *message = l->message;
    (void) pthread_mutex_unlock(&l->lock);
    return r;
}

void log_stream_close(struct log_stream *l, struct api_stream *take) {
    (void) pthread_mutex_lock(&l->lock);
    l->closed = true;
    l->wake = no_wake;
    l->keep = take;
    post(l);
    (void) pthread_mutex_unlock(&l->lock);
}

void log_streams_abort(struct apiserver *api) {
    struct log_stream *l;
    (void) pthread_mutex_lock(&api->logs_lock);
    list_foreach(l, &api->logs, link) {
        (void) pthread_mutex_lock(&l->lock);
        l->ended = true;
        if (!l->message) {
            l->error = -EHOSTUNREACH;
            l->message = xstrdup("the server is shutting down");
        }
        fire(l);
        (void) pthread_mutex_unlock(&l->lock);
    }
    (void) pthread_mutex_unlock(&api->logs_lock);
}

void log_streams_finish(struct apiserver *api) {
    while (!list_empty(&api->logs)) /* all are closed: only the loop's thread takes them out */
        loop_queue_wait(api->node_queue);
}
