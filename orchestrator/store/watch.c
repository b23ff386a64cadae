/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watches: cursors into the event windows. A watch that has seen everything is armed and is woken once.
 *
 * No wake-up is lost: the reader arms itself while it still holds the state read lock under which it found nothing, so
 * an event either was linked in before (and is found) or comes after, when the commit thread sees the watch armed.
 */
#include "orchestrator/store/internal.h"

#include <string.h>

#include "podium/base/alloc.h"

struct store_watch {
    struct store *store;
    struct resource_state *resource;
    char *ns; /* NULL: all */
    store_wake_fn wake;
    void *userdata;

    struct window_holder hold;     /* seq: next event to look at */
    uint64_t position;             /* everything up to this revision was seen */
    struct store_item *item, *old; /* lent to the reader */

    struct list link; /* in resource->armed or store->waking; under `watching`, as is running */
    bool running;     /* wake is being called */
};

int store_watch_open(struct store *s, const char *resource, const char *ns, uint64_t after, store_wake_fn wake,
                     void *userdata, struct store_watch **ret) {
    struct resource_state *res = store_resource_get(s, resource);
    int r = 0;

    *ret = NULL;
    struct store_watch *w = xnew0(struct store_watch);
    w->store = s;
    w->resource = res;
    w->ns = ns ? xstrdup(ns) : NULL;
    w->wake = wake;
    w->userdata = userdata;
    w->position = after;
    list_init(&w->link);
    list_init(&w->hold.link);
    pthread_rwlock_rdlock(&s->state);
    if (after > s->revision)
        r = -ERANGE;
    else if (after < res->window.floor)
        r = -ESTALE;
    else
        w->hold.seq = window_seek(&res->window, after);
    pthread_rwlock_unlock(&s->state);
    if (r < 0) {
        free(w->ns);
        free(w);
        return r;
    }
    *ret = w;
    return 0;
}

void store_watch_hold(struct store_watch *w) {
    pthread_rwlock_wrlock(&w->store->state);
    if (list_empty(&w->hold.link))
        list_append(&w->resource->window.holders, &w->hold.link);
    pthread_rwlock_unlock(&w->store->state);
}

static void return_lent(struct store_watch *w) {
    store_item_unref(steal(&w->item));
    store_item_unref(steal(&w->old));
}

static void arm(struct store_watch *w) {
    pthread_mutex_lock(&w->store->watching);
    if (list_empty(&w->link)) /* otherwise it is armed already, or about to be woken */
        list_append(&w->resource->armed, &w->link);
    pthread_mutex_unlock(&w->store->watching);
}

int store_watch_next(struct store_watch *w, struct store_event *ret) {
    const struct window *window = &w->resource->window;
    int r = 0;

    return_lent(w);
    pthread_rwlock_rdlock(&w->store->state);
    if (w->hold.seq < window->first)
        r = -ESTALE;
    while (r == 0 && w->hold.seq < window->next) {
        const struct store_event *e = window_at(window, w->hold.seq++);
        w->position = e->revision;
        if (w->ns && strcmp(w->ns, e->item->ns) != 0)
            continue;
        w->item = store_item_ref(e->item);
        w->old = store_item_ref(e->old);
        *ret = *e;
        r = 1;
    }
    if (r == 0) {
        w->position = w->store->revision;
        arm(w);
    }
    pthread_rwlock_unlock(&w->store->state);
    return r;
}

uint64_t store_watch_position(struct store_watch *w) {
    pthread_rwlock_rdlock(&w->store->state);
    if (w->hold.seq == w->resource->window.next)
        w->position = w->store->revision;
    pthread_rwlock_unlock(&w->store->state);
    return w->position;
}

void store_watch_close(struct store_watch *w) {
    if (!w)
        return;
    pthread_mutex_lock(&w->store->watching);
    list_remove(&w->link);
    while (w->running)
        pthread_cond_wait(&w->store->woken, &w->store->watching);
    pthread_mutex_unlock(&w->store->watching);
    pthread_rwlock_wrlock(&w->store->state);
    list_remove(&w->hold.link);
    pthread_rwlock_unlock(&w->store->state);
    return_lent(w);
    free(w->ns);
    free(w);
}

/* Is one of these writes for the watch? For big batches the answer is not worth the search: a needless wake is
 * harmless. */
static bool concerned(const struct store_watch *w, struct write *const *writes, size_t n) {
    if (!w->ns || n > 32)
        return true;
    for (size_t i = 0; i < n; i++)
        if (writes[i]->resource == w->resource && strcmp(writes[i]->item->ns, w->ns) == 0)
            return true;
    return false;
}

static void run_wakes(struct store *s) {
    while (!list_empty(&s->waking)) {
        struct store_watch *w = list_entry(s->waking.next, struct store_watch, link);
        list_remove(&w->link);
        w->running = true;
        pthread_mutex_unlock(&s->watching);
        w->wake(w->userdata);
        pthread_mutex_lock(&s->watching);
        w->running = false;
        pthread_cond_broadcast(&s->woken);
    }
}

void store_wake_watches(struct store *s, struct write *const *writes, size_t n, uint64_t batch) {
    pthread_mutex_lock(&s->watching);
    for (size_t i = 0; i < n; i++) {
        struct resource_state *res = writes[i]->resource;
        struct store_watch *w;
        if (res->woken_batch == batch)
            continue;
        res->woken_batch = batch;
        list_foreach(w, &res->armed, link) {
            if (!concerned(w, writes, n))
                continue;
            list_remove(&w->link);
            list_append(&s->waking, &w->link);
        }
    }
    run_wakes(s);
    pthread_mutex_unlock(&s->watching);
}
