/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/path.h"
#include "runtime/seccomp/seccomp.h"

static struct seccomp_filter *compile(const char *text) {
    _cleanup_json_ struct json *section = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct seccomp_filter *f = NULL;

    assert_int_equal(json_parse(text, strlen(text), NULL, &section, NULL), 0);
    if (seccomp_compile(section, &f, &err) < 0)
        fail_msg("%s", error_text(&err, -1));
    return f;
}

static int compile_code(const char *text) {
    _cleanup_json_ struct json *section = NULL;
    _cleanup_(seccomp_filter_freep) struct seccomp_filter *f = NULL;

    assert_int_equal(json_parse(text, strlen(text), NULL, &section, NULL), 0);
    return seccomp_compile(section, &f, NULL);
}

/* Runs the function in a child under the filter; its result is 0 or an errno. */
static int under(const struct seccomp_filter *f, int (*run)(void)) {
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_load_filter(f, NULL, NULL) < 0)
            _exit(200);
        _exit(run());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int call_getppid(void) {
    return syscall(SYS_getppid) < 0 ? errno : 0;
}

static int call_mount(void) {
    return mount("none", "/nowhere", "tmpfs", 0, NULL) < 0 ? errno : 0;
}

static int call_clone_newns(void) {
    return syscall(SYS_clone, CLONE_NEWNS, NULL, NULL, NULL, NULL) < 0 ? errno : 0;
}

static int call_clone3(void) {
    return syscall(SYS_clone3, NULL, 0) < 0 ? errno : 0;
}

static int call_unknown(void) {
    return syscall(1000) < 0 ? errno : 0;
}

static int call_keyctl(void) {
    return syscall(SYS_keyctl, 0, 0) < 0 ? errno : 0;
}

static int call_vsock(void) {
    return socket(AF_VSOCK, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int call_unix(void) {
    return socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int call_chroot(void) {
    return chroot("/nowhere") < 0 ? errno : 0;
}

static void test_actions(void **state) {
    (void) state;
    _cleanup_(seccomp_filter_freep) struct seccomp_filter *f =
        compile("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"getppid\",\"no_such_call\"],"
                "\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":77}]}");

    assert_int_equal(under(f, call_getppid), 77);
    _cleanup_(seccomp_filter_freep) struct seccomp_filter *killing =
        compile("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"getppid\"],\"action\":\"SCMP_ACT_"
                "KILL_PROCESS\"}]}");
    assert_int_equal(under(killing, call_getppid), -SIGSYS);
}

/* A listener is made when a call needs one, and only then; without one the flag that is about it is left out. */
static void test_listener(void **state) {
    (void) state;
    _cleanup_(seccomp_filter_freep) struct seccomp_filter *silent =
        compile("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/x\",\"flags\":["
                "\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"]}");
    assert_false(seccomp_filter_notifies(silent));
    assert_int_equal(under(silent, call_getppid), 0);
    _cleanup_(seccomp_filter_freep) struct seccomp_filter *loud =
        compile("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/x\",\"flags\":["
                "\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"],\"syscalls\":[{\"names\":[\"getppid\"],\"action\":"
                "\"SCMP_ACT_NOTIFY\"}]}");
    assert_true(seccomp_filter_notifies(loud));
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        int fd = -1;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || seccomp_load_filter(loud, &fd, NULL) < 0 || fd < 0)
            _exit(200);
        (void) close(fd); /* nobody listens any more: the kernel answers ENOSYS */
        _exit(call_getppid());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), ENOSYS);
}

static void test_bad_sections(void **state) {
    (void) state;
    assert_int_equal(compile_code("{}"), -EINVAL);
    assert_int_equal(compile_code("{\"defaultAction\":\"SCMP_ACT_WHATEVER\"}"), -EINVAL);
    assert_int_equal(compile_code("{\"defaultAction\":\"SCMP_ACT_NOTIFY\",\"listenerPath\":\"/x\"}"), -EINVAL);
    assert_int_equal(compile_code("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerMetadata\":\"x\"}"), -EINVAL);
    assert_int_equal(compile_code("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mkdir\"],"
                                  "\"action\":\"SCMP_ACT_NOTIFY\"}]}"),
                     -EINVAL);
    assert_int_equal(compile_code("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/x\",\"syscalls\":["
                                  "{\"names\":[\"read\",\"write\"],\"action\":\"SCMP_ACT_NOTIFY\"}]}"),
                     -EINVAL);
    assert_int_equal(
        compile_code("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"SECCOMP_FILTER_FLAG_WHATEVER\"]}"),
        -EOPNOTSUPP);
    assert_int_equal(compile_code("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_PDP11\"]}"),
                     -EINVAL);
    assert_int_equal(
        compile_code("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],"
                     "\"action\":\"SCMP_ACT_ERRNO\",\"args\":[{\"index\":9,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]}]}"),
        -EINVAL);
    assert_int_equal(
        compile_code("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"action\":\"SCMP_ACT_ERRNO\"}]}"), -EINVAL);
}

static struct seccomp_filter *default_filter(uint64_t caps) {
    _cleanup_json_ struct json *section = seccomp_default_profile(caps);
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct seccomp_filter *f = NULL;

