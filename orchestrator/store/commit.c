/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The commit thread: takes everything that was submitted meanwhile, has the back-end make it durable in one batch,
 * then shows it to readers, wakes the watches and acknowledges it.
 */
#include "orchestrator/store/internal.h"

#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/log.h"
#include "podium/base/memory.h"

enum {
    BATCH_WRITES_MAX = 2048,
    BATCH_BYTES_MAX = 16 * 1024 * 1024,
    SWEEP_PARTS = 16,     /* sweeps in the greatest age of an event */
    TRIM_THINGS_MIN = 64, /* freed at once: worth asking the allocator to give pages back */
};

/* The commit thread's own things, reused from batch to batch. */
struct committer {
    struct store *store;
    struct write **writes;
    size_t n, cap;
    struct store_change *changes;
    size_t changes_cap;
    struct garbage garbage;
    uint64_t batch; /* counts publications */
    uint64_t swept; /* when, monotonic */
};

static void free_write(struct write *w) {
    store_item_unref(w->item);
    store_item_unref(w->old);
    free(w->key);
    free(w);
}

/* Tells the writer, and who waited for the write. */
static void acknowledge(struct write *w, struct store_item *item) {
    struct settler *next;

    w->done(w->userdata, w->result, item);
    for (struct settler *i = w->settlers; i; i = next) {
        next = i->next;
        i->done(i->userdata, w->result, NULL);
        free(i);
    }
}

static struct write *queue_pop(struct write_queue *q) {
    struct write *w = q->head;

    q->head = w->next;
    if (!q->head)
        q->tail = &q->head;
    q->n--;
    w->next = NULL;
    return w;
}

/* Waits for work; false when the store is closing and everything is done. */
static bool take_batch(struct committer *c) {
    struct store *s = c->store;
    size_t bytes = 0;

    c->n = 0;
    pthread_mutex_lock(&s->submit);
    while (s->queue.n == 0 && !s->stopping)
        pthread_cond_wait(&s->submitted, &s->submit);
    while (s->queue.n > 0 && c->n < BATCH_WRITES_MAX && bytes < BATCH_BYTES_MAX) {
        struct write *w = queue_pop(&s->queue);
        bytes += item_text_len(w->item);
        xgrow(&c->writes, c->n, &c->cap);
        c->writes[c->n++] = w;
    }
    pthread_mutex_unlock(&s->submit);
    return c->n > 0;
}

static struct store_change change_of(struct write *w) {
    struct store_change ch = {
        .revision = w->item->revision,
        .old_revision = w->old ? w->old->revision : 0,
        .remove = w->op == STORE_DELETE,
        .resource = w->resource->name,
        .ns = w->item->ns,
        .name = store_item_name(w->item),
    };
    /* A deletion that came without a last state is encoded here, once, for its watchers. */
    const char *text = store_item_text(w->item, &ch.text_len);
    if (ch.remove)
        ch.text_len = 0;
    else
        ch.text = text;
    return ch;
}

static int commit(struct committer *c, struct write *const *writes, size_t n) {
    struct store_backend *b = c->store->backend;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    while (c->changes_cap < n) {
        c->changes_cap = c->changes_cap ? c->changes_cap * 2 : 64;
        c->changes = xreallocarray(c->changes, c->changes_cap, sizeof(*c->changes));
    }
    for (size_t i = 0; i < n; i++)
        c->changes[i] = change_of(writes[i]);
    int r = b->ops->commit(b, c->changes, n, &err);
    if (r < 0 && r != -ENOSPC) /* -ENOSPC is told to the writer; anything else is a matter for the admin, too */
        log_error("store: %zu writes failed: %s", n, error_text(&err, r));
    return r;
}

static void apply(struct store *s, struct write *w, uint64_t now, struct garbage *g) {
    static const enum store_event_type types[] = {
        [STORE_CREATE] = STORE_EVENT_ADDED,
        [STORE_UPDATE] = STORE_EVENT_MODIFIED,
        [STORE_DELETE] = STORE_EVENT_DELETED,
    };
    struct resource_state *res = w->resource;

    if (w->op == STORE_DELETE)
        garbage_add_item(g, index_remove(&res->index, w->item->ns, store_item_name(w->item)));
    else
        garbage_add_item(g, index_put(&res->index, store_item_ref(w->item)));
    const struct store_event e = {types[w->op], w->item->revision, w->item, w->old};
    window_push(&res->window, &e, now, g);
    s->revision = w->item->revision;
}

/*
 * What nobody will ask for goes by the clock, too. Heartbeats of nodes see to it that there is a batch now and then; a
 * cluster without writes keeps what it has.
 */
static void sweep_windows(struct committer *c, uint64_t now) {
    struct store *s = c->store;
    struct hashmap_iter it = {0};

    pthread_rwlock_wrlock(&s->state);
    while (hashmap_next(s->resources, &it))
        window_sweep(&((struct resource_state *) it.value)->window, now, &c->garbage);
    pthread_rwlock_unlock(&s->state);
}

/* Documents that were made for a reader once. Readers get their turn in between. */
static void sweep_index(struct committer *c, const struct index *ix) {
    struct store *s = c->store;
    size_t chunk = 0;

    do {
        pthread_rwlock_wrlock(&s->state);
        chunk = index_drop_docs(ix, chunk, &c->garbage);
        pthread_rwlock_unlock(&s->state);
    } while (chunk > 0);
}

