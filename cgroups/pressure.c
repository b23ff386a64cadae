/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Being told by the kernel that tasks have to wait: pressure stall triggers. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cgroups/files.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"

#define UNPRIVILEGED_WINDOW_USEC 2000000u /* without CAP_SYS_RESOURCE windows are multiples of it (Linux 6.4) */

static int arm(int fd, uint64_t stall_usec, uint64_t window_usec) {
    char text[64];

    int n = snprintf(text, sizeof(text), "some %llu %llu", (unsigned long long) stall_usec,
                     (unsigned long long) window_usec);
    return write(fd, text, (size_t) n + 1) < 0 ? -errno : 0; /* the NUL is part of it */
}

int cgroup_pressure_open(const struct cgroup *cg, const char *resource, uint64_t stall_usec, uint64_t window_usec,
                         int *ret_fd, struct error *err) {
    _cleanup_free_ char *path = cg ? xasprintf("%s.pressure", resource) : xasprintf("/proc/pressure/%s", resource);
    _cleanup_close_ int fd = openat(cg ? cg->fd : AT_FDCWD, path, O_RDWR | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return error_set_errno(err, errno == ENOENT ? -ENOTSUP : -errno, "cannot open %s", path);
    int r = arm(fd, stall_usec, window_usec);
    if (r == -EINVAL || r == -EPERM)
        r = arm(fd, stall_usec * UNPRIVILEGED_WINDOW_USEC / window_usec, UNPRIVILEGED_WINDOW_USEC);
    if (r < 0)
        return error_set_errno(err, r == -EOPNOTSUPP ? -ENOTSUP : r, "cannot watch %s", path);
    *ret_fd = steal_fd(&fd);
    return 0;
}