    if (seccomp_compile(section, &f, &err) < 0)
        fail_msg("%s", error_text(&err, -1));
    return f;
}

static void test_default_profile(void **state) {
    (void) state;
    _cleanup_(seccomp_filter_freep) struct seccomp_filter *f = default_filter(0);

    assert_int_equal(under(f, call_getppid), 0);
    assert_int_equal(under(f, call_unix), 0);
    assert_int_equal(under(f, call_mount), EPERM);
    assert_int_equal(under(f, call_clone_newns), EPERM);
    assert_int_equal(under(f, call_clone3), ENOSYS);
    assert_int_equal(under(f, call_unknown), ENOSYS);
    assert_int_equal(under(f, call_keyctl), EPERM);
    assert_int_equal(under(f, call_vsock), EAFNOSUPPORT);
    assert_int_equal(under(f, call_chroot), EPERM);
}

static void test_default_profile_with_capabilities(void **state) {
    (void) state;
    _cleanup_(seccomp_filter_freep) struct seccomp_filter *admin = default_filter(UINT64_C(1) << CAP_SYS_ADMIN);
    _cleanup_(seccomp_filter_freep) struct seccomp_filter *chroot_only = default_filter(UINT64_C(1) << CAP_SYS_CHROOT);

    assert_int_equal(under(admin, call_mount), ENOENT); /* it got through to the kernel */
    assert_int_equal(under(admin, call_clone3), EINVAL);
    assert_int_equal(under(admin, call_keyctl), EPERM);
    assert_int_equal(under(chroot_only, call_chroot), ENOENT);
    assert_int_equal(under(chroot_only, call_mount), EPERM);
}

static off_t only_file(const char *folder, char **ret_path) {
    _cleanup_closedir_ DIR *d = opendir(folder);
    const struct dirent *e;
    struct stat st = {.st_size = -1};
    size_t n = 0;

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.') {
            *ret_path = path_join(folder, e->d_name);
            assert_int_equal(stat(*ret_path, &st), 0);
            n++;
        }
    assert_true(n <= 1);
    return st.st_size;
}

/* A filter from the folder does what the compiled one does, for its own section only; damaged or foreign files are as
 * if they were not there. */
static void test_cache(void **state) {
    char folder[] = "/tmp/test-seccomp-XXXXXX";
    _cleanup_json_ struct json *section = seccomp_default_profile(0);
    _cleanup_json_ struct json *wider = seccomp_default_profile(UINT64_C(1) << CAP_SYS_ADMIN);
    _cleanup_free_ char *path = NULL;

    (void) state;
    assert_non_null(mkdtemp(folder));
    _cleanup_free_ char *below = path_join(folder, "filters");
    for (int round = 0; round < 6; round++) {
        _cleanup_(seccomp_filter_freep) struct seccomp_filter *f = NULL, *other = NULL;

        assert_int_equal(seccomp_compile_cached(section, below, &f, NULL), 0);
        assert_int_equal(under(f, call_getppid), 0);
        assert_int_equal(under(f, call_mount), EPERM);
        if (round == 0) {
            off_t size = only_file(below, &path);

            assert_true(size > 1000);
        } else if (round == 1) { /* another's filter under our name, as a collision would have it */
            assert_int_equal(seccomp_compile(wider, &other, NULL), 0);
            _cleanup_free_ char *elsewhere = path_join(folder, "wider"), *file = NULL;
            _cleanup_(seccomp_filter_freep) struct seccomp_filter *stored = NULL;
            assert_int_equal(seccomp_compile_cached(wider, elsewhere, &stored, NULL), 0);
            assert_true(only_file(elsewhere, &file) > 0);
            assert_int_equal(rename(file, path), 0);
        } else if (round == 2) {
            assert_int_equal(truncate(path, 1000), 0);
        } else if (round == 3) { /* the program's end lost */
            struct stat st;
            assert_int_equal(stat(path, &st), 0);
            assert_int_equal(truncate(path, st.st_size - 64), 0);
            assert_int_equal(truncate(path, st.st_size), 0);
        } else if (round == 4) {
            assert_int_equal(chmod(path, 0666), 0);
        }
    }
    /* small sections are not worth a file, and a folder that cannot be is no error */
    _cleanup_json_ struct json *small = NULL;
    _cleanup_(seccomp_filter_freep) struct seccomp_filter *f = NULL, *g = NULL;
    assert_int_equal(json_parse("{\"defaultAction\":\"SCMP_ACT_ALLOW\"}", 34, NULL, &small, NULL), 0);
    _cleanup_free_ char *unused = path_join(folder, "unused");
    assert_int_equal(seccomp_compile_cached(small, unused, &f, NULL), 0);
    assert_int_equal(access(unused, F_OK), -1);
    assert_int_equal(seccomp_compile_cached(section, "/proc/none", &g, NULL), 0);
    assert_int_equal(under(g, call_mount), EPERM);
    assert_int_equal(rm_tree(folder, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_listener),
        cmocka_unit_test(test_bad_sections),
        cmocka_unit_test(test_default_profile),
        cmocka_unit_test(test_default_profile_with_capabilities),
        cmocka_unit_test(test_cache),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
