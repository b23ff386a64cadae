/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/rootfs/rootfs.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "podium/base/alloc.h"
#include "podium/base/path.h"
#include "podium/base/sys.h"
#include "runtime/rootfs/steps.h"

static const unsigned long propagation_flags[] = {
    [SPEC_PROPAGATION_PRIVATE] = MS_PRIVATE,
    [SPEC_PROPAGATION_SLAVE] = MS_SLAVE,
    [SPEC_PROPAGATION_SHARED] = MS_SHARED,
    [SPEC_PROPAGATION_UNBINDABLE] = MS_UNBINDABLE,
};

/*
 * Cuts the new namespace's mounts off from the host's: nothing we mount may appear there. With "slave" the host's later
 * mounts still arrive here.
 */
static int isolate_mounts(const struct spec *spec, struct error *err) {
    bool slave = spec->rootfs_propagation == SPEC_PROPAGATION_SLAVE;

    if (mount(NULL, "/", NULL, MS_REC | (slave ? MS_SLAVE : MS_PRIVATE), NULL) < 0)
        return error_set_errno(err, -errno, "cannot make the mounts private");
    return 0;
}

/*
 * Makes the root a mount of its own over its folder: pivot_root needs one, and so does "readonly". The path is looked
 * up once. Returns the mount's descriptor.
 */
static int attach_folder(const char *path, struct error *err) {
    _cleanup_close_ int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int fd = -EBADF;
    struct stat st, host;

    if (folder >= 0)
        fd = open_tree(folder, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
    if (fd < 0 || fstat(fd, &st) < 0 || stat("/", &host) < 0)
        return error_set_errno(err, -errno, "cannot open the root folder %s", path);
    if (st.st_dev == host.st_dev && st.st_ino == host.st_ino)
        return error_set(err, -EPERM, "config: root.path: %s is the host's own root: refused", path);
    int r = mount_attach(fd, folder, path, err);
    return r < 0 ? error_prefix(err, r, "root folder") : steal_fd(&fd);
}

static int attach_root(struct rootfs *rootfs, struct error *err) {
    const struct rootfs_params *p = rootfs->params;
    int r;

    if (!p->spec->root_path)
        return error_set(err, -EINVAL, "config: root is missing");
    if (p->root_fd >= 0) { /* on top of everything: its own place may be out of reach here, and pivoting needs none */
        if (move_mount(p->root_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
            return error_set_errno(err, -errno, "cannot mount the root");
        return rootfs->fd = p->root_fd;
    }
    rootfs->path =
        p->spec->root_path[0] == '/' ? xstrdup(p->spec->root_path) : path_join(p->bundle, p->spec->root_path);
    if (!p->overlay)
        return rootfs->fd = attach_folder(rootfs->path, err);
    if ((r = overlay_mount(p->overlay, rootfs->path, err)) < 0)
        return r;
    rootfs->fd = open(rootfs->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return rootfs->fd < 0 ? error_set_errno(err, -errno, "cannot open the root %s", rootfs->path) : 0;
}

int rootfs_build(const struct rootfs_params *params, struct rootfs *ret, struct error *err) {
    int r;

    *ret = (struct rootfs){.params = params, .fd = -EBADF};
    (void) umask(0); /* modes of what is made below are meant as written */
    if ((r = mounts_take_shared(ret, err)) < 0 || (r = isolate_mounts(params->spec, err)) < 0 ||
        (r = attach_root(ret, err)) < 0 || (r = mounts_add(ret, err)) < 0 || (r = devices_add(ret, err)) < 0 ||
        (r = masks_add(ret, err)) < 0)
        return r;
    return 0;
}

/*
 * The new root is put on top of the old one, then the old one, below it, is let go: no folder for the old root is
 * needed.
 */
static int pivot(struct rootfs *rootfs, struct error *err) {
    int r = fchdir(rootfs->fd) < 0 ? -errno : 0;

    if (r == 0)
        r = sys_pivot_root(".", ".");
    if (r == -EINVAL)
        return error_set(err, r, "pivot_root refused: the host's root may be an initramfs, which needs --no-pivot");
    if (r == 0 && umount2(".", MNT_DETACH) < 0)
        r = -errno;
    return r < 0 ? error_set_errno(err, r, "cannot pivot into the root") : 0;
}

static int move_over_root(struct rootfs *rootfs, struct error *err) {
    if (fchdir(rootfs->fd) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
        return error_set_errno(err, -errno, "cannot move the root over /");
    return 0;
}

int rootfs_enter(struct rootfs *rootfs, struct error *err) {
    const struct spec *spec = rootfs->params->spec;
    int r = 0;

    if (spec->root_readonly)
        r = mount_change(rootfs->fd, false, MOUNT_ATTR_RDONLY, 0, 0);
    if (r < 0)
        return error_set_errno(err, r, "cannot make the root read-only");
    r = rootfs->params->no_pivot ? move_over_root(rootfs, err) : pivot(rootfs, err);
    if (r < 0)
        return r;
    if (chdir("/") < 0)
        return error_set_errno(err, -errno, "cannot change to the root");
    if (spec->rootfs_propagation != SPEC_PROPAGATION_PRIVATE &&
        mount(NULL, "/", NULL,
              propagation_flags[spec->rootfs_propagation] | (spec->rootfs_propagation_recursive ? MS_REC : 0),
              NULL) < 0)
        return error_set_errno(err, -errno, "cannot set linux.rootfsPropagation");
    closep(&rootfs->fd);
    rootfs->fd = -EBADF;
    return 0;
}
