/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the store does when its back-end fails, on a back-end that fails on demand; and random histories on a model. */
#include "tests/unit/store/store_fixture.h"

#include <stdio.h>

#include "orchestrator/store/backend.h"

/* Holds batches until told, and answers what it is told. */
struct fake {
    struct store_backend base;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool hold;          /* commit() waits while set */
    bool entered;       /* a commit is waiting or has run */
    int result;         /* of the next commits */
    bool full_for_puts; /* -ENOSPC unless every change is a removal */
    unsigned batches;
};

static int fake_load(struct store_backend *b, store_row_fn row, void *userdata, uint64_t *ret_revision,
                     struct error *err) {
    *ret_revision = 0;
    return 0;
}

static int fake_commit(struct store_backend *b, const struct store_change *changes, size_t n, struct error *err) {
    struct fake *f = container_of(b, struct fake, base);
    int r;

    pthread_mutex_lock(&f->lock);
    f->entered = true;
    f->batches++;
    pthread_cond_broadcast(&f->cond);
    while (f->hold)
        pthread_cond_wait(&f->cond, &f->lock);
    r = f->result;
    for (size_t i = 0; i < n && f->full_for_puts; i++)
        if (!changes[i].remove)
            r = -ENOSPC;
    pthread_mutex_unlock(&f->lock);
    return r < 0 ? error_set(err, r, "as told") : 0;
}

static void fake_close(struct store_backend *b) {
}

static const struct store_backend_ops fake_ops = {fake_load, fake_commit, fake_close};

static void fake_open(struct fake *f, struct store **ret) {
    const struct store_options options = {.window_events = 1000};

    *f = (struct fake){.base = {&fake_ops}};
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->cond, NULL);
    assert_int_equal(store_open_backend(&f->base, &options, ret, NULL), 0);
}

static void fake_set(struct fake *f, bool hold, int result) {
    pthread_mutex_lock(&f->lock);
    f->hold = hold;
    f->result = result;
    f->entered = false;
    pthread_cond_broadcast(&f->cond);
    pthread_mutex_unlock(&f->lock);
}

static void fake_wait_entered(struct fake *f) {
    pthread_mutex_lock(&f->lock);
    while (!f->entered)
        pthread_cond_wait(&f->cond, &f->lock);
    pthread_mutex_unlock(&f->lock);
}

static void test_failed_batch_takes_back_what_was_built_on_it(void **state) {
    struct fake f;
    struct store *s;
    struct waiter first = WAITER_INIT, built = WAITER_INIT, other = WAITER_INIT;

    fake_open(&f, &s);
    assert_int_equal(put(s, STORE_CREATE, "a", "x", 1, 0, NULL), 0);
    fake_set(&f, true, 0);
    assert_int_equal(submit(s, STORE_UPDATE, "a", "x", 2, 1, &first), 0);
    fake_wait_entered(&f);
    /* queued behind the batch under way: one built on it, one not */
    assert_int_equal(submit(s, STORE_UPDATE, "a", "x", 3, 2, &built), 0);
    assert_int_equal(submit(s, STORE_DELETE, "a", "x", 0, 3, &built), 0);
    assert_int_equal(submit(s, STORE_CREATE, "a", "x", 4, 0, &built), 0);
    assert_int_equal(submit(s, STORE_CREATE, "a", "y", 9, 0, &other), 0);
    assert_int_equal(value_of(s, "a", "x"), 1); /* nothing is visible before it is durable */
    pthread_mutex_lock(&f.lock);
    f.result = -EIO;
    f.hold = false;
    pthread_cond_broadcast(&f.cond);
    pthread_mutex_unlock(&f.lock);
    waiter_wait(&first, 1);
    waiter_wait(&built, 3);
    waiter_wait(&other, 1);
    assert_int_equal(first.result, -EIO);
    assert_int_equal(built.result, -ECANCELED);
    assert_int_equal(value_of(s, "a", "x"), 1);

    /* what is committed counts again, and revisions only rise */
    uint64_t rev;
    fake_set(&f, false, 0);
    assert_int_equal(put(s, STORE_UPDATE, "a", "x", 5, 2, NULL), -ESTALE);
    assert_int_equal(put(s, STORE_UPDATE, "a", "x", 5, 1, &rev), 0);
    assert_true(rev > 2);
    assert_int_equal(value_of(s, "a", "x"), 5);
    store_close(s);
}

static int64_t submitted_value(struct store *s, const char *ns, const char *name) {
    _cleanup_(store_item_unrefp) struct store_item *i = store_get_submitted(s, "configmaps", ns, name);

    return i ? json_int_or(json_get(store_item_doc(i), "value"), -2) : -1;
}

