/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/loop_queue.h"

#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "podium/base/alloc.h"

struct loop_queue {
    pthread_mutex_t lock;
    struct list tasks;
    int fd;
    sd_event_source *source;
    unsigned depth; /* dispatch() calls on the stack; loop thread only */
    bool freed;     /* … by a task: the outermost dispatch() does it */
};

static struct loop_task *take(struct loop_queue *q) {
    struct loop_task *t = NULL;
    (void) pthread_mutex_lock(&q->lock);
    if (!list_empty(&q->tasks)) {
        t = list_entry(q->tasks.next, struct loop_task, link);
        list_remove(&t->link);
    }
    (void) pthread_mutex_unlock(&q->lock);
    return t;
}

static int dispatch(sd_event_source *source, int fd, uint32_t events, void *userdata) {
    struct loop_queue *q = userdata;
    uint64_t n;
    (void) !read(fd, &n, sizeof(n));
    /* As many as were there: what they post runs in the next turn, so that other sources get theirs. */
    struct list *last;
    (void) pthread_mutex_lock(&q->lock);
    last = q->tasks.prev;
    bool empty = list_empty(&q->tasks);
    (void) pthread_mutex_unlock(&q->lock);
    q->depth++;
    while (!empty && !q->freed) {
        struct loop_task *t = take(q);
        if (!t)
            break;
        empty = &t->link == last;
        t->run(t);
    }
    q->depth--;
    if (q->freed) {
        if (q->depth == 0)
            loop_queue_free(q);
        return 0;
    }
    (void) pthread_mutex_lock(&q->lock);
    if (!list_empty(&q->tasks))
        (void) !write(q->fd, &(uint64_t){1}, sizeof(uint64_t));
    (void) pthread_mutex_unlock(&q->lock);
    return 0;
}

int loop_queue_new(sd_event *loop, struct loop_queue **ret, struct error *err) {
    struct loop_queue *q = xnew0(struct loop_queue);
    list_init(&q->tasks);
    (void) pthread_mutex_init(&q->lock, NULL);
    q->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = q->fd < 0 ? -errno : sd_event_add_io(loop, &q->source, q->fd, EPOLLIN, dispatch, q);
    if (r < 0) {
        loop_queue_free(q);
        return error_set_errno(err, r, "cannot join the event loop");
    }
    *ret = q;
    return 0;
}

void loop_queue_free(struct loop_queue *q) {
    if (!q)
        return;
    q->freed = true;
    if (q->depth > 0)
        return;
    (void) sd_event_source_disable_unref(q->source);
    closep(&q->fd);
    (void) pthread_mutex_destroy(&q->lock);
    free(q);
}

void loop_queue_post(struct loop_queue *q, struct loop_task *t) {
    (void) pthread_mutex_lock(&q->lock);
    bool first = list_empty(&q->tasks);
    list_append(&q->tasks, &t->link);
    if (first)
        (void) !write(q->fd, &(uint64_t){1}, sizeof(uint64_t));
    (void) pthread_mutex_unlock(&q->lock);
}

void loop_queue_wait(struct loop_queue *q) {
    struct pollfd p = {.fd = q->fd, .events = POLLIN};
    if (poll(&p, 1, -1) > 0)
        (void) dispatch(q->source, q->fd, EPOLLIN, q);
}

void loop_queue_run(struct loop_queue *q) {
    (void) dispatch(q->source, q->fd, EPOLLIN, q);
}

void loop_queue_withdraw(struct loop_queue *q, struct loop_task *t) {
    (void) pthread_mutex_lock(&q->lock);
    if (t->link.next && !list_empty(&t->link))
        list_remove(&t->link);
    (void) pthread_mutex_unlock(&q->lock);
}
