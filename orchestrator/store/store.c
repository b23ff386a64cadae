/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Opening and closing, submitting writes, single reads. */
#include "orchestrator/store/internal.h"
#include "orchestrator/store/sealing.h"

#include <signal.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/limits.h"

/* --- resources --- */

static void resource_state_free(void *p) {
    struct resource_state *res = p;

    index_finish(&res->index);
    window_finish(&res->window);
    free(res->name);
    free(res);
}

struct resource_state *store_resource_find(struct store *s, const char *resource) {
    return hashmap_get(s->resources, resource);
}

static struct resource_state *resource_add(struct store *s, const char *resource) {
    struct resource_state *res = xnew0(struct resource_state);

    res->name = xstrdup(resource);
    window_init(&res->window, s->window_events, s->window_age, s->open_revision);
    list_init(&res->armed);
    hashmap_put(s->resources, resource, res);
    return res;
}

struct resource_state *store_resource_get(struct store *s, const char *resource) {
    pthread_rwlock_rdlock(&s->state);
    struct resource_state *res = store_resource_find(s, resource);
    pthread_rwlock_unlock(&s->state);
    if (res)
        return res;
    pthread_rwlock_wrlock(&s->state);
    res = store_resource_find(s, resource);
    if (!res)
        res = resource_add(s, resource);
    pthread_rwlock_unlock(&s->state);
    return res;
}

/* --- opening and closing --- */

static int load_row(void *userdata, const struct store_row *row, struct error *err) {
    struct store *s = userdata;
    struct resource_state *res = store_resource_find(s, row->resource);

    if (!res)
        res = resource_add(s, row->resource);
    struct store_item *twin =
        index_put(&res->index, item_from_text(row->text, row->text_len, row->revision, row->ns, row->name, s->words));
    if (twin) {
        store_item_unref(twin);
        return error_set(err, -EBADMSG, "the store is damaged: %s \"%s\" is in it twice", row->resource, row->name);
    }
    return 0;
}

static void free_store(struct store *s) {
    hashmap_free(s->resources);
    hashmap_free(s->pending);
    pthread_mutex_destroy(&s->submit);
    pthread_cond_destroy(&s->submitted);
    pthread_rwlock_destroy(&s->state);
    pthread_mutex_destroy(&s->watching);
    pthread_cond_destroy(&s->woken);
    s->backend->ops->close(s->backend);
    sealing_free(s->seal);
    json_words_free(s->words);
    free(s);
}

static void init_locks(struct store *s) {
    pthread_rwlockattr_t attr;

    pthread_mutex_init(&s->submit, NULL);
    pthread_cond_init(&s->submitted, NULL);
    pthread_mutex_init(&s->watching, NULL);
    pthread_cond_init(&s->woken, NULL);
    /* Without this a steady stream of readers keeps the commit thread out. */
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&s->state, &attr);
    pthread_rwlockattr_destroy(&attr);
}

/* Signals belong to the threads with an event loop. */
static int start_thread(struct store *s) {
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&s->thread, NULL, store_commit_main, s);
    if (r == 0)
        (void) pthread_setname_np(s->thread, "store"); /* as top(1) shows it */
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

int store_open_backend(struct store_backend *b, const struct store_options *options, struct store **ret,
                       struct error *err) {
    struct store *s = xnew0(struct store);

    *ret = NULL;
    s->backend = b;
    s->words = json_words_new();
    s->window_events = options->window_events ? options->window_events : WATCH_WINDOW_EVENTS;
    s->window_age = options->window_age_usec ? options->window_age_usec : WATCH_WINDOW_AGE_USEC;
    s->queue.tail = &s->queue.head;
    s->pending = hashmap_new(NULL);
    s->resources = hashmap_new(resource_state_free);
    list_init(&s->waking);
    init_locks(s);

    int r = b->ops->load(b, load_row, s, &s->open_revision, err);
    if (r < 0) {
        free_store(s);
        return r;
    }
    s->revision = s->next_revision = s->open_revision;
    struct hashmap_iter it = {0};
    while (hashmap_next(s->resources, &it))
        ((struct resource_state *) it.value)->window.floor = s->open_revision;
    r = start_thread(s);
    if (r < 0) {
        free_store(s);
        return error_set_errno(err, r, "cannot start the store's commit thread");
    }
    *ret = s;
    return 0;
}

void store_close(struct store *s) {
    if (!s)
        return;
    pthread_mutex_lock(&s->submit);
    s->stopping = true;
    pthread_cond_signal(&s->submitted);
    pthread_mutex_unlock(&s->submit);
    pthread_join(s->thread, NULL);
    free_store(s);
}

/* --- writing --- */

/* In store.pending. */
static char *pending_key(const char *resource, const char *ns, const char *name) {
    return xasprintf("%s\x1f%s\x1f%s", resource, ns, name);
}