static void sweep(struct committer *c, uint64_t now) {
    struct store *s = c->store;
    struct hashmap_iter it = {0};
    size_t n = 0;

    if (now < c->swept + s->window_age / SWEEP_PARTS)
        return;
    c->swept = now;
    sweep_windows(c, now);
    /* they stay as long as the store does; the table may grow meanwhile */
    pthread_rwlock_rdlock(&s->state);
    _cleanup_free_ struct resource_state **all = xreallocarray(NULL, hashmap_len(s->resources) + 1, sizeof(*all));
    while (hashmap_next(s->resources, &it))
        all[n++] = it.value;
    pthread_rwlock_unlock(&s->state);
    for (size_t i = 0; i < n; i++)
        sweep_index(c, &all[i]->index);
    bool much = c->garbage.n_items + c->garbage.n_docs + c->garbage.n_texts >= TRIM_THINGS_MIN;
    garbage_empty(&c->garbage);
    if (much)
        memory_trim(); /* small blocks from all over: nothing is given back by itself */
}

/* Makes committed writes visible, wakes and acknowledges; frees the writes. */
static void publish(struct committer *c, struct write *const *writes, size_t n) {
    struct store *s = c->store;
    uint64_t now = now_monotonic_usec();

    pthread_rwlock_wrlock(&s->state);
    for (size_t i = 0; i < n; i++)
        apply(s, writes[i], now, &c->garbage);
    pthread_rwlock_unlock(&s->state);

    pthread_mutex_lock(&s->submit);
    for (size_t i = 0; i < n; i++)
        if (hashmap_get(s->pending, writes[i]->key) == writes[i])
            hashmap_remove(s->pending, writes[i]->key);
    pthread_mutex_unlock(&s->submit);

    for (size_t i = 0; i < n; i++)
        acknowledge(writes[i], writes[i]->item);
    store_wake_watches(s, writes, n, ++c->batch);
    for (size_t i = 0; i < n; i++)
        free_write(writes[i]);
    garbage_empty(&c->garbage);
    sweep(c, now);
}

/* Moves queued writes that were built on a failed one out of the queue. Under `submit`. */
static void drop_dependents(struct store *s, struct hashmap *failed_keys, struct write_queue *out) {
    struct write_queue all = s->queue;

    if (all.n == 0)
        return;
    s->queue = (struct write_queue){NULL, &s->queue.head, 0};
    while (all.head) {
        struct write *w = all.head;
        all.head = w->next;
        w->next = NULL;
        struct write *failed = hashmap_get(failed_keys, w->key);
        struct write_queue *to = failed ? out : &s->queue;
        if (failed)
            w->result = -ECANCELED;
        *to->tail = w;
        to->tail = &w->next;
        to->n++;
    }
}

/* Fails writes (their result says why) and all queued ones built on them, in one step as seen by submitters. */
static void fail(struct store *s, struct write *const *writes, size_t n) {
    _cleanup_(hashmap_freep) struct hashmap *keys = hashmap_new(NULL);
    struct write_queue dependents = {NULL, NULL, 0};

    dependents.tail = &dependents.head;
    for (size_t i = 0; i < n; i++)
        hashmap_put(keys, writes[i]->key, writes[i]);
    pthread_mutex_lock(&s->submit);
    drop_dependents(s, keys, &dependents);
    atomic_fetch_add(&s->failures, 1);
    /* Whatever was newest on these keys is gone: what is committed counts again. */
    for (size_t i = 0; i < n; i++)
        hashmap_remove(s->pending, writes[i]->key);
    pthread_mutex_unlock(&s->submit);
    for (size_t i = 0; i < n; i++)
        acknowledge(writes[i], NULL);
    while (dependents.n > 0) {
        struct write *w = queue_pop(&dependents);
        acknowledge(w, NULL);
        free_write(w);
    }
    for (size_t i = 0; i < n; i++)
        free_write(writes[i]);
}

/* The back-end is full: each write for itself, so that deletions get through. */
static void commit_singly(struct committer *c) {
    _cleanup_(hashmap_freep) struct hashmap *failed = hashmap_new(NULL); /* key → its first failed write */
    size_t n_failed = 0;

    for (size_t i = 0; i < c->n; i++) {
        struct write *w = c->writes[i], *base = hashmap_get(failed, w->key);
        w->result = base ? -ECANCELED : commit(c, &w, 1);
        if (w->result == 0) {
            publish(c, &w, 1);
            continue;
        }
        if (!base)
            hashmap_put(failed, w->key, w);
        c->writes[n_failed++] = w;
    }
    if (n_failed > 0)
        fail(c->store, c->writes, n_failed);
}

void *store_commit_main(void *p) {
    struct committer c = {.store = p, .swept = now_monotonic_usec()};

    while (take_batch(&c)) {
        int r = commit(&c, c.writes, c.n);
        if (r == 0) {
            publish(&c, c.writes, c.n);
        } else if (r == -ENOSPC && c.n > 1) {
            commit_singly(&c);
        } else {
            for (size_t i = 0; i < c.n; i++)
                c.writes[i]->result = r;
            fail(c.store, c.writes, c.n);
        }
    }
    garbage_finish(&c.garbage);
    free(c.writes);
    free(c.changes);
    return NULL;
}
