/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/client/workqueue.h"

#include <stdbool.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"
#include "podium/base/list.h"

#define BACKOFF_FIRST_USEC (5 * USEC_PER_MSEC)
#define BACKOFF_MAX_USEC   (1000 * USEC_PER_SEC)
/* Keys started in one turn of the loop, so that a long queue does not starve the sockets. */
#define BATCH_MAX 32

struct item {
    struct workqueue *q;
    struct list ready; /* in q->ready while waiting to run */
    bool running, again;
    unsigned failures;
    sd_event_source *timer;
    uint64_t due; /* monotonic; of the armed timer */
    bool armed;
    char key[];
};

struct workqueue {
    sd_event *loop;
    sd_event_source *runner;
    struct hashmap *items;
    struct list ready;
    unsigned concurrency, running;
    uint64_t max_backoff;
    workqueue_sync_fn sync;
    void *userdata;
};

static void item_free(void *p) {
    struct item *item = p;
    list_remove(&item->ready);
    sd_event_source_disable_unref(item->timer);
    free(item);
}

/* An item nobody waits for is dropped, so that the table holds live keys only. */
static void item_drop_idle(struct item *item) {
    if (item->running || item->armed || item->failures > 0 || !list_empty(&item->ready))
        return;
    hashmap_remove(item->q->items, item->key);
}

static struct item *item_get(struct workqueue *q, const char *key) {
    struct item *item = hashmap_get(q->items, key);
    if (item)
        return item;
    size_t n = strlen(key) + 1;
    item = xcalloc(1, sizeof(*item) + n);
    memcpy(item->key, key, n);
    item->q = q;
    list_init(&item->ready);
    hashmap_put(q->items, key, item);
    return item;
}

static void wake(struct workqueue *q) {
    if (!list_empty(&q->ready) && q->running < q->concurrency)
        (void) sd_event_source_set_enabled(q->runner, SD_EVENT_ONESHOT);
}

static void item_add(struct item *item) {
    struct workqueue *q = item->q;
    if (item->running) {
        item->again = true;
        return;
    }
    if (list_empty(&item->ready))
        list_append(&q->ready, &item->ready);
    wake(q);
}

static int on_runner(sd_event_source *s, void *userdata) {
    struct workqueue *q = userdata;
    for (unsigned n = 0; n < BATCH_MAX && q->running < q->concurrency && !list_empty(&q->ready); n++) {
        struct item *item = list_entry(q->ready.next, struct item, ready);
        list_remove(&item->ready);
        item->running = true;
        q->running++;
        q->sync(q->userdata, item->key);
    }
    wake(q);
    return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
    struct item *item = userdata;
    item->armed = false;
    item_add(item);
    return 0;
}

struct workqueue *workqueue_new(sd_event *loop, unsigned concurrency, workqueue_sync_fn sync, void *userdata) {
    struct workqueue *q = xnew0(struct workqueue);
    q->loop = sd_event_ref(loop);
    q->items = hashmap_new(item_free);
    list_init(&q->ready);
    q->concurrency = concurrency > 0 ? concurrency : 1;
    q->max_backoff = BACKOFF_MAX_USEC;
    q->sync = sync;
    q->userdata = userdata;
    if (sd_event_add_defer(loop, &q->runner, on_runner, q) < 0)
        abort(); /* out of memory, as in alloc.h */
    (void) sd_event_source_set_enabled(q->runner, SD_EVENT_OFF);
    return q;
}

void workqueue_free(struct workqueue *q) {
    if (!q)
        return;
    hashmap_free(q->items);
    sd_event_source_disable_unref(q->runner);
    sd_event_unref(q->loop);
    free(q);
}

void workqueue_add(struct workqueue *q, const char *key) {
    item_add(item_get(q, key));
}

static void item_arm(struct item *item, uint64_t usec) {
    uint64_t due = now_monotonic_usec() + usec;
    if (item->armed && item->due <= due)
        return;
    item->due = due;
    item->armed = true;
    if (!item->timer) {
        if (sd_event_add_time(item->q->loop, &item->timer, CLOCK_MONOTONIC, due, USEC_PER_MSEC, on_timer, item) < 0)
            abort();
        return;
    }
    (void) sd_event_source_set_time(item->timer, due);
    (void) sd_event_source_set_enabled(item->timer, SD_EVENT_ONESHOT);
}

void workqueue_add_after(struct workqueue *q, const char *key, uint64_t usec) {
    struct item *item = item_get(q, key);
    if (usec == 0)
        item_add(item);
    else
        item_arm(item, usec);
}

static uint64_t backoff(const struct workqueue *q, unsigned failures) {
    unsigned shift = failures - 1 < 40 ? failures - 1 : 40;
    uint64_t usec = BACKOFF_FIRST_USEC << shift;
    return usec < q->max_backoff ? usec : q->max_backoff;
}

void workqueue_done(struct workqueue *q, const char *key, int result) {
    struct item *item = hashmap_get(q->items, key);
    if (!item || !item->running)
        return;
    item->running = false;
    q->running--;
    if (result < 0) {
        if (item->failures < UINT32_MAX)
            item->failures++;
        item_arm(item, backoff(q, item->failures));
    } else {
        item->failures = 0;
    }
    if (item->again) { /* a change that came meanwhile may have cured the failure: no waiting for the back-off */
        item->again = false;
        item_add(item);
    }
    item_drop_idle(item);
    wake(q);
}

void workqueue_set_max_backoff(struct workqueue *q, uint64_t usec) {
    q->max_backoff = usec;
}

size_t workqueue_len(const struct workqueue *q) {
    return hashmap_len(q->items);
}
