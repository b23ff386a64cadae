/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Watches: resuming, filtering, falling behind, and the wake-up protocol under threads. */
#include "tests/unit/store/store_fixture.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static int setup(void **state) {
    struct fixture *f = xnew0(struct fixture);

    fixture_init(f);
    f->options.no_sync = true;
    f->options.window_events = 64;
    fixture_open(f);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_finish(*state);
    free(*state);
    return 0;
}

static void count_wake(void *userdata) {
    atomic_fetch_add((atomic_int *) userdata, 1);
}

static void ignore_wake(void *userdata) {
    (void) userdata;
}

/* A watch that holds the window misses nothing, however slow it is; what it has seen goes as ever. */
static void test_a_holder_misses_nothing(void **state) {
    struct fixture *f = *state;
    struct store_watch *holder, *other, *late;
    struct store_event e;
    uint64_t last = 0;

    assert_int_equal(put(f->store, STORE_CREATE, "a", "x", 0, 0, NULL), 0);
    assert_int_equal(store_watch_open(f->store, "configmaps", NULL, 1, ignore_wake, NULL, &holder), 0);
    store_watch_hold(holder);
    for (int i = 1; i <= 300; i++)
        assert_int_equal(put(f->store, STORE_UPDATE, "a", "x", i, 0, NULL), 0);
    assert_int_equal(store_watch_open(f->store, "configmaps", NULL, 1, ignore_wake, NULL, &other), 0);
    for (int i = 1; i <= 300; i++) {
        assert_int_equal(store_watch_next(holder, &e), 1);
        assert_true(store_item_revision(e.item) > last);
        last = store_item_revision(e.item);
    }
    assert_int_equal(store_watch_next(holder, &e), 0);
    assert_int_equal(put(f->store, STORE_UPDATE, "a", "x", 301, 0, NULL), 0);
    assert_int_equal(store_watch_next(holder, &e), 1);
    assert_int_equal(store_watch_next(other, &e), -ESTALE); /* it holds nothing */
    assert_int_equal(store_watch_open(f->store, "configmaps", NULL, 100, ignore_wake, NULL, &late), -ESTALE);
    store_watch_close(other);
    store_watch_close(holder);
    for (int i = 0; i < 100; i++) /* and nobody holds it any more */
        assert_int_equal(put(f->store, STORE_UPDATE, "a", "x", 400 + i, 0, NULL), 0);
    assert_int_equal(store_watch_open(f->store, "configmaps", NULL, 310, ignore_wake, NULL, &late), -ESTALE);
}

static void test_events_from_a_revision(void **state) {
    struct fixture *f = *state;
    struct store_watch *w;
    struct store_event e;

    assert_int_equal(put(f->store, STORE_CREATE, "a", "x", 1, 0, NULL), 0);
    assert_int_equal(put(f->store, STORE_UPDATE, "a", "x", 2, 0, NULL), 0);
    assert_int_equal(put(f->store, STORE_DELETE, "a", "x", 0, 0, NULL), 0);
    assert_int_equal(store_watch_open(f->store, "configmaps", NULL, 4, ignore_wake, NULL, &w), -ERANGE);
    assert_int_equal(store_watch_open(f->store, "configmaps", NULL, 0, ignore_wake, NULL, &w), 0);

    assert_int_equal(store_watch_next(w, &e), 1);
    assert_int_equal(e.type, STORE_EVENT_ADDED);
    assert_int_equal(e.revision, 1);
    assert_null(e.old);
    assert_int_equal(store_watch_position(w), 1);
    assert_int_equal(store_watch_next(w, &e), 1);
    assert_int_equal(e.type, STORE_EVENT_MODIFIED);
    assert_int_equal(json_int_or(json_get(store_item_doc(e.item), "value"), 0), 2);
    assert_int_equal(json_int_or(json_get(store_item_doc(e.old), "value"), 0), 1);
    assert_int_equal(store_watch_next(w, &e), 1);
    assert_int_equal(e.type, STORE_EVENT_DELETED);
    /* the last state, with the revision of the deletion */
    assert_int_equal(json_int_or(json_get(store_item_doc(e.item), "value"), 0), 2);
    assert_string_equal(json_str(json_path(store_item_doc(e.item), "metadata", "resourceVersion")), "3");
    assert_non_null(strstr(store_item_text(e.item, NULL), "\"resourceVersion\":\"3\""));
    assert_int_equal(store_watch_next(w, &e), 0);
    store_watch_close(w);

    assert_int_equal(store_watch_open(f->store, "configmaps", NULL, 2, ignore_wake, NULL, &w), 0);
    assert_int_equal(store_watch_next(w, &e), 1);
    assert_int_equal(e.revision, 3);
    store_watch_close(w);
}

