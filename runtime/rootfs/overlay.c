/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Overlay roots. Kernels from 6.5 on take one layer per fsconfig() call ("lowerdir+"), with any characters in the
 * path; older ones get one mount(2) string with the layers as /proc/self/fd/N, which keeps it below a page.
 */
#include <fcntl.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"
#include "runtime/rootfs/steps.h"

#define FSCONFIG_STRING_MAX 255 /* the kernel's limit for one value */

static bool fits(const struct overlay_root *o) {
    for (size_t i = 0; o->lower[i]; i++)
        if (strlen(o->lower[i]) > FSCONFIG_STRING_MAX)
            return false;
    return !o->upper || (strlen(o->upper) <= FSCONFIG_STRING_MAX && strlen(o->work) <= FSCONFIG_STRING_MAX);
}

/* Returns a detached mount; -EINVAL also from a kernel without "lowerdir+". */
static int new_style(const struct overlay_root *o) {
    _cleanup_close_ int fs_fd = fsopen("overlay", FSOPEN_CLOEXEC);

    if (fs_fd < 0)
        return -errno;
    for (size_t i = 0; o->lower[i]; i++)
        if (fsconfig(fs_fd, FSCONFIG_SET_STRING, "lowerdir+", o->lower[i], 0) < 0)
            return -errno;
    if (o->upper && (fsconfig(fs_fd, FSCONFIG_SET_STRING, "upperdir", o->upper, 0) < 0 ||
                     fsconfig(fs_fd, FSCONFIG_SET_STRING, "workdir", o->work, 0) < 0))
        return -errno;
    if (o->upper && o->scratch && fsconfig(fs_fd, FSCONFIG_SET_FLAG, "volatile", NULL, 0) < 0)
        return -errno;
    if (fsconfig(fs_fd, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -errno;
    int fd = fsmount(fs_fd, FSMOUNT_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

static int old_style(const struct overlay_root *o, const char *path, struct error *err) {
    _cleanup_strbuf_ struct strbuf data = STRBUF_INIT;
    size_t n = strv_len(o->lower);
    _cleanup_free_ int *fds = xcalloc(n + 2, sizeof(*fds));
    size_t n_fds = 0;
    int r = 0;

    strbuf_adds(&data, "lowerdir=");
    for (size_t i = 0; r == 0 && i < n + (o->upper ? 2 : 0); i++) {
        const char *dir = i < n ? o->lower[i] : i == n ? o->upper : o->work;
        int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0) {
            r = error_set_errno(err, -errno, "cannot open layer %s", dir);
            break;
        }
        fds[n_fds++] = fd;
        strbuf_addf(&data, "%s/proc/self/fd/%d", i == 0 ? "" : i < n ? ":" : i == n ? ",upperdir=" : ",workdir=", fd);
    }
    if (o->upper && o->scratch)
        strbuf_adds(&data, ",volatile");
    if (r == 0 && mount("overlay", path, "overlay", 0, strbuf_str(&data)) < 0)
        r = error_set_errno(err, -errno, "cannot mount overlay on %s", path);
    for (size_t i = 0; i < n_fds; i++)
        (void) close(fds[i]);
    return r;
}

int overlay_mount(const struct overlay_root *o, const char *path, struct error *err) {
    _cleanup_close_ int fd = fits(o) ? new_style(o) : -ENAMETOOLONG;

    if (fd >= 0)
        return move_mount(fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0
                   ? error_set_errno(err, -errno, "cannot attach the overlay to %s", path)
                   : 0;
    if (fd == -EINVAL || fd == -ENAMETOOLONG)
        return old_style(o, path, err);
    return error_set_errno(err, fd, "cannot mount overlay (topmost layer %s)", o->lower[0]);
}

int overlay_take(const struct overlay_root *o, const char *scratch, struct error *err) {
    _cleanup_close_ int fd = fits(o) ? new_style(o) : -ENAMETOOLONG;

    if (fd >= 0)
        return steal_fd(&fd);
    if (fd != -EINVAL && fd != -ENAMETOOLONG)
        return error_set_errno(err, fd, "cannot mount overlay (topmost layer %s)", o->lower[0]);
    int r = old_style(o, scratch, err);
    if (r < 0)
        return r;
    fd = open_tree(AT_FDCWD, scratch, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    r = fd < 0 ? error_set_errno(err, -errno, "cannot take the overlay from %s", scratch) : 0;
    (void) umount2(scratch, MNT_DETACH);
    return r < 0 ? r : steal_fd(&fd);
}
