/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "podium/base/cleanup.h"
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_listener),
        cmocka_unit_test(test_bad_sections),
        cmocka_unit_test(test_default_profile),
        cmocka_unit_test(test_default_profile_with_capabilities),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
