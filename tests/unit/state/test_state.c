/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "runtime/state/state.h"

static int setup(void **state) {
    char *path = xstrdup("/tmp/test-state-XXXXXX");

    assert_non_null(mkdtemp(path));
    *state = path;
    return 0;
}

static int teardown(void **state) {
    assert_int_equal(rm_tree(*state, NULL), 0);
    free(*state);
    return 0;
}

static void test_ids(void **state) {
    struct state_dir dir = STATE_DIR_INIT;
    static const char *const bad[] = {"", ".", "..", "a/b", "a b", "a\n", "\xc3\xa9"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(state_dir_create(*state, bad[i], &dir, NULL), -EINVAL);
    assert_int_equal(state_dir_open(*state, "none", &dir, NULL), -ENOENT);
    assert_int_equal(state_dir_open("/no/such/root", "none", &dir, NULL), -ENOENT);
}

static void test_life(void **state) {
    _cleanup_(state_dir_finish) struct state_dir dir = STATE_DIR_INIT;
    _cleanup_(state_finish) struct state s = STATE_INIT, read = STATE_INIT;
    struct state_dir second = STATE_DIR_INIT;
    _cleanup_strv_ char **ids = NULL;
    enum state_status status;
    int pidfd = -1;

    assert_int_equal(state_dir_create(*state, "a.b-c_d+1", &dir, NULL), 0);
    assert_int_equal(state_dir_create(*state, "a.b-c_d+1", &second, NULL), -EEXIST);
    assert_int_equal(state_read(&dir, &read, NULL), 0); /* nothing written yet */
    assert_int_equal(state_status(&dir, &read, &status, NULL, NULL), 0);
    assert_int_equal(status, STATE_CREATING);
    s.pid = getpid();
    assert_int_equal(state_pid_start(s.pid, &s.pid_start), 0);
    s.bundle = xstrdup("/b");
    s.cgroup = xstrdup("/c");
    s.cgroup_top = xstrdup("/top");
    json_set_path(&s.config, json_string("v"), "annotations", "k");
    assert_int_equal(state_write(&dir, &s, NULL), 0);
    assert_int_equal(state_read(&dir, &read, NULL), 0); /* the creation goes on: no process yet */
    assert_int_equal(state_status(&dir, &read, &status, NULL, NULL), 0);
    assert_int_equal(status, STATE_CREATING);
    assert_string_equal(read.cgroup_top, "/top");
    assert_int_equal(state_write_process(&dir, &s, NULL), 0);
    state_finish(&read);
    assert_int_equal(state_read(&dir, &read, NULL), 0);
    assert_string_equal(read.bundle, "/b");
    assert_string_equal(read.cgroup, "/c");
    assert_null(read.rootfs);
    assert_int_equal(state_status(&dir, &read, &status, &pidfd, NULL), 0);
    assert_int_equal(status, STATE_RUNNING);
    assert_true(pidfd >= 0);
    (void) close(pidfd);
    _cleanup_json_ struct json *doc = state_document(&dir, &read, STATE_RUNNING);
    assert_string_equal(json_str(json_path(doc, "annotations", "k")), "v");
    assert_string_equal(json_str(json_get(doc, "status")), "running");
    assert_int_equal(state_list(*state, &ids, NULL), 0);
    assert_int_equal(strv_len(ids), 1);
    assert_int_equal(state_dir_remove(&dir, NULL), 0);
    assert_int_equal(state_dir_open(*state, "a.b-c_d+1", &second, NULL), -ENOENT);
}

/* Containers that run while baton is upgraded: their process is in the document. */
static void test_a_document_of_before(void **state) {
    _cleanup_(state_dir_finish) struct state_dir dir = STATE_DIR_INIT;
    _cleanup_(state_finish) struct state read = STATE_INIT;
    enum state_status status;
    uint64_t start = 0;

    assert_int_equal(state_dir_create(*state, "old", &dir, NULL), 0);
    assert_int_equal(state_pid_start(getpid(), &start), 0);
    _cleanup_free_ char *text = xasprintf("{\"pid\": %d, \"pidStart\": %llu, \"bundle\": \"/b\", \"config\": {}}",
                                          (int) getpid(), (unsigned long long) start);
    _cleanup_free_ char *path = xasprintf("%s/old/state.json", (const char *) *state);
    assert_int_equal(file_write_atomic(path, text, strlen(text), 0600, false, NULL), 0);
    assert_int_equal(state_read(&dir, &read, NULL), 0);
    assert_int_equal(state_status(&dir, &read, &status, NULL, NULL), 0);
    assert_int_equal(status, STATE_RUNNING);
}

/* The process is the recorded one only if it started when that did. */
static void test_a_recycled_pid_is_somebody_else(void **state) {
    _cleanup_(state_dir_finish) struct state_dir dir = STATE_DIR_INIT;
    struct state s = STATE_INIT;
    enum state_status now;
    int status;

    assert_int_equal(state_dir_create(*state, "x", &dir, NULL), 0);
    s.pid = getpid();
    assert_int_equal(state_pid_start(s.pid, &s.pid_start), 0);
    s.pid_start++;
    assert_int_equal(state_status(&dir, &s, &now, NULL, NULL), 0);
    assert_int_equal(now, STATE_STOPPED);
    /* nor is one that has ended but was not reaped */
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t) pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(state_pid_start(pid, &s.pid_start), -ESRCH);
    assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* The start time must not change while a process lives, whatever it executes. */
static void test_start_time_is_stable(void **state) {
    (void) state;
    uint64_t first = 0, second = 0;

    assert_int_equal(state_pid_start(getpid(), &first), 0);
    _cleanup_free_ char *memory = xcalloc(1, 64u << 20);
    memset(memory, 1, 64u << 20);
    assert_int_equal(state_pid_start(getpid(), &second), 0);
    assert_true(first == second && first > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_document_of_before, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_recycled_pid_is_somebody_else, setup, teardown),
        cmocka_unit_test(test_start_time_is_stable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
