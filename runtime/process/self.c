/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/process/self.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "podium/base/cleanup.h"

void self_protect(char **argv) {
    struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
    struct statfs fs;

    if (statfs("/proc/self/exe", &fs) < 0)
        return;
    if (fs.f_flags & ST_RDONLY) {
        (void) prctl(PR_SET_NAME, "baton"); /* execveat(2) named us after the descriptor */
        return;
    }
    _cleanup_close_ int fd = open_tree(AT_FDCWD, "/proc/self/exe", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (fd < 0 || mount_setattr(fd, "", AT_EMPTY_PATH, &read_only, sizeof(read_only)) < 0)
        return;
    (void) syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
}