static void test_submitted_state_is_ahead_of_the_disk(void **state) {
    struct fake f;
    struct store *s;
    struct waiter w = WAITER_INIT;

    fake_open(&f, &s);
    assert_int_equal(put(s, STORE_CREATE, "a", "x", 1, 0, NULL), 0);
    assert_int_equal(submitted_value(s, "a", "x"), 1);
    fake_set(&f, true, 0);
    assert_int_equal(submit(s, STORE_UPDATE, "a", "x", 2, 1, &w), 0);
    assert_int_equal(value_of(s, "a", "x"), 1);
    assert_int_equal(submitted_value(s, "a", "x"), 2);
    assert_int_equal(submit(s, STORE_DELETE, "a", "x", 0, 0, &w), 0);
    assert_int_equal(submitted_value(s, "a", "x"), -1);
    assert_int_equal(value_of(s, "a", "x"), 1);
    fake_set(&f, false, 0);
    waiter_wait(&w, 2);
    assert_int_equal(submitted_value(s, "a", "x"), -1);
    store_close(s);
}

/* What was concluded from a submitted state is known to hold, or not, when that state is durable, or not. */
static void test_settling_waits_for_the_write(void **state) {
    struct fake f;
    struct store *s;
    struct waiter w = WAITER_INIT, told = WAITER_INIT;

    fake_open(&f, &s);
    assert_int_equal(store_settle(s, "configmaps", "a", "x", waiter_done, &told), 0);
    for (int i = 0; i < 2; i++) { /* a write that gets through, and one that fails */
        uint64_t failures = store_failures(s);
        fake_set(&f, true, i == 0 ? 0 : -EIO);
        assert_int_equal(submit(s, i == 0 ? STORE_CREATE : STORE_DELETE, "a", "x", 1, 0, &w), 0);
        fake_wait_entered(&f);
        assert_int_equal(store_settle(s, "configmaps", "a", "y", waiter_done, &told), 0);
        assert_int_equal(store_settle(s, "configmaps", "a", "x", waiter_done, &told), 1);
        assert_int_equal(store_settle(s, "configmaps", "a", "x", waiter_done, &told), 1);
        assert_int_equal(told.done, (unsigned) (2 * i));
        fake_set(&f, false, i == 0 ? 0 : -EIO);
        waiter_wait(&told, 2 * (unsigned) i + 2);
        assert_int_equal(told.result, i == 0 ? 0 : -EIO);
        assert_int_equal(w.done, (unsigned) i + 1); /* the writer is told first */
        assert_int_equal(store_failures(s) - failures, (uint64_t) i);
    }
    assert_int_equal(value_of(s, "a", "x"), 1);
    store_close(s);
}

static void test_other_objects_survive_a_failed_batch(void **state) {
    struct fake f;
    struct store *s;
    struct waiter first = WAITER_INIT, other = WAITER_INIT;

    fake_open(&f, &s);
    fake_set(&f, true, -EIO);
    assert_int_equal(submit(s, STORE_CREATE, "a", "x", 1, 0, &first), 0);
    fake_wait_entered(&f);
    assert_int_equal(submit(s, STORE_CREATE, "a", "y", 2, 0, &other), 0);
    /* the first batch fails, the next one succeeds */
    pthread_mutex_lock(&f.lock);
    f.entered = false;
    f.hold = false;
    pthread_cond_broadcast(&f.cond);
    pthread_mutex_unlock(&f.lock);
    waiter_wait(&first, 1);
    fake_set(&f, false, 0);
    waiter_wait(&other, 1);
    assert_int_equal(first.result, -EIO);
    assert_int_equal(put(s, STORE_CREATE, "a", "x", 1, 0, NULL), 0);
    if (other.result == 0)
        assert_int_equal(value_of(s, "a", "y"), 2);
    else
        assert_int_equal(value_of(s, "a", "y"), -1);
    store_close(s);
}

static void test_full_backend_lets_deletions_through(void **state) {
    struct fake f;
    struct store *s;
    struct waiter gone = WAITER_INIT, refused = WAITER_INIT, hold = WAITER_INIT;

    fake_open(&f, &s);
    assert_int_equal(put(s, STORE_CREATE, "a", "x", 1, 0, NULL), 0);
    assert_int_equal(put(s, STORE_CREATE, "a", "y", 1, 0, NULL), 0);
    assert_int_equal(put(s, STORE_CREATE, "a", "z", 1, 0, NULL), 0);
    fake_set(&f, true, 0);
    assert_int_equal(submit(s, STORE_DELETE, "a", "z", 0, 0, &hold), 0);
    fake_wait_entered(&f);
    /* one batch: deletion, creation, update, and a deletion built on the update */
    assert_int_equal(submit(s, STORE_DELETE, "a", "x", 0, 0, &gone), 0);
    assert_int_equal(submit(s, STORE_CREATE, "a", "new", 1, 0, &refused), 0);
    assert_int_equal(submit(s, STORE_UPDATE, "a", "y", 2, 0, &refused), 0);
    pthread_mutex_lock(&f.lock);
    f.hold = false;
    f.full_for_puts = true;
    pthread_cond_broadcast(&f.cond);
    pthread_mutex_unlock(&f.lock);
    waiter_wait(&gone, 1);
    waiter_wait(&refused, 2);
    assert_int_equal(gone.result, 0);
    assert_int_equal(refused.result, -ENOSPC);
    assert_int_equal(value_of(s, "a", "x"), -1);
    assert_int_equal(value_of(s, "a", "y"), 1);
    assert_int_equal(value_of(s, "a", "new"), -1);
    assert_int_equal(put(s, STORE_DELETE, "a", "y", 0, 0, NULL), 0);
    store_close(s);
}