static void test_namespace_filter_and_position(void **state) {
    struct fixture *f = *state;
    atomic_int wakes = 0;
    struct store_watch *w;
    struct store_event e;

    assert_int_equal(store_watch_open(f->store, "configmaps", "b", 0, count_wake, &wakes, &w), 0);
    assert_int_equal(store_watch_next(w, &e), 0);
    assert_int_equal(put(f->store, STORE_CREATE, "a", "x", 1, 0, NULL), 0);
    assert_int_equal(put(f->store, STORE_CREATE, "b", "y", 1, 0, NULL), 0);
    assert_int_equal(store_watch_next(w, &e), 1);
    assert_string_equal(store_item_name(e.item), "y");
    assert_int_equal(store_watch_next(w, &e), 0);

    /* bookmarks rise with what other resources write */
    _cleanup_json_ struct json *doc = document("b", "z", 1);
    struct store_write other = {STORE_CREATE, "secrets", "b", "z", doc, 0};
    struct waiter wait = WAITER_INIT;
    assert_int_equal(store_submit(f->store, &other, waiter_done, &wait), 0);
    waiter_wait(&wait, 1);
    assert_int_equal(store_watch_position(w), 3);
    assert_int_equal(store_watch_next(w, &e), 0);
    store_watch_close(w);
    assert_in_range(atomic_load(&wakes), 0, 2);
}

static void test_falling_out_of_the_window(void **state) {
    struct fixture *f = *state;
    struct store_list list;
    struct store_watch *w, *late;
    struct store_event e;

    assert_int_equal(store_watch_open(f->store, "configmaps", NULL, 0, ignore_wake, NULL, &w), 0);
    assert_int_equal(put(f->store, STORE_CREATE, "a", "x", 0, 0, NULL), 0);
    assert_int_equal(store_watch_next(w, &e), 1);
    for (int i = 1; i < 80; i++)
        assert_int_equal(put(f->store, STORE_UPDATE, "a", "x", i, 0, NULL), 0);
    assert_int_equal(store_watch_next(w, &e), -ESTALE);
    store_watch_close(w);
    /* 80 revisions, the window holds 64 events: 17 … 80 */
    assert_int_equal(store_watch_open(f->store, "configmaps", NULL, 15, ignore_wake, NULL, &late), -ESTALE);
    assert_int_equal(store_list(f->store, "configmaps", NULL, NULL, NULL, 0, 15, &list), -ESTALE);
    assert_int_equal(store_watch_open(f->store, "configmaps", NULL, 16, ignore_wake, NULL, &late), 0);
    for (uint64_t rev = 17; rev <= 80; rev++) {
        assert_int_equal(store_watch_next(late, &e), 1);
        assert_int_equal(e.revision, rev);
        assert_int_equal(json_int_or(json_get(store_item_doc(e.item), "value"), -1), (int64_t) rev - 1);
    }
    assert_int_equal(store_watch_next(late, &e), 0);
    store_watch_close(late);
    /* nothing happened to other resources: a watch on them may start from the beginning */
    assert_int_equal(store_watch_open(f->store, "secrets", NULL, 1, ignore_wake, NULL, &late), 0);
    store_watch_close(late);
}

/* Events that left the fresh part of a window keep their text only; both forms must still be right. */
static void test_old_events_are_complete(void **state) {
    struct fixture *f = *state;
    struct store_watch *w;
    struct store_event e;

    store_close(f->store);
    f->options.window_events = 2000;
    fixture_open(f);
    assert_int_equal(put(f->store, STORE_CREATE, "a", "x", 0, 0, NULL), 0);
    for (int i = 1; i < 1000; i++)
        assert_int_equal(put(f->store, STORE_UPDATE, "a", "x", i, 0, NULL), 0);
    assert_int_equal(store_watch_open(f->store, "configmaps", NULL, 0, ignore_wake, NULL, &w), 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(store_watch_next(w, &e), 1);
        assert_int_equal(json_int_or(json_get(store_item_doc(e.item), "value"), -1), i);
        if (i > 0)
            assert_int_equal(json_int_or(json_get(store_item_doc(e.old), "value"), -1), i - 1);
    }
    store_watch_close(w);
}

/* --- threads --- */

struct reader {
    struct store *store;
    const char *ns;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool woken;
    uint64_t until;
    unsigned events;
    uint64_t last;
    int failed;
};

static void reader_wake(void *userdata) {
    struct reader *r = userdata;

    pthread_mutex_lock(&r->lock);
    r->woken = true;
    pthread_cond_signal(&r->cond);
    pthread_mutex_unlock(&r->lock);
}

