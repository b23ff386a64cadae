/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each call on files fails in turn while a container is recorded, looked for and forgotten: what can be told afterwards
 * is true, and it can be forgotten as a whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "runtime/state/state.h"
#include "tests/unit/failing_calls.h"

static uint64_t own_start;

static int setup(void **state) {
    char *path = xstrdup("/tmp/test-state-XXXXXX");

    assert_non_null(mkdtemp(path));
    assert_int_equal(state_pid_start(getpid(), &own_start), 0);
    *state = path;
    return 0;
}

static int teardown(void **state) {
    int r = rm_tree(*state, NULL);

    free(*state);
    return r;
}

static int record(const char *root, bool with_process, struct error *err) {
    _cleanup_(state_dir_finish) struct state_dir dir = STATE_DIR_INIT;
    _cleanup_(state_finish) struct state s = STATE_INIT;

    int r = state_dir_create(root, "c", &dir, err);
    if (r < 0)
        return r;
    s.pid = getpid();
    s.pid_start = own_start;
    s.bundle = xstrdup("/b");
    s.cgroup = xstrdup("/c");
    r = state_write(&dir, &s, err);
    return r < 0 || !with_process ? r : state_write_process(&dir, &s, err);
}

static int look(const char *root, struct state *s, enum state_status *status, struct error *err) {
    _cleanup_(state_dir_finish) struct state_dir dir = STATE_DIR_INIT;

    int r = state_dir_open(root, "c", &dir, err);
    if (r >= 0)
        r = state_read(&dir, s, err);
    return r < 0 ? r : state_status(&dir, s, status, NULL, err);
}

static int forget(const char *root, struct error *err) {
    _cleanup_(state_dir_finish) struct state_dir dir = STATE_DIR_INIT;

    int r = state_dir_open(root, "c", &dir, err);
    return r < 0 ? r : state_dir_remove(&dir, err);
}

static void assert_none(const char *root) {
    _cleanup_strv_ char **ids = NULL;

    assert_int_equal(state_list(root, &ids, NULL), 0);
    assert_held(!ids || !ids[0]);
}

static void test_recording(void **state) {
    _cleanup_free_ char *root = path_join(*state, "run/baton");

    FAILING_EACH(ENOSPC) {
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        _cleanup_(state_finish) struct state s = STATE_INIT;
        enum state_status status;
        assert_int_equal(rm_tree(root, NULL), 0);
        failing_begin();
        int r = record(root, true, &err);
        failing_end();
        assert_held(r == 0 || r == -ENOSPC);
        assert_held((r < 0) == (error_text(&err, 0)[0] != 0 && err.code < 0));
        int seen = look(root, &s, &status, NULL);
        /* nothing is there, or a creation that goes on: never a part, never a container that runs */
        if (r < 0)
            assert_held(seen == -ENOENT || (seen == 0 && status == STATE_CREATING));
        else
            assert_held(seen == 0 && status == STATE_RUNNING && strcmp(s.bundle, "/b") == 0);
        if (seen == 0)
            assert_int_equal(forget(root, NULL), 0);
        assert_none(root);
    }
}

static void test_looking(void **state) {
    assert_int_equal(record(*state, true, NULL), 0);
    FAILING_EACH(EMFILE) {
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        _cleanup_(state_finish) struct state s = STATE_INIT;
        enum state_status status = STATE_STOPPED;
        failing_begin();
        int r = look(*state, &s, &status, &err);
        failing_end();
        /* what cannot be told is not taken for "no such container" or "stopped" */
        assert_held(r == -EMFILE ? err.code == -EMFILE : r == 0 && status == STATE_RUNNING);
    }
    FAILING_EACH(EMFILE) {
        _cleanup_strv_ char **ids = NULL;
        failing_begin();
        int r = state_list(*state, &ids, NULL);
        failing_end();
        assert_held(r == -EMFILE || (r == 0 && strv_len(ids) == 1));
    }
}

static void test_forgetting(void **state) {
    FAILING_EACH(EIO) {
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        assert_int_equal(record(*state, true, NULL), 0);
        failing_begin();
        int r = forget(*state, &err);
        failing_end();
        assert_held(r == 0 || r == -EIO);
        if (r < 0)
            assert_held(forget(*state, NULL) == 0);
        assert_none(*state);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_recording, setup, teardown),
        cmocka_unit_test_setup_teardown(test_looking, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forgetting, setup, teardown),
    };

    return cmocka_run_group_tests_name("state when calls fail", tests, NULL, NULL);
}
