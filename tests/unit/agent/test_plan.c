/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "orchestrator/agent/plan.h"

/* each case changes some of these */
#pragma GCC diagnostic ignored "-Woverride-init"
#define BASE      .units_known = true, .synced = true, .connect_due = true, .retry_due = true, .network_known = true
#define PLAN(...) plan_pod(&(struct plan_view){BASE, __VA_ARGS__})

static void test_start(void **state) {
    assert_int_equal(PLAN(.wanted = true), PLAN_START);
    assert_int_equal(PLAN(.wanted = true, .start_pending = true), PLAN_NOTHING);
    assert_int_equal(PLAN(.wanted = true, .retry_due = false), PLAN_NOTHING);
    assert_int_equal(PLAN(.wanted = true, .network_known = false), PLAN_NOTHING);
    assert_int_equal(PLAN(.wanted = true, .unit_exists = true, .unit_active = true), PLAN_CONNECT);
    assert_int_equal(PLAN(.wanted = true, .unit_exists = true, .unit_active = true, .connected = true), PLAN_NETWORK);
    assert_int_equal(
        PLAN(.wanted = true, .unit_exists = true, .unit_active = true, .connected = true, .network_ready = true),
        PLAN_NOTHING);
}

/* Until systemd and the control plane have spoken nothing is started or stopped; what runs is taken up. */
static void test_restart_of_the_agent(void **state) {
    assert_int_equal(PLAN(.wanted = true, .units_known = false), PLAN_NOTHING);
    assert_int_equal(PLAN(.synced = false), PLAN_NOTHING);
    assert_int_equal(PLAN(.synced = false, .unit_exists = true, .unit_active = true), PLAN_CONNECT);
    assert_int_equal(PLAN(.synced = false, .unit_exists = true, .unit_active = true, .connected = true), PLAN_NETWORK);
    assert_int_equal(
        PLAN(.synced = false, .unit_exists = true, .unit_active = true, .connected = true, .network_ready = true),
        PLAN_NOTHING);
    /* synced, and not wanted any more */
    assert_int_equal(PLAN(.unit_exists = true, .unit_active = true, .connected = true, .network_ready = true),
                     PLAN_TELL_STOP);
}

static void test_end(void **state) {
    assert_int_equal(PLAN(.wanted = true, .deleting = true), PLAN_FINISH);
    assert_int_equal(PLAN(.wanted = true, .deleting = true, .finished = true), PLAN_NOTHING);
    assert_int_equal(PLAN(.deleting = true, .start_pending = true), PLAN_NOTHING);
    assert_int_equal(PLAN(.deleting = true, .unit_exists = true, .unit_active = true), PLAN_CONNECT);
    assert_int_equal(PLAN(.deleting = true, .unit_exists = true, .unit_active = true, .connect_due = false),
                     PLAN_STOP_UNIT);
    assert_int_equal(PLAN(.deleting = true, .unit_exists = true, .stop_told = true), PLAN_NOTHING);
    assert_int_equal(PLAN(.deleting = true, .unit_exists = true, .stop_told = true, .stop_overdue = true),
                     PLAN_KILL_UNIT);
    assert_int_equal(PLAN(.deleting = true, .stop_pending = true), PLAN_NOTHING);
}

/* Containers held back, or added to a running pod: when it runs, not when it ends. */
static void test_reload(void **state) {
#define RUNS .unit_exists = true, .unit_active = true, .connected = true, .network_ready = true, .reload_due = true
    assert_int_equal(PLAN(.wanted = true, RUNS), PLAN_RELOAD);
    assert_int_equal(PLAN(.wanted = true, RUNS, .network_ready = false), PLAN_NETWORK);
    assert_int_equal(PLAN(.wanted = true, RUNS, .retry_due = false), PLAN_NOTHING);
    assert_int_equal(PLAN(.wanted = true, RUNS, .synced = false), PLAN_NOTHING);
    assert_int_equal(PLAN(.wanted = true, RUNS, .deleting = true), PLAN_TELL_STOP);
    assert_int_equal(PLAN(.wanted = true, .reload_due = true), PLAN_START);
}

static void test_final_and_refused(void **state) {
    assert_int_equal(PLAN(.wanted = true, .final = true), PLAN_RELEASE);
    assert_int_equal(PLAN(.wanted = true, .final = true, .released = true), PLAN_NOTHING);
    assert_int_equal(PLAN(.wanted = true, .refused = true, .unit_exists = true, .connected = true), PLAN_TELL_STOP);
    assert_int_equal(PLAN(.wanted = true, .refused = true), PLAN_RELEASE);
    assert_int_equal(PLAN(.wanted = true, .refused = true, .released = true), PLAN_NOTHING);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_start), cmocka_unit_test(test_restart_of_the_agent),
                                       cmocka_unit_test(test_end), cmocka_unit_test(test_reload),
                                       cmocka_unit_test(test_final_and_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
