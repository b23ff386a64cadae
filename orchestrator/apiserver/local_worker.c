/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/local_worker.h"

#include <pthread.h>
#include <signal.h>

#include "podium/base/alloc.h"

struct local_worker {
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct list tasks;
    bool idle, ending;
    pthread_t thread;
};

static struct loop_task *take(struct local_worker *w) {
    struct loop_task *t = NULL;

    (void) pthread_mutex_lock(&w->lock);
    while (list_empty(&w->tasks) && !w->ending) {
        w->idle = true;
        (void) pthread_cond_wait(&w->more, &w->lock);
    }
    w->idle = false;
    if (!list_empty(&w->tasks)) {
        t = list_entry(w->tasks.next, struct loop_task, link);
        list_remove(&t->link);
    }
    (void) pthread_mutex_unlock(&w->lock);
    return t;
}

static void *work(void *userdata) {
    struct local_worker *w = userdata;
    struct loop_task *t;

    (void) pthread_setname_np(pthread_self(), "local");
    while ((t = take(w)))
        t->run(t);
    return NULL;
}

int local_worker_new(struct local_worker **ret, struct error *err) {
    struct local_worker *w = xnew0(struct local_worker);
    sigset_t all, before;

    list_init(&w->tasks);
    (void) pthread_mutex_init(&w->lock, NULL);
    (void) pthread_cond_init(&w->more, NULL);
    (void) sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&w->thread, NULL, work, w);
    (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r < 0) {
        (void) pthread_cond_destroy(&w->more);
        (void) pthread_mutex_destroy(&w->lock);
        free(w);
        return error_set_errno(err, r, "cannot start the thread of a client");
    }
    *ret = w;
    return 0;
}

void local_worker_post(struct local_worker *w, struct loop_task *t) {
    (void) pthread_mutex_lock(&w->lock);
    list_append(&w->tasks, &t->link);
    if (w->idle)
        (void) pthread_cond_signal(&w->more);
    (void) pthread_mutex_unlock(&w->lock);
}

void local_worker_free(struct local_worker *w) {
    if (!w)
        return;
    (void) pthread_mutex_lock(&w->lock);
    w->ending = true;
    (void) pthread_cond_signal(&w->more);
    (void) pthread_mutex_unlock(&w->lock);
    (void) pthread_join(w->thread, NULL);
    (void) pthread_cond_destroy(&w->more);
    (void) pthread_mutex_destroy(&w->lock);
    free(w);
}
