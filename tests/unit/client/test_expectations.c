/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "orchestrator/client/expectations.h"

static void test_unknown_keys_are_satisfied(void **state) {
    _cleanup_(expectations_freep) struct expectations *e = expectations_new();
    assert_true(expectations_satisfied(e, "a", 0));
    expectations_creation_observed(e, "a");
    expectations_deletion_observed(e, "a", "u");
    assert_true(expectations_satisfied(e, "a", 0));
}

static void test_creations_are_waited_for(void **state) {
    _cleanup_(expectations_freep) struct expectations *e = expectations_new();
    expectations_expect_creations(e, "a", 2, 100);
    assert_false(expectations_satisfied(e, "a", 101));
    assert_true(expectations_satisfied(e, "b", 101));
    expectations_creation_observed(e, "a");
    assert_false(expectations_satisfied(e, "a", 101));
    expectations_creation_observed(e, "a");
    assert_true(expectations_satisfied(e, "a", 101));
    expectations_creation_observed(e, "a"); /* one more than asked for: not carried over */
    expectations_expect_creations(e, "a", 1, 102);
    assert_false(expectations_satisfied(e, "a", 103));
}

static void test_a_deletion_counts_once_however_often_it_is_seen(void **state) {
    _cleanup_(expectations_freep) struct expectations *e = expectations_new();
    const char *const uids[] = {"u1", "u2"};
    expectations_expect_deletions(e, "a", uids, 2, 0);
    expectations_deletion_observed(e, "a", "u1");
    expectations_deletion_observed(e, "a", "u1");
    expectations_deletion_observed(e, "a", "stranger");
    assert_false(expectations_satisfied(e, "a", 1));
    expectations_deletion_observed(e, "a", "u2");
    assert_true(expectations_satisfied(e, "a", 1));
}

static void test_they_expire_and_can_be_forgotten(void **state) {
    _cleanup_(expectations_freep) struct expectations *e = expectations_new();
    expectations_expect_creations(e, "a", 1, 1000);
    assert_false(expectations_satisfied(e, "a", 1000 + EXPECTATIONS_TIMEOUT_USEC - 1));
    assert_true(expectations_satisfied(e, "a", 1000 + EXPECTATIONS_TIMEOUT_USEC));
    expectations_forget(e, "a");
    assert_true(expectations_satisfied(e, "a", 1001));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unknown_keys_are_satisfied),
        cmocka_unit_test(test_creations_are_waited_for),
        cmocka_unit_test(test_a_deletion_counts_once_however_often_it_is_seen),
        cmocka_unit_test(test_they_expire_and_can_be_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
