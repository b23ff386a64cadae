/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "podium/base/sys.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

pid_t sys_clone3(struct clone_args *args) {
    long r = syscall(SYS_clone3, args, sizeof(*args));

    return r < 0 ? -errno : (pid_t) r;
}

int sys_openat2(int dirfd, const char *path, const struct open_how *how) {
    long r = syscall(SYS_openat2, dirfd, path, how, sizeof(*how));

    return r < 0 ? -errno : (int) r;
}

int sys_pivot_root(const char *new_root, const char *put_old) {
    return syscall(SYS_pivot_root, new_root, put_old) < 0 ? -errno : 0;
}