/* Reads events until it has seen revision `until`, sleeping only on the wake: a lost one hangs the test. */
static void *reader_main(void *userdata) {
    struct reader *r = userdata;
    struct store_watch *w;
    struct store_event e;

    if (store_watch_open(r->store, "configmaps", r->ns, 0, reader_wake, r, &w) < 0) {
        r->failed = 1;
        return NULL;
    }
    while (store_watch_position(w) < r->until) {
        int got = store_watch_next(w, &e);
        if (got < 0) {
            r->failed = 2;
            break;
        }
        if (got == 1) {
            if (e.revision <= r->last)
                r->failed = 3;
            r->last = e.revision;
            r->events++;
            continue;
        }
        pthread_mutex_lock(&r->lock);
        while (!r->woken && store_watch_position(w) < r->until) {
            struct timespec deadline;
            clock_gettime(CLOCK_REALTIME, &deadline);
            deadline.tv_sec += 20;
            if (pthread_cond_timedwait(&r->cond, &r->lock, &deadline) == ETIMEDOUT) {
                r->failed = 4;
                break;
            }
        }
        r->woken = false;
        pthread_mutex_unlock(&r->lock);
        if (r->failed)
            break;
    }
    store_watch_close(w);
    return NULL;
}

enum { WRITERS = 3, WRITES_EACH = 300, READERS = 4 };

struct writer {
    struct store *store;
    int id;
    pthread_t thread;
    int failed;
};

static void *writer_main(void *userdata) {
    struct writer *w = userdata;
    char name[32];

    for (int i = 0; i < WRITES_EACH; i++) {
        snprintf(name, sizeof(name), "w%d-%d", w->id, i);
        if (put(w->store, STORE_CREATE, i % 2 ? "odd" : "even", name, i, 0, NULL) != 0)
            w->failed = 1;
    }
    return NULL;
}

static void test_no_wake_up_is_lost(void **state) {
    struct fixture *f = *state;
    struct reader readers[READERS];
    struct writer writers[WRITERS];

    store_close(f->store);
    f->options.window_events = 4096;
    fixture_open(f);
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.store = f->store, .ns = i == 0 ? "odd" : NULL, .until = WRITERS * WRITES_EACH};
        pthread_mutex_init(&readers[i].lock, NULL);
        pthread_cond_init(&readers[i].cond, NULL);
        pthread_create(&readers[i].thread, NULL, reader_main, &readers[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.store = f->store, .id = i};
        pthread_create(&writers[i].thread, NULL, writer_main, &writers[i]);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(writers[i].thread, NULL);
        assert_int_equal(writers[i].failed, 0);
    }
    /* the namespaced reader may be asleep with nothing more to come for it: one event releases it */
    assert_int_equal(put(f->store, STORE_CREATE, "odd", "end", 0, 0, NULL), 0);
    for (int i = 0; i < READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        assert_int_equal(readers[i].failed, 0);
        assert_in_range(readers[i].events, WRITERS * WRITES_EACH / (i == 0 ? 2 : 1), WRITERS * WRITES_EACH + 1);
        pthread_mutex_destroy(&readers[i].lock);
        pthread_cond_destroy(&readers[i].cond);
    }
}

static void slow_wake(void *userdata) {
    atomic_int *running = userdata;

    atomic_store(running, 1);
    usleep(20000);
    atomic_store(running, 0);
}

static void test_close_waits_for_a_running_wake(void **state) {
    struct fixture *f = *state;
    struct store_event e;

    for (int i = 0; i < 10; i++) {
        atomic_int running = 0;
        struct waiter wait = WAITER_INIT;
        struct store_watch *w;
        char name[16];
        snprintf(name, sizeof(name), "n%d", i);
        assert_int_equal(
            store_watch_open(f->store, "configmaps", NULL, store_revision(f->store), slow_wake, &running, &w), 0);
        assert_int_equal(store_watch_next(w, &e), 0);
        assert_int_equal(submit(f->store, STORE_CREATE, "a", name, i, 0, &wait), 0);
        usleep((useconds_t) i * 1000);
        store_watch_close(w);
        assert_int_equal(atomic_load(&running), 0);
        waiter_wait(&wait, 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_holder_misses_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_events_from_a_revision, setup, teardown),
        cmocka_unit_test_setup_teardown(test_namespace_filter_and_position, setup, teardown),
        cmocka_unit_test_setup_teardown(test_falling_out_of_the_window, setup, teardown),
        cmocka_unit_test_setup_teardown(test_old_events_are_complete, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_wake_up_is_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_close_waits_for_a_running_wake, setup, teardown),
    };

    return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
