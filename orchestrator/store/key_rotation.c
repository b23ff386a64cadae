/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/store/key_rotation.h"

#include <string.h>

#include "orchestrator/store/internal.h"
#include "orchestrator/store/sealing.h"
#include "podium/base/alloc.h"

#define ROUNDS_MAX 100 /* each goes on where a writer was faster */

struct seal {
    struct store *store;
    struct store_backend *backend; /* the sealed one */
    char *key_file;
    const char *const *resources;
    struct seal_keys keys;
    pthread_mutex_t lock; /* one rotation at a time; the keys */
};

/* Writes under way. */
struct round {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    size_t pending, written;
    bool again;
    int result;
};

static void on_written(void *userdata, int result, struct store_item *item) {
    struct round *r = userdata;

    pthread_mutex_lock(&r->lock);
    r->pending--;
    if (result == 0)
        r->written++;
    else if (result == -ESTALE || result == -ENOENT)
        r->again = true;
    else
        r->result = result;
    pthread_cond_signal(&r->cond);
    pthread_mutex_unlock(&r->lock);
}

static void rewrite(struct store *s, struct round *round, const char *resource, struct store_item *item) {
    const struct store_write w = {
        .op = STORE_UPDATE,
        .resource = resource,
        .ns = store_item_namespace(item),
        .name = store_item_name(item),
        .doc = (struct json *) store_item_doc(item),
        .expect_revision = store_item_revision(item),
    };

    pthread_mutex_lock(&round->lock);
    round->pending++;
    pthread_mutex_unlock(&round->lock);
    int r = store_submit(s, &w, on_written, round);
    if (r < 0)
        on_written(round, r, NULL);
}

/* What was sealed before the switch may be committed and not yet shown: it is among the writes under way. Asked first,
 * because what leaves them is in the list. */
static struct store_item **under_way(struct store *s, const char *resource, uint64_t barrier, size_t *ret_n) {
    struct hashmap_iter it = {0};
    struct store_item **items = NULL;
    size_t n = 0, cap = 0;

    pthread_mutex_lock(&s->submit);
    while (hashmap_next(s->pending, &it)) {
        struct write *w = it.value;
        if (w->op == STORE_DELETE || w->item->revision > barrier || strcmp(w->resource->name, resource) != 0)
            continue;
        xgrow(&items, n, &cap);
        items[n++] = store_item_ref(w->item);
    }
    pthread_mutex_unlock(&s->submit);
    *ret_n = n;
    return items;
}

static int rewrite_resource(struct store *s, struct round *round, const char *resource, uint64_t barrier) {
    size_t n;
    struct store_item **items = under_way(s, resource, barrier, &n);
    struct store_list all;
    int r = store_list(s, resource, NULL, NULL, NULL, 0, 0, &all);

    for (size_t i = 0; i < n; i++) {
        if (r == 0)
            rewrite(s, round, resource, items[i]);
        store_item_unref(items[i]);
    }
    free(items);
    if (r < 0)
        return r;
    for (size_t i = 0; i < all.n; i++)
        if (store_item_revision(all.items[i]) <= barrier)
            rewrite(s, round, resource, all.items[i]);
    store_list_finish(&all);
    return 0;
}

/* Everything up to a revision, once more; *written counts on. */
static int reseal(struct seal *seal, uint64_t barrier, size_t *written, struct error *err) {
    for (unsigned i = 0; i < ROUNDS_MAX; i++) {
        struct round round = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
        int r = 0;
        for (const char *const *res = seal->resources; *res && r == 0; res++)
            r = rewrite_resource(seal->store, &round, *res, barrier);
        pthread_mutex_lock(&round.lock);
        while (round.pending > 0)
            pthread_cond_wait(&round.cond, &round.lock);
        pthread_mutex_unlock(&round.lock);
        *written += round.written;
        r = r < 0 ? r : round.result;
        if (r < 0)
            return error_set_errno(err, r, "a secret keeps its old seal");
        if (!round.again)
            return 0;
    }
    return error_set(err, -EAGAIN, "secrets change faster than they can be written anew");
}

static int drop_old(struct seal *seal, struct error *err) {
    struct seal_keys one = seal->keys;
    uint64_t barrier;

    if (seal->keys.n < 2)
        return 0;
    seal_keys_drop_old(&one);
    int r = seal_keys_write(seal->key_file, &one, err);
    if (r == 0)
        r = sealed_backend_switch(seal->backend, &one, &barrier, err);
    if (r == 0)
        seal->keys = one;
    seal_keys_finish(&one);
    return r;
}

static int add_key(struct seal *seal, uint64_t *ret_barrier, struct error *err) {
    struct seal_keys more = seal->keys;
    int r = seal_keys_add(&more, err);

    if (r == 0)
        r = seal_keys_write(seal->key_file, &more, err);
    if (r == 0)
        r = sealed_backend_switch(seal->backend, &more, ret_barrier, err);
    if (r == 0)
        seal->keys = more;
    seal_keys_finish(&more);
    return r;
}

int store_rotate_key(struct store *s, size_t *ret_n, struct error *err) {
    struct seal *seal = s->seal;
    uint64_t barrier = 0;

    *ret_n = 0;
    if (!seal)
        return error_set(err, -EOPNOTSUPP, "the store is not encrypted: it has no key file");
    if (pthread_mutex_trylock(&seal->lock) != 0)
        return error_set(err, -EBUSY, "another rotation of the key is going on");
    /* one that could not be finished is gone on with: its key has hardly been used */
    int r = seal->keys.n > 1 ? sealed_backend_switch(seal->backend, &seal->keys, &barrier, err)
                             : add_key(seal, &barrier, err);
    if (r == 0)
        r = reseal(seal, barrier, ret_n, err);
    if (r == 0)
        r = drop_old(seal, err);
    pthread_mutex_unlock(&seal->lock);
    return r;
}

/* --- opening --- */

int sealing_start(struct store *s, struct store_backend *sealed, const char *key_file, const struct seal_keys *keys,
                  const char *const *resources, struct error *err) {
    struct seal *seal = s->seal = xnew0(struct seal);
    size_t n = 0;
    int r = 0;

    seal->store = s;
    seal->backend = sealed;
    seal->key_file = xstrdup(key_file);
    seal->resources = resources;
    seal->keys = *keys;
    pthread_mutex_init(&seal->lock, NULL);
    if (sealed_backend_stale_rows(sealed, NULL) > 0)
        r = reseal(seal, store_revision(s), &n, err);
    return r < 0 ? r : drop_old(seal, err);
}

void sealing_free(struct seal *seal) {
    if (!seal)
        return;
    seal_keys_finish(&seal->keys);
    pthread_mutex_destroy(&seal->lock);
    free(seal->key_file);
    free(seal);
}
