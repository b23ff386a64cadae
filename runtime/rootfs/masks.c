/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "podium/base/path.h"
#include "runtime/rootfs/steps.h"

/* What is put over masked paths, made when first needed: one empty read-only folder and the null device. The folder
 * itself goes over the first path, copies of it over the others: kernels before 6.15 copy no mount that is nowhere yet.
 */
struct covers {
    int folder, file;
};

static int cover_for(struct rootfs *rootfs, struct covers *covers, bool folder, struct error *err) {
    static const char *const data[] = {"size=0", "nr_inodes=2", "mode=0555"};
    int *from = folder ? &covers->folder : &covers->file;
    struct stat st;

    if (*from < 0 && folder) {
        *from = filesystem_new("tmpfs", NULL, data, ARRAY_LEN(data),
                               MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, err);
        if (*from < 0)
            return *from;
        int first = fcntl(*from, F_DUPFD_CLOEXEC, 0);
        return first < 0 ? error_set_errno(err, -errno, "cannot keep the cover of masked paths") : first;
    } else if (*from < 0) {
        *from = open_in_root(rootfs->fd, "dev/null", O_PATH | O_NOFOLLOW, 0);
        if (*from < 0)
            return error_set_errno(err, *from, "cannot open /dev/null of the container");
        /* /dev can be a volume of others, where a link or another file may have come in its place meanwhile */
        if (fstat(*from, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
            return error_set(err, -EPERM, "/dev/null of the container is not the null device: nothing to mask with");
    }
    int fd = open_tree(*from, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    return fd < 0 ? error_set_errno(err, -errno, "cannot copy the cover of masked paths") : fd;
}

static int mask_path(struct rootfs *rootfs, struct covers *covers, const char *path, struct error *err) {
    _cleanup_close_ int target = open_in_root(rootfs->fd, path, O_PATH, 0);
    struct stat st;

    if (target == -ENOENT || target == -ENOTDIR || target == -EACCES)
        return 0;
    if (target < 0 || fstat(target, &st) < 0)
        return error_set_errno(err, target < 0 ? target : -errno, "cannot open the masked path %s", path);
    _cleanup_close_ int cover = cover_for(rootfs, covers, S_ISDIR(st.st_mode), err);
    if (cover < 0)
        return cover;
    return mount_attach(cover, target, path, err);
}

static int make_readonly(struct rootfs *rootfs, const char *path, struct error *err) {
    _cleanup_close_ int target = open_in_root(rootfs->fd, path, O_PATH, 0);

    if (target == -ENOENT || target == -ENOTDIR)
        return 0;
    if (target < 0)
        return error_set_errno(err, target, "cannot open the read-only path %s", path);
    _cleanup_close_ int fd = open_tree(target, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot bind %s", path);
    int r = mount_change(fd, true, MOUNT_ATTR_RDONLY, 0, 0);
    if (r < 0)
        return error_set_errno(err, r, "cannot make %s read-only", path);
    return mount_attach(fd, target, path, err);
}

int masks_add(struct rootfs *rootfs, struct error *err) {
    const struct spec *spec = rootfs->params->spec;
    struct covers covers = {-EBADF, -EBADF};
    int r = 0;

    for (size_t i = 0; r == 0 && spec->readonly_paths && spec->readonly_paths[i]; i++)
        r = make_readonly(rootfs, spec->readonly_paths[i], err);
    for (size_t i = 0; r == 0 && spec->masked_paths && spec->masked_paths[i]; i++)
        r = mask_path(rootfs, &covers, spec->masked_paths[i], err);
    closep(&covers.folder);
    closep(&covers.file);
    return r;
}