/* The newest submitted state of the object; a new reference, or NULL when it is (about to be) absent. Under `submit`.
 */
static struct store_item *newest_submitted(struct store *s, const char *key, const char *resource, const char *ns,
                                           const char *name) {
    const struct write *pending = hashmap_get(s->pending, key);

    if (pending)
        return pending->op == STORE_DELETE ? NULL : store_item_ref(pending->item);
    return store_get(s, resource, ns, name);
}

static int check(const struct store_write *w, const struct store_item *now) {
    if (w->op == STORE_CREATE)
        return now ? -EEXIST : 0;
    if (!now)
        return -ENOENT;
    return w->expect_revision && w->expect_revision != now->revision ? -ESTALE : 0;
}

static void enqueue(struct store *s, struct write *w) {
    hashmap_put(s->pending, w->key, w);
    *s->queue.tail = w;
    s->queue.tail = &w->next;
    if (s->queue.n++ == 0)
        pthread_cond_signal(&s->submitted);
}

static int prepare(const struct store *s, const struct store_write *w, struct item_draft *d) {
    if (strlen(w->resource) > STORE_KEY_PART_BYTES_MAX || strlen(w->ns) > STORE_KEY_PART_BYTES_MAX ||
        strlen(w->name) > STORE_KEY_PART_BYTES_MAX)
        return -E2BIG;
    if (w->doc ? !json_is_object(w->doc) : w->op != STORE_DELETE)
        return -EINVAL;
    if (!w->doc)
        return 0;
    if (!json_is_null(json_get(w->doc, "metadata")) && !json_is_object(json_get(w->doc, "metadata")))
        return -EINVAL;
    item_draft_init(d, w->doc, s->words);
    item_draft_encode(d);
    return d->text.len > OBJECT_STORED_BYTES_MAX && w->op != STORE_DELETE ? -E2BIG : 0;
}

int store_submit(struct store *s, const struct store_write *w, store_done_fn done, void *userdata) {
    _cleanup_(item_draft_finish) struct item_draft draft = {0};
    int r = prepare(s, w, &draft);

    if (r < 0)
        return r;
    struct resource_state *res = store_resource_get(s, w->resource);
    _cleanup_free_ char *key = pending_key(w->resource, w->ns, w->name);
    _cleanup_(store_item_unrefp) struct store_item *now = NULL;

    pthread_mutex_lock(&s->submit);
    now = newest_submitted(s, key, w->resource, w->ns, w->name);
    r = check(w, now);
    if (r < 0) {
        pthread_mutex_unlock(&s->submit);
        return r;
    }
    if (!draft.doc) /* a deletion shows the stored state; encoding it is left to the commit thread */
        item_draft_init(&draft, store_item_doc(now), s->words);
    struct write *wr = xnew0(struct write);
    wr->op = w->op;
    wr->resource = res;
    wr->item = item_from_draft(&draft, ++s->next_revision, w->ns, w->name);
    wr->old = steal(&now);
    wr->key = steal(&key);
    wr->done = done;
    wr->userdata = userdata;
    enqueue(s, wr);
    pthread_mutex_unlock(&s->submit);
    return 0;
}

int store_settle(struct store *s, const char *resource, const char *ns, const char *name, store_done_fn done,
                 void *userdata) {
    _cleanup_free_ char *key = pending_key(resource, ns, name);

    pthread_mutex_lock(&s->submit);
    struct write *pending = hashmap_get(s->pending, key);
    if (pending) {
        struct settler *waiting = xnew0(struct settler);
        *waiting = (struct settler){pending->settlers, done, userdata};
        pending->settlers = waiting;
    }
    pthread_mutex_unlock(&s->submit);
    return pending != NULL;
}

uint64_t store_failures(struct store *s) {
    return atomic_load(&s->failures);
}

/* --- reading --- */

uint64_t store_revision(struct store *s) {
    pthread_rwlock_rdlock(&s->state);
    uint64_t revision = s->revision;
    pthread_rwlock_unlock(&s->state);
    return revision;
}

struct store_item *store_get(struct store *s, const char *resource, const char *ns, const char *name) {
    pthread_rwlock_rdlock(&s->state);
    const struct resource_state *res = store_resource_find(s, resource);
    struct store_item *i = res ? store_item_ref(index_find(&res->index, ns, name)) : NULL;
    pthread_rwlock_unlock(&s->state);
    return i;
}

struct store_item *store_get_submitted(struct store *s, const char *resource, const char *ns, const char *name) {
    _cleanup_free_ char *key = pending_key(resource, ns, name);

    pthread_mutex_lock(&s->submit);
    struct store_item *i = newest_submitted(s, key, resource, ns, name);
    pthread_mutex_unlock(&s->submit);
    return i;
}
