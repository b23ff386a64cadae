/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The program's protection where mounts cannot be copied: it runs itself from a sealed copy in memory, or not at all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/process/self.h"

enum { PROTECTED_BY_SEALS = 42, REFUSED = 43, UNPROTECTED = 44 };

/* The test's program when it is run as "again": what the runtime does, and what has become of it. */
static int again(char **argv) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    char target[64] = "";

    if (self_protect(argv, &err) < 0)
        return strstr(error_text(&err, -1), "cannot protect") ? REFUSED : 1;
    _cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (readlink("/proc/self/exe", target, sizeof(target) - 1) < 0 || strncmp(target, "/memfd:", 7) != 0)
        return UNPROTECTED;
    return fcntl(fd, F_GET_SEALS) & F_SEAL_WRITE ? PROTECTED_BY_SEALS : UNPROTECTED;
}

/* Runs "again" where these system calls fail with EPERM. */
static int run_without(long first, long second) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t) first, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t) second, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
    char *argv[] = {(char *) "test", (char *) "again", NULL};
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
            (void) execv("/proc/self/exe", argv);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_fallback(void **state) {
    (void) state;
    assert_int_equal(run_without(SYS_open_tree, SYS_open_tree), PROTECTED_BY_SEALS);
    assert_int_equal(run_without(SYS_mount_setattr, SYS_mount_setattr), PROTECTED_BY_SEALS);
    assert_int_equal(run_without(SYS_open_tree, SYS_memfd_create), REFUSED);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fallback)};

    if (argc > 1)
        return again(argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
