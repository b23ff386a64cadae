/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connecting to unix sockets by path; files of /proc proper. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

/* A listening socket with this name in the folder; the folder's path may be longer than an address. */
static int listen_in(const char *folder, const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void) snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", dir, name);
    assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void test_connect(void **state) {
    char root[] = "/tmp/test-unix-XXXXXX", long_name[150];
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    (void) state;
    assert_non_null(mkdtemp(root));
    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = 0;
    _cleanup_free_ char *deep = path_join(root, long_name);
    assert_int_equal(mkdir(deep, 0700), 0);
    const char *const folders[] = {root, deep};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        _cleanup_close_ int server = listen_in(folders[i], "s");
        _cleanup_free_ char *path = path_join(folders[i], "s");
        _cleanup_close_ int fd = unix_connect(path, &err);

        assert_true(fd >= 0);
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        _cleanup_close_ int peer = accept(server, NULL, NULL);
        assert_int_equal(write(fd, "x", 1), 1);
        char c = 0;
        assert_int_equal(read(peer, &c, 1), 1);
        assert_int_equal(c, 'x');
        _cleanup_free_ char *absent = path_join(folders[i], "absent");
        assert_int_equal(unix_connect(absent, &err), -ENOENT);
        assert_non_null(strstr(error_text(&err, -1), absent));
    }
    assert_int_equal(rm_tree(root, NULL), 0);
}

static void test_proc(void **state) {
    (void) state;
    _cleanup_close_ int fd = proc_open("self/oom_score_adj", NULL);

    assert_true(fd >= 0);
    /* nothing leads out of /proc: neither "..", nor the links that are other files */
    assert_true(proc_open("../tmp", NULL) < 0);
    assert_true(proc_open("self/exe", NULL) < 0);
    assert_true(proc_open("self/root/tmp", NULL) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_connect), cmocka_unit_test(test_proc)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
