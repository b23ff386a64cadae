/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The store's data structures by themselves: the ordered index against a plain sorted array, with enough items to split
 * and join chunks; event windows and their bounds. */
#include "tests/unit/store/store_fixture.h"

#include <stdio.h>

#include "orchestrator/store/internal.h"

enum { KEYS = 6000 };

static void key_of(unsigned k, char ns[8], char name[16]) {
    snprintf(ns, 8, "ns%u", k % 7);
    snprintf(name, 16, "n%05u", k / 7);
}

/* keys sort as (k % 7, k / 7) */
static unsigned rank_of(unsigned k) {
    return k % 7 * KEYS + k / 7;
}

static void check_whole(const struct index *ix, const bool *there) {
    struct index_pos p = index_seek(ix, "", "");
    size_t n = 0;
    const struct store_item *before = NULL, *i;

    for (; (i = index_at(ix, p)); index_next(ix, &p), n++) {
        if (before)
            assert_true(index_compare(before, i->ns, store_item_name(i)) < 0);
        assert_int_equal(index_distance(ix, index_seek(ix, "", ""), p), n);
        before = i;
    }
    size_t expected = 0;
    for (unsigned k = 0; k < KEYS; k++) {
        char ns[8], name[16];
        key_of(k, ns, name);
        assert_int_equal(index_find(ix, ns, name) != NULL, there[k]);
        expected += there[k];
    }
    assert_int_equal(n, expected);
    assert_int_equal(ix->n_items, expected);
}

static void test_random_changes(void **state) {
    struct index ix = {0};
    bool *there = xcalloc(KEYS, sizeof(*there));
    unsigned seed = 7;

    for (int phase = 0; phase < 4; phase++) {
        for (int step = 0; step < 12000; step++) {
            unsigned k = (unsigned) rand_r(&seed) % KEYS;
            char ns[8], name[16];
            key_of(k, ns, name);
            bool put_it = phase % 2 == 0 ? rand_r(&seed) % 8 != 0 : rand_r(&seed) % 8 == 0;
            struct store_item *old =
                put_it ? index_put(&ix, item_from_text("{}", 2, 1, ns, name, NULL)) : index_remove(&ix, ns, name);
            assert_int_equal(old != NULL, there[k]);
            store_item_unref(old);
            there[k] = put_it;
        }
        check_whole(&ix, there);
    }
    index_finish(&ix);
    free(there);
}

static void test_seek(void **state) {
    struct index ix = {0};

    for (unsigned k = 0; k < KEYS; k += 2) {
        char ns[8], name[16];
        key_of(k, ns, name);
        assert_null(index_put(&ix, item_from_text("{}", 2, 1, ns, name, NULL)));
    }
    for (unsigned k = 0; k < KEYS; k += 37) {
        char ns[8], name[16];
        key_of(k, ns, name);
        size_t before = 0;
        for (unsigned j = 0; j < KEYS; j += 2)
            before += rank_of(j) < rank_of(k);
        struct index_pos start = index_seek(&ix, "", "");
        assert_int_equal(index_distance(&ix, start, index_seek(&ix, ns, name)), before);
        assert_int_equal(index_distance(&ix, start, index_seek_behind(&ix, ns, name)), before + (k % 2 == 0));
    }
    size_t all = index_distance(&ix, index_seek(&ix, "", ""), index_end(&ix)), sum = 0;
    for (unsigned n = 0; n < 7; n++) {
        char ns[8], name[16];
        key_of(n, ns, name);
        sum += index_distance(&ix, index_seek(&ix, ns, ""), index_seek(&ix, ns, NULL));
    }
    assert_int_equal(sum, all);
    index_finish(&ix);
}

/* --- event windows --- */

static void push(struct window *w, uint64_t revision, uint64_t now) {
    struct garbage g = {0};
    struct store_item *i = item_from_text("{}", 2, revision, "a", "x", NULL);
    const struct store_event e = {STORE_EVENT_MODIFIED, revision, i, NULL};

    window_push(w, &e, now, &g);
    store_item_unref(i);
    garbage_finish(&g);
}

static void test_window_forgets_what_is_old(void **state) {
    uint64_t minute = 60 * 1000000ull, revision = 0;
    struct window w;

    window_init(&w, 4096, 10 * minute, 0);
    for (; revision < 500; revision++)
        push(&w, revision + 1, 0);
    assert_int_equal(w.next - w.first, 500);
    push(&w, ++revision, 9 * minute);
    assert_int_equal(w.next - w.first, 501); /* a burst is kept for those who were away a little */
    assert_int_equal(w.floor, 0);
    push(&w, ++revision, 11 * minute);
    assert_int_equal(w.next - w.first, 65); /* a few stay however old */
    assert_int_equal(w.floor, 437);
    assert_int_equal(window_at(&w, window_seek(&w, 437))->revision, 438);
    assert_int_equal(window_at(&w, w.next - 1)->revision, revision);
    window_finish(&w);
}

