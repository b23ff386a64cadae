/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mounts made by the parent: with mapped ids, for only who rules over the source's file system may map them; or because
 * the root of a user namespace may not go where the source is. */
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "runtime/rootfs/options.h"
#include "runtime/rootfs/steps.h"

bool rootfs_mount_is_mapped(const struct spec_mount *m) {
    if (m->n_uid_mappings > 0)
        return true;
    for (size_t i = 0; m->options[i]; i++)
        if (strcmp(m->options[i], "idmap") == 0 || strcmp(m->options[i], "ridmap") == 0)
            return true;
    return false;
}

int rootfs_mount_take_mapped(const struct rootfs_params *params, const struct spec_mount *m, int userns_fd,
                             struct error *err) {
    const struct rootfs rootfs = {.params = params, .fd = -EBADF};
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t) userns_fd};
    _cleanup_(mount_options_finish) struct mount_options o;
    bool folder;

    mount_options_parse(m->options, &o);
    if (!o.bind && (!m->type || strcmp(m->type, "bind") != 0))
        return error_set(err, -EOPNOTSUPP, "ids can be mapped on bind mounts only");
    _cleanup_close_ int fd = mount_clone_source(&rootfs, m, o.recursive, &folder, err);
    if (fd < 0)
        return fd;
    if (mount_setattr(fd, "", AT_EMPTY_PATH | (o.idmap_recursive ? AT_RECURSIVE : 0), &attr, sizeof(attr)) < 0)
        return error_set_errno(err, -errno, "cannot map the ids of %s%s", m->source,
                               errno == EINVAL ? " (its file system does not know how)" : "");
    return steal_fd(&fd);
}

int rootfs_mount_take(const struct rootfs_params *params, const struct spec_mount *m, struct error *err) {
    const struct rootfs rootfs = {.params = params, .fd = -EBADF};
    _cleanup_(mount_options_finish) struct mount_options o;
    bool folder;

    mount_options_parse(m->options, &o);
    if (!o.bind && (!m->type || strcmp(m->type, "bind") != 0))
        return -ENOTSUP;
    return mount_clone_source(&rootfs, m, o.recursive, &folder, err);
}

/* A layer with mapped ids, attached to scratch: the kernel makes overlays of what is in the caller's namespace only. */
static int attach_mapped(const char *dir, int userns_fd, const char *scratch, struct error *err) {
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t) userns_fd};
    _cleanup_close_ int fd = open_tree(AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (fd < 0)
        return error_set_errno(err, -errno, "cannot open layer %s", dir);
    if (mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return errno == EINVAL
                   ? error_set(err, -EOPNOTSUPP,
                               "cannot map the ids of %s for the user namespace: its file system does not know how",
                               dir)
                   : error_set_errno(err, -errno, "cannot map the ids of %s", dir);
    if (move_mount(fd, "", AT_FDCWD, scratch, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return error_set_errno(err, -errno, "cannot mount a layer on %s", scratch);
    return steal_fd(&fd);
}

/* The caller's id for root of the user namespace. */
static uint32_t host_id_of_root(const struct spec_id_mapping *maps, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (maps[i].container_id == 0 && maps[i].size > 0)
            return maps[i].host_id;
    return 0;
}

static char *below(int fd, const char *path) {
    const char *slash = strrchr(path, '/');

    return xasprintf("/proc/self/fd/%d%s", fd, slash ? slash : "");
}

/* The kernel makes what an overlay needs for itself, whiteouts and copies, as whoever mounted it: that must be somebody
 * whom the layers' ids know, and who may all. Giving up being root for files takes rights away, which come back. */
static int act_as(uid_t uid, gid_t gid) {
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];

    (void) setfsgid(gid);
    (void) setfsuid(uid);
    if (setfsuid((uid_t) -1) != (int) uid || setfsgid((gid_t) -1) != (int) gid || syscall(SYS_capget, &head, caps) < 0)
        return -EPERM;
    for (size_t i = 0; i < ARRAY_LEN(caps); i++)
        caps[i].effective = caps[i].permitted;
    return syscall(SYS_capset, &head, caps) < 0 ? -errno : 0;
}

static int take_as_root_of(const struct spec *spec, const struct overlay_root *o, const char *scratch,
                           struct error *err) {
    const uid_t uid = host_id_of_root(spec->uid_mappings, spec->n_uid_mappings);
    const gid_t gid = host_id_of_root(spec->gid_mappings, spec->n_gid_mappings);
    int r = act_as(uid, gid), fd = -EBADF;

    if (r < 0)
        (void) error_set_errno(err, r, "cannot mount an overlay as root of the user namespace");
    else
        fd = overlay_take(o, scratch, err);
    int back = act_as(0, 0);
    if (back < 0 && fd >= 0) {
        (void) close(fd);
        return error_set_errno(err, back, "cannot become root again");
    }
    return r < 0 ? r : fd;
}

int rootfs_take_overlay(const struct spec *spec, const struct overlay_root *o, int userns_fd, const char *scratch,
                        struct error *err) {
    const size_t n = strv_len(o->lower);
    _cleanup_free_ int *fds = xcalloc(n + 1, sizeof(*fds));
    struct overlay_root mapped = {.lower = strv_new(), .scratch = o->scratch};
    size_t n_fds = 0;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < n; i++)
        if ((r = fds[n_fds] = attach_mapped(o->lower[i], userns_fd, scratch, err)) >= 0)
            strv_push(&mapped.lower, xasprintf("/proc/self/fd/%d", fds[n_fds++]));
    if (r >= 0 && o->upper) { /* one mount for both, as the kernel wants it */
        const char *slash = strrchr(o->upper, '/');
        _cleanup_free_ char *dir = xstrndup(o->upper, slash ? (size_t) (slash - o->upper) : 0);

        if ((r = fds[n_fds] = attach_mapped(dir, userns_fd, scratch, err)) >= 0) {
            mapped.upper = below(fds[n_fds], o->upper);
            mapped.work = below(fds[n_fds++], o->work);
        }
    }
    if (r >= 0)
        r = take_as_root_of(spec, &mapped, scratch, err);
    for (size_t i = 0; i < n_fds; i++) {
        (void) umount2(scratch, MNT_DETACH); /* the overlay has its own hold on them */
        (void) close(fds[i]);
    }
    strv_free(mapped.lower);
    free(mapped.upper);
    free(mapped.work);
    return r;
}
