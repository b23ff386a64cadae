/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/process/self.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x10u
#endif

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static void execute(int fd, char **argv) {
    (void) syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
}

static void run_from_mount(char **argv) {
    struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
    _cleanup_close_ int fd = open_tree(AT_FDCWD, "/proc/self/exe", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (fd >= 0 && mount_setattr(fd, "", AT_EMPTY_PATH, &read_only, sizeof(read_only)) == 0)
        execute(fd, argv);
}

static int copy_all(int from, int to) {
    struct stat st;

    if (fstat(from, &st) < 0)
        return -errno;
    for (off_t left = st.st_size; left > 0;) {
        ssize_t n = sendfile(to, from, NULL, (size_t) left);
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        left -= n;
    }
    return 0;
}

static int run_from_memory(int program, char **argv) {
    _cleanup_close_ int fd = memfd_create("baton", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    int r;

    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 all were executable */
        fd = memfd_create("baton", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if ((r = copy_all(program, fd)) < 0)
        return r;
    if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        return -errno;
    execute(fd, argv);
    return -errno;
}

int self_protect(char **argv, struct error *err) {
    struct statfs fs;

    if (statfs("/proc/self/exe", &fs) < 0)
        return error_set_errno(err, -errno, "cannot find our own program: is /proc mounted?");
    if (!(fs.f_flags & ST_RDONLY)) {
        run_from_mount(argv);
        _cleanup_close_ int program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        if (program < 0)
            return error_set_errno(err, -errno, "cannot open our own program");
        int seals = fcntl(program, F_GET_SEALS);
        if (seals < 0 || (seals & SEALS) != SEALS) {
            int r = run_from_memory(program, argv);
            return error_set_errno(err, r, "cannot protect our own program from containers");
        }
    }
    (void) prctl(PR_SET_NAME, "baton"); /* execveat(2) named us after the descriptor */
    return 0;
}
