/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mount points in images that want to lead us astray. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "podium/base/alloc.h"
#include "podium/base/path.h"
#include "runtime/rootfs/steps.h"

struct image {
    char path[64];
    int fd;
};

static int setup(void **state) {
    struct image *i = xnew0(struct image);

    (void) snprintf(i->path, sizeof(i->path), "/tmp/test-targets-XXXXXX");
    assert_non_null(mkdtemp(i->path));
    _cleanup_free_ char *outside = path_join(i->path, "outside"), *root = path_join(i->path, "root");
    assert_int_equal(mkdir(outside, 0755), 0);
    assert_int_equal(mkdir(root, 0755), 0);
    i->fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    *state = i;
    return 0;
}

static int teardown(void **state) {
    struct image *i = *state;

    (void) close(i->fd);
    assert_int_equal(rm_tree(i->path, NULL), 0);
    free(i);
    return 0;
}

static bool is_inside(const struct image *i, int fd, const char *path) {
    struct stat a, b;

    return fstat(fd, &a) == 0 && fstatat(i->fd, path, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_ino == b.st_ino;
}

static void test_made_when_missing(void **state) {
    struct image *i = *state;
    _cleanup_close_ int dir = mount_target_open(i->fd, "/a/b/c", true, NULL);
    _cleanup_close_ int file = mount_target_open(i->fd, "/x/file", false, NULL);
    struct stat st;

    assert_true(dir >= 0 && is_inside(i, dir, "a/b/c"));
    assert_true(file >= 0 && is_inside(i, file, "x/file"));
    assert_int_equal(fstat(file, &st), 0);
    assert_true(S_ISREG(st.st_mode) && st.st_size == 0);
}

static void test_links_stay_inside(void **state) {
    struct image *i = *state;

    assert_int_equal(symlinkat("../../../../..", i->fd, "up"), 0);
    assert_int_equal(symlinkat("/etc", i->fd, "abs"), 0);
    assert_int_equal(symlinkat("../outside", i->fd, "out"), 0);
    _cleanup_close_ int up = mount_target_open(i->fd, "/up/etc/passwd", false, NULL);
    assert_true(up >= 0 && is_inside(i, up, "etc/passwd"));
    _cleanup_close_ int abs = mount_target_open(i->fd, "/abs/x", true, NULL);
    assert_true(abs >= 0 && is_inside(i, abs, "etc/x"));
    _cleanup_close_ int out = mount_target_open(i->fd, "/out/y", true, NULL);
    assert_true(out >= 0 && is_inside(i, out, "outside/y"));
    _cleanup_free_ char *leaked = xasprintf("%s/outside/y", i->path);
    assert_int_not_equal(access(leaked, F_OK), 0);
}

static void test_loops_end(void **state) {
    struct image *i = *state;

    assert_int_equal(symlinkat("b", i->fd, "a"), 0);
    assert_int_equal(symlinkat("a", i->fd, "b"), 0);
    assert_true(mount_target_open(i->fd, "/a/x", true, NULL) < 0);
    /* a file where a folder must be */
    _cleanup_close_ int file = mount_target_open(i->fd, "/file", false, NULL);
    assert_true(file >= 0);
    assert_true(mount_target_open(i->fd, "/file/x", true, NULL) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_made_when_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_links_stay_inside, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loops_end, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
