/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Id-mapped mounts: made by the parent, for only who rules over the source's file system may map its ids. */
#include <string.h>

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
