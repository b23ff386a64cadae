/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "podium/base/alloc.h"
#include "podium/base/path.h"
#include "runtime/rootfs/steps.h"

/* Source: config-linux.md, "Default Devices". */
static const struct spec_device default_devices[] = {
    {(char *) "/dev/null", 'c', 1, 3, 0666, 0, 0},    {(char *) "/dev/zero", 'c', 1, 5, 0666, 0, 0},
    {(char *) "/dev/full", 'c', 1, 7, 0666, 0, 0},    {(char *) "/dev/random", 'c', 1, 8, 0666, 0, 0},
    {(char *) "/dev/urandom", 'c', 1, 9, 0666, 0, 0}, {(char *) "/dev/tty", 'c', 5, 0, 0666, 0, 0},
};

static const struct {
    const char *name, *target;
} links[] = {
    {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"},
};

/* In a user namespace nodes cannot be made: the host's is bound over an empty file. */
static int bind_device(int dir_fd, const char *name, const struct spec_device *d, mode_t type, struct error *err) {
    _cleanup_close_ int fd =
        openat(dir_fd, name, O_CREAT | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
    _cleanup_close_ int source = open_tree(AT_FDCWD, d->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    struct stat st;

    if (fd < 0 || source < 0 || fstat(source, &st) < 0)
        return error_set_errno(err, -errno, "cannot bind the device %s", d->path);
    if ((st.st_mode & S_IFMT) != type || (type != S_IFIFO && st.st_rdev != makedev(d->major, d->minor)))
        return error_set(err, -ENODEV, "%s of the host is not the device that is asked for", d->path);
    return mount_attach(source, fd, d->path, err);
}

static int make_node(int dir_fd, const char *name, const struct spec_device *d, struct error *err) {
    mode_t type = d->type == 'b' ? S_IFBLK : d->type == 'p' ? S_IFIFO : S_IFCHR;
    struct stat st;

    if (mknodat(dir_fd, name, type | d->mode, makedev(d->major, d->minor)) < 0) {
        if (errno == EPERM)
            return bind_device(dir_fd, name, d, type, err);
        if (errno != EEXIST)
            return error_set_errno(err, -errno, "cannot make the device %s", d->path);
        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return error_set_errno(err, -errno, "cannot read the device %s", d->path);
        if ((st.st_mode & S_IFMT) != type || (type != S_IFIFO && st.st_rdev != makedev(d->major, d->minor)))
            return error_set(err, -EEXIST, "the image has another file at %s, where a device must be", d->path);
        return 0;
    }
    if ((d->uid || d->gid) && fchownat(dir_fd, name, d->uid, d->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return error_set_errno(err, -errno, "cannot give the device %s to its owner", d->path);
    return 0;
}

static int add_device(int rootfd, const struct spec_device *d, struct error *err) {
    const char *slash = strrchr(d->path, '/');
    _cleanup_free_ char *parent = xstrndup(d->path, (size_t) (slash - d->path));
    _cleanup_close_ int fd = -EBADF;

    if (file_name_is_unsafe(slash + 1))
        return error_set(err, -EINVAL, "the device path %s is not usable", d->path);
    fd = open_in_root(rootfd, *parent ? parent : ".", O_PATH | O_DIRECTORY, 0);
    if (fd == -ENOENT)
        fd = mkdir_in_root(rootfd, parent, 0755);
    if (fd < 0)
        return error_set_errno(err, fd, "cannot open the folder of the device %s", d->path);
    return make_node(fd, slash + 1, d, err);
}

static bool dev_is_bound(const struct spec *spec) {
    for (size_t i = 0; i < spec->n_mounts; i++) {
        const struct spec_mount *m = &spec->mounts[i];

        if (strcmp(m->destination, "/dev") != 0)
            continue;
        if (m->type && strcmp(m->type, "bind") == 0)
            return true;
        for (size_t k = 0; m->options[k]; k++)
            if (strcmp(m->options[k], "bind") == 0 || strcmp(m->options[k], "rbind") == 0)
                return true;
    }
    return false;
}

static bool is_configured(const struct spec *spec, const char *path) {
    for (size_t i = 0; i < spec->n_devices; i++)
        if (strcmp(spec->devices[i].path, path) == 0)
            return true;
    return false;
}

int devices_add(struct rootfs *rootfs, struct error *err) {
    const struct spec *spec = rootfs->params->spec;
    int r;

    if (dev_is_bound(spec)) /* the host's own /dev: not ours to change */
        return 0;
    _cleanup_close_ int dev = mkdir_in_root(rootfs->fd, "dev", 0755);
    if (dev < 0)
        return error_set_errno(err, dev, "cannot open /dev of the container");
    for (size_t i = 0; i < ARRAY_LEN(default_devices); i++)
        if (!is_configured(spec, default_devices[i].path) &&
            (r = make_node(dev, default_devices[i].path + strlen("/dev/"), &default_devices[i], err)) < 0)
            return r;
    for (size_t i = 0; i < spec->n_devices; i++)
        if ((r = add_device(rootfs->fd, &spec->devices[i], err)) < 0)
            return r;
    for (size_t i = 0; i < ARRAY_LEN(links); i++)
        if (symlinkat(links[i].target, dev, links[i].name) < 0 && errno != EEXIST)
            return error_set_errno(err, -errno, "cannot make the link /dev/%s", links[i].name);
    if (rootfs->dev_readonly) {
        _cleanup_close_ int fd = open_in_root(rootfs->fd, "dev", O_PATH | O_DIRECTORY, 0);

        r = fd < 0 ? fd : mount_change(fd, false, MOUNT_ATTR_RDONLY, 0, 0);
        if (r < 0)
            return error_set_errno(err, r, "cannot make /dev read-only");
    }
    return 0;
}
