/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Many threads on few objects: no increment is lost, every list is a consistent state, every watch sees every write. */
#include "tests/unit/store/store_fixture.h"

#include <stdatomic.h>
#include <stdio.h>

enum { OBJECTS = 4, THREADS = 4, INCREMENTS = 150 };

struct worker {
    struct store *store;
    pthread_t thread;
    atomic_bool *stop;
    int failed;
    unsigned rounds;
};

/* Read, add one, write if nobody was faster; again until it works. */
static void *increment(void *userdata) {
    struct worker *w = userdata;

    for (int i = 0; i < INCREMENTS; i++) {
        char name[8];
        snprintf(name, sizeof(name), "n%d", i % OBJECTS);
        for (int r = -ESTALE; r != 0;) {
            struct store_item *now = i % 2 ? store_get(w->store, "configmaps", "a", name)
                                           : store_get_submitted(w->store, "configmaps", "a", name);
            int64_t value = json_int_or(json_get(store_item_doc(now), "value"), 0);
            r = put(w->store, STORE_UPDATE, "a", name, value + 1, store_item_revision(now), NULL);
            store_item_unref(now);
            if (r != 0 && r != -ESTALE) {
                w->failed = 1;
                return NULL;
            }
            w->rounds++;
        }
    }
    return NULL;
}

static int64_t sum(const struct store_list *l) {
    int64_t n = 0;

    for (size_t i = 0; i < l->n; i++)
        n += json_int_or(json_get(store_item_doc(l->items[i]), "value"), 0);
    return n;
}

/* Each write adds one: at revision r the values add up to r less the creations. */
static void *list(void *userdata) {
    struct worker *w = userdata;

    while (!atomic_load(w->stop)) {
        struct store_list now, then;
        if (store_list(w->store, "configmaps", NULL, NULL, NULL, 0, 0, &now) < 0 ||
            sum(&now) != (int64_t) now.revision - OBJECTS)
            w->failed = 1;
        uint64_t earlier = now.revision > OBJECTS + 40 ? now.revision - 40 : OBJECTS;
        if (store_list(w->store, "configmaps", "a", NULL, NULL, 0, earlier, &then) < 0 ||
            sum(&then) != (int64_t) earlier - OBJECTS)
            w->failed = 1;
        store_list_finish(&now);
        store_list_finish(&then);
        w->rounds++;
    }
    return NULL;
}

static void ignore_wake(void *userdata) {
}

static void test_nothing_is_lost(void **state) {
    struct fixture f = {.options = {.no_sync = true}};
    struct worker writers[THREADS], lister;
    atomic_bool stop = false;
    struct store_watch *watch;
    struct store_event e;
    struct store_list l;

    fixture_init(&f);
    fixture_open(&f);
    for (int i = 0; i < OBJECTS; i++) {
        char name[8];
        snprintf(name, sizeof(name), "n%d", i);
        assert_int_equal(put(f.store, STORE_CREATE, "a", name, 0, 0, NULL), 0);
    }
    lister = (struct worker){.store = f.store, .stop = &stop};
    pthread_create(&lister.thread, NULL, list, &lister);
    for (int i = 0; i < THREADS; i++) {
        writers[i] = (struct worker){.store = f.store};
        pthread_create(&writers[i].thread, NULL, increment, &writers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(writers[i].thread, NULL);
        assert_int_equal(writers[i].failed, 0);
    }
    atomic_store(&stop, true);
    pthread_join(lister.thread, NULL);
    assert_int_equal(lister.failed, 0);
    assert_true(lister.rounds > 0);

    assert_int_equal(store_list(f.store, "configmaps", NULL, NULL, NULL, 0, 0, &l), 0);
    assert_int_equal(sum(&l), THREADS * INCREMENTS);
    store_list_finish(&l);
    assert_int_equal(store_watch_open(f.store, "configmaps", NULL, OBJECTS, ignore_wake, NULL, &watch), 0);
    unsigned events = 0;
    for (; store_watch_next(watch, &e) == 1; events++)
        assert_int_equal(json_int_or(json_get(store_item_doc(e.item), "value"), 0),
                         json_int_or(json_get(store_item_doc(e.old), "value"), 0) + 1);
    assert_int_equal(events, THREADS * INCREMENTS);
    store_watch_close(watch);
    fixture_finish(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing_is_lost)};

    return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
