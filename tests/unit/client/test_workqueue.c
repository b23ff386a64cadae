/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "orchestrator/client/workqueue.h"
#include "podium/base/clock.h"

struct env {
    sd_event *loop;
    struct workqueue *q;
    char seen[1024]; /* the keys in the order they ran, separated by spaces */
    int result;      /* what sync answers */
    unsigned hold;   /* leave this many keys under way */
    char held[8][32];
    unsigned n_held;
    const char *readd; /* queued again from inside sync, once */
};

static void sync_key(void *userdata, const char *key) {
    struct env *e = userdata;
    snprintf(e->seen + strlen(e->seen), sizeof(e->seen) - strlen(e->seen), "%s ", key);
    if (e->readd) {
        workqueue_add(e->q, e->readd);
        e->readd = NULL;
    }
    if (e->n_held < e->hold) {
        snprintf(e->held[e->n_held++], sizeof(e->held[0]), "%s", key);
        return;
    }
    workqueue_done(e->q, key, e->result);
}

static void settle(struct env *e) {
    for (int idle = 0; idle < 2;)
        idle = sd_event_run(e->loop, 0) > 0 ? 0 : idle + 1;
}

static void run_for(struct env *e, uint64_t usec) {
    uint64_t end = now_monotonic_usec() + usec;
    for (uint64_t now = now_monotonic_usec(); now < end; now = now_monotonic_usec())
        (void) sd_event_run(e->loop, end - now);
}

static int setup(void **state) {
    static struct env e;
    memset(&e, 0, sizeof(e));
    assert_true(sd_event_new(&e.loop) >= 0);
    e.q = workqueue_new(e.loop, 2, sync_key, &e);
    *state = &e;
    return 0;
}

static int teardown(void **state) {
    struct env *e = *state;
    workqueue_free(e->q);
    sd_event_unref(e->loop);
    return 0;
}

static void test_a_key_queued_twice_runs_once_in_order(void **state) {
    struct env *e = *state;
    workqueue_add(e->q, "a");
    workqueue_add(e->q, "b");
    workqueue_add(e->q, "a");
    assert_string_equal(e->seen, ""); /* never from inside add */
    settle(e);
    assert_string_equal(e->seen, "a b ");
    assert_int_equal(workqueue_len(e->q), 0);
}

static void test_a_key_queued_while_running_runs_again_afterwards(void **state) {
    struct env *e = *state;
    e->hold = 1;
    workqueue_add(e->q, "a");
    settle(e);
    workqueue_add(e->q, "a");
    workqueue_add(e->q, "a");
    settle(e);
    assert_string_equal(e->seen, "a "); /* never two at a time for one key */
    workqueue_done(e->q, "a", 0);
    settle(e);
    assert_string_equal(e->seen, "a a ");
}

static void test_a_key_queued_from_its_own_sync_runs_again(void **state) {
    struct env *e = *state;
    e->readd = "a";
    workqueue_add(e->q, "a");
    settle(e);
    assert_string_equal(e->seen, "a a ");
}

static void test_no_more_than_concurrency_keys_run(void **state) {
    struct env *e = *state;
    e->hold = 3;
    workqueue_add(e->q, "a");
    workqueue_add(e->q, "b");
    workqueue_add(e->q, "c");
    settle(e);
    assert_string_equal(e->seen, "a b ");
    workqueue_done(e->q, "b", 0);
    settle(e);
    assert_string_equal(e->seen, "a b c ");
}

static void test_failures_come_back_slower_each_time_and_success_forgets(void **state) {
    struct env *e = *state;
    e->result = -EIO;
    workqueue_add(e->q, "a");
    settle(e);
    assert_string_equal(e->seen, "a ");
    run_for(e, 120 * USEC_PER_MSEC); /* at 5, 15, 35, 75, 155 ms */
    size_t runs = strlen(e->seen) / 2;
    assert_in_range(runs, 4, 5);
    e->result = 0;
    run_for(e, 120 * USEC_PER_MSEC);
    assert_int_equal(workqueue_len(e->q), 0);
}

static void test_backoff_stops_at_the_maximum(void **state) {
    struct env *e = *state;
    e->result = -EIO;
    workqueue_set_max_backoff(e->q, 5 * USEC_PER_MSEC);
    workqueue_add(e->q, "a");
    run_for(e, 150 * USEC_PER_MSEC);
    assert_true(strlen(e->seen) / 2 >= 10);
}

static void test_of_two_delays_the_earlier_counts(void **state) {
    struct env *e = *state;
    workqueue_add_after(e->q, "a", 60 * USEC_PER_SEC);
    workqueue_add_after(e->q, "a", 10 * USEC_PER_MSEC);
    workqueue_add_after(e->q, "a", 70 * USEC_PER_SEC);
    workqueue_add_after(e->q, "b", 0);
    settle(e);
    assert_string_equal(e->seen, "b ");
    run_for(e, 50 * USEC_PER_MSEC);
    assert_string_equal(e->seen, "b a ");
}

static void test_a_change_does_not_wait_for_the_backoff(void **state) {
    struct env *e = *state;
    e->hold = 1;
    workqueue_add(e->q, "a");
    settle(e);
    workqueue_add(e->q, "a"); /* the change that cures */
    for (int i = 0; i < 1; i++)
        workqueue_done(e->q, "a", -EIO);
    e->hold = 0;
    settle(e);
    assert_string_equal(e->seen, "a a ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_key_queued_twice_runs_once_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_key_queued_while_running_runs_again_afterwards, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_key_queued_from_its_own_sync_runs_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_more_than_concurrency_keys_run, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failures_come_back_slower_each_time_and_success_forgets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_backoff_stops_at_the_maximum, setup, teardown),
        cmocka_unit_test_setup_teardown(test_of_two_delays_the_earlier_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_change_does_not_wait_for_the_backoff, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
