/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "podium/base/slice.h"

struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

static struct attributes mine(void) {
    struct attributes a = {0};

    assert_int_equal(syscall(SYS_sched_getattr, 0, &a, sizeof(a), 0), 0);
    return a;
}

static bool kernel_knows(void) {
    struct utsname u;
    int major = 0, minor = 0;

    assert_int_equal(uname(&u), 0);
    assert_int_equal(sscanf(u.release, "%d.%d", &major, &minor), 2);
    return major > 6 || (major == 6 && minor >= 12);
}

static void *in_thread(void *ret) {
    *(struct attributes *) ret = mine();
    return NULL;
}

/* Each in a process of its own: nothing of it can be taken back. */
static void in_child(void (*fn)(void)) {
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void shortens(void) {
    struct attributes before = mine(), after, thread = {0};
    pthread_t t;

    slice_shorten();
    after = mine();
    if (after.policy != SCHED_OTHER || after.nice != before.nice)
        _exit(1);
    if (kernel_knows() && after.runtime != 100000)
        _exit(2);
    if (pthread_create(&t, NULL, in_thread, &thread) != 0 || pthread_join(t, NULL) != 0)
        _exit(3);
    if (thread.runtime != after.runtime)
        _exit(4);
}

static void keeps_niceness(void) {
    if (setpriority(PRIO_PROCESS, 0, 7) < 0)
        _exit(5);
    slice_shorten();
    if (mine().nice != 7)
        _exit(6);
}

static void leaves_other_policies(void) {
    const struct sched_param p = {0};

    if (sched_setscheduler(0, SCHED_IDLE, &p) < 0)
        _exit(7);
    slice_shorten();
    if (mine().policy != SCHED_IDLE)
        _exit(8);
}

static void slices_get_short_and_nothing_else_changes(void **state) {
    in_child(shortens);
    in_child(keeps_niceness);
}

static void what_the_admin_chose_stays(void **state) {
    in_child(leaves_other_policies);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_get_short_and_nothing_else_changes),
        cmocka_unit_test(what_the_admin_chose_stays),
    };
    return cmocka_run_group_tests_name("slice", tests, NULL, NULL);
}