/* 64 writers in flight must share commits. */
static void test_writes_share_commits(void **state) {
    struct fake f;
    struct store *s;
    struct waiter hold = WAITER_INIT, all = WAITER_INIT;

    fake_open(&f, &s);
    fake_set(&f, true, 0);
    assert_int_equal(submit(s, STORE_CREATE, "a", "first", 1, 0, &hold), 0);
    fake_wait_entered(&f);
    for (int i = 0; i < 64; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%d", i);
        assert_int_equal(submit(s, STORE_CREATE, "a", name, i, 0, &all), 0);
    }
    fake_set(&f, false, 0);
    waiter_wait(&all, 64);
    assert_int_equal(f.batches, 2);
    store_close(s);
}

/* --- random histories, checked against the plainest possible model --- */

enum { MODEL_KEYS = 12, HISTORY = 600 };

struct model {
    int64_t value[MODEL_KEYS]; /* -1: absent */
    uint64_t revision[MODEL_KEYS];
};

static void model_key(int k, const char **ns, char name[8]) {
    static const char *const spaces[] = {"", "a", "b"};

    *ns = spaces[k % 3];
    snprintf(name, 8, "k%d", k);
}

static void assert_list_is_model(struct store *s, const struct model *m, uint64_t revision) {
    struct store_list l;
    size_t n = 0;

    assert_int_equal(store_list(s, "configmaps", NULL, NULL, NULL, 0, revision, &l), 0);
    for (int k = 0; k < MODEL_KEYS; k++) {
        const char *ns;
        char name[8];
        model_key(k, &ns, name);
        bool found = false;
        for (size_t i = 0; i < l.n; i++) {
            if (strcmp(store_item_namespace(l.items[i]), ns) != 0 || strcmp(store_item_name(l.items[i]), name) != 0)
                continue;
            found = true;
            assert_int_equal(json_int_or(json_get(store_item_doc(l.items[i]), "value"), -2), m->value[k]);
            assert_int_equal(store_item_revision(l.items[i]), m->revision[k]);
        }
        assert_int_equal(found, m->value[k] >= 0);
        n += found;
    }
    assert_int_equal(l.n, n);
    store_list_finish(&l);
}

static void run_history(unsigned seed) {
    static struct model history[HISTORY + 1];
    struct fake f;
    struct store *s;
    struct model m;
    uint64_t rev = 0;

    for (int k = 0; k < MODEL_KEYS; k++)
        m.value[k] = -1, m.revision[k] = 0;
    history[0] = m;
    fake_open(&f, &s);
    while (rev < HISTORY) {
        int k = rand_r(&seed) % MODEL_KEYS, op = rand_r(&seed) % 3;
        const char *ns;
        char name[8];
        model_key(k, &ns, name);
        uint64_t expect = rand_r(&seed) % 3 == 0 ? m.revision[k] + (uint64_t) (rand_r(&seed) % 2) : 0;
        bool there = m.value[k] >= 0;
        int64_t value = rand_r(&seed) % 1000;
        int want = op == STORE_CREATE                       ? (there ? -EEXIST : 0)
                   : !there                                 ? -ENOENT
                   : expect != 0 && expect != m.revision[k] ? -ESTALE
                                                            : 0;
        assert_int_equal(put(s, (enum store_op) op, ns, name, value, expect, NULL), want);
        if (want < 0)
            continue;
        rev++;
        m.value[k] = op == STORE_DELETE ? -1 : value;
        m.revision[k] = op == STORE_DELETE ? 0 : rev;
        history[rev] = m;
        if (rev % 10 == 0) {
            assert_list_is_model(s, &m, 0);
            if (rev > 97)
                assert_list_is_model(s, &history[rev - rev % 97], rev - rev % 97);
        }
    }
    for (uint64_t r = 1; r <= HISTORY; r += 13)
        assert_list_is_model(s, &history[r], r);
    store_close(s);
}

static void test_random_histories(void **state) {
    for (unsigned seed = 1; seed <= 8; seed++)
        run_history(seed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failed_batch_takes_back_what_was_built_on_it),
        cmocka_unit_test(test_submitted_state_is_ahead_of_the_disk),
        cmocka_unit_test(test_settling_waits_for_the_write),
        cmocka_unit_test(test_other_objects_survive_a_failed_batch),
        cmocka_unit_test(test_full_backend_lets_deletions_through),
        cmocka_unit_test(test_writes_share_commits),
        cmocka_unit_test(test_random_histories),
    };

    return cmocka_run_group_tests_name("batches", tests, NULL, NULL);
}