/* What pushing does, when nothing is pushed: the events of a burst go, and the room for them. */
static void test_window_is_swept(void **state) {
    struct window w;
    struct garbage g = {0};

    window_init(&w, 4096, 1000, 0);
    for (uint64_t revision = 1; revision <= 500; revision++)
        push(&w, revision, 0);
    window_sweep(&w, 1000, &g);
    assert_int_equal(w.next - w.first, 500);
    window_sweep(&w, 1001, &g);
    assert_int_equal(w.next - w.first, 64);
    assert_true(w.cap < 500);
    assert_int_equal(window_at(&w, w.first)->revision, 437);
    assert_int_equal(window_at(&w, w.next - 1)->revision, 500);
    window_finish(&w);
    garbage_finish(&g);
}

static struct store_item *item_with_doc(uint64_t revision) {
    struct store_item *i = item_from_text("{\"a\":1}", 7, revision, "a", "x", NULL);

    assert_non_null(store_item_doc(i));
    return i;
}

static bool has_doc(const struct window *w, uint64_t seq) {
    return atomic_load(&window_at(w, seq)->item->doc) != NULL;
}

/* Documents go 256 events later, but not before parts of our own have seen them. */
static void test_documents_wait_for_who_holds_the_window(void **state) {
    struct window w;
    struct window_holder holder = {.seq = 0};
    struct garbage g = {0};

    window_init(&w, 4096, 1000, 0);
    list_append(&w.holders, &holder.link);
    for (uint64_t revision = 1; revision <= 1000; revision++) {
        struct store_item *i = item_with_doc(revision);
        const struct store_event e = {STORE_EVENT_MODIFIED, revision, i, NULL};
        if (revision == 600)
            holder.seq = 400;
        window_push(&w, &e, 0, &g);
        store_item_unref(i);
        if (revision == 599)
            assert_true(has_doc(&w, 0));
    }
    assert_false(has_doc(&w, 0));
    assert_false(has_doc(&w, 399));
    assert_true(has_doc(&w, 400));
    list_remove(&holder.link);
    push(&w, 1001, 0);
    assert_false(has_doc(&w, 744));
    assert_true(has_doc(&w, 745));
    garbage_finish(&g);
    window_finish(&w);
}

/* What was made for a reader goes, what somebody holds stays. */
static void test_index_forgets_documents(void **state) {
    struct index ix = {0};
    struct garbage g = {0};
    struct store_item *held = NULL;
    struct json *shared = NULL;
    size_t chunk = 0, rounds = 0;
    char name[16];

    for (unsigned i = 0; i < 5000; i++) {
        (void) snprintf(name, sizeof(name), "o%04u", i);
        struct store_item *item = item_from_text("{\"a\":1}", 7, i, "a", name, NULL);
        assert_non_null(store_item_doc(item));
        if (i == 7)
            held = store_item_ref(item);
        if (i == 4000)
            shared = json_ref(store_item_doc(item));
        assert_null(index_put(&ix, item));
    }
    do {
        chunk = index_drop_docs(&ix, chunk, &g);
        rounds++;
    } while (chunk > 0);
    assert_true(rounds > 1);
    assert_int_equal(g.n_docs, 4998);
    assert_non_null(atomic_load(&index_find(&ix, "a", "o0007")->doc));
    assert_ptr_equal(atomic_load(&index_find(&ix, "a", "o4000")->doc), shared);
    assert_null(atomic_load(&index_find(&ix, "a", "o4999")->doc));
    store_item_unref(held);
    json_unref(shared);
    garbage_finish(&g);
    index_finish(&ix);
}

static void test_window_is_bounded_in_bytes(void **state) {
    struct window w;
    size_t n = 1024 * 1024;
    char *text = xmalloc(n);

    window_init(&w, 4096, 1, 0);
    memset(text, ' ', n);
    for (uint64_t revision = 1; revision <= 40; revision++) {
        struct garbage g = {0};
        struct store_item *i = item_from_text(text, n, revision, "a", "x", NULL);
        const struct store_event e = {STORE_EVENT_MODIFIED, revision, i, NULL};
        window_push(&w, &e, 0, &g);
        store_item_unref(i);
        garbage_finish(&g);
    }
    assert_int_equal(w.next - w.first, 16);
    assert_int_equal(w.bytes, 16 * n);
    assert_int_equal(w.floor, 24);
    window_finish(&w);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_changes),
                                       cmocka_unit_test(test_seek),
                                       cmocka_unit_test(test_window_forgets_what_is_old),
                                       cmocka_unit_test(test_window_is_swept),
                                       cmocka_unit_test(test_documents_wait_for_who_holds_the_window),
                                       cmocka_unit_test(test_index_forgets_documents),
                                       cmocka_unit_test(test_window_is_bounded_in_bytes)};

    return cmocka_run_group_tests_name("structures", tests, NULL, NULL);
}
