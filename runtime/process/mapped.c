/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/process/mapped.h"

#include "podium/base/alloc.h"
#include "podium/base/path.h"
#include "runtime/namespaces/namespaces.h"
#include "runtime/rootfs/rootfs.h"

static int take_mapped(const struct spec *spec, const struct rootfs_params *params, const struct spec_mount *m,
                       int joined_fd, struct error *err) {
    const bool own = m->n_uid_mappings > 0;

    if (!own && joined_fd >= 0)
        return rootfs_mount_take_mapped(params, m, joined_fd, err);
    if (!own && spec->n_uid_mappings == 0)
        return error_set(err, -EINVAL, "option idmap needs uidMappings and gidMappings of the mount or the container");
    _cleanup_close_ int userns_fd =
        own ? namespaces_user_new(m->uid_mappings, m->n_uid_mappings, m->gid_mappings, m->n_gid_mappings, err)
            : namespaces_user_new(spec->uid_mappings, spec->n_uid_mappings, spec->gid_mappings, spec->n_gid_mappings,
                                  err);
    return userns_fd < 0 ? userns_fd : rootfs_mount_take_mapped(params, m, userns_fd, err);
}

static int take_mounts(const struct container_params *p, int userns_fd, struct mapped *ret, struct error *err) {
    const struct spec *spec = p->spec;
    const struct rootfs_params params = {.spec = spec, .bundle = p->bundle, .cgroup_fd = -1, .root_fd = -1};

    for (size_t i = 0; i < spec->n_mounts; i++) {
        const bool mapped = rootfs_mount_is_mapped(&spec->mounts[i]);

        if (!mapped && !p->outside)
            continue;
        if (!ret->mounts) {
            ret->mounts = xcalloc(spec->n_mounts, sizeof(*ret->mounts));
            for (size_t k = 0; k < spec->n_mounts; k++)
                ret->mounts[k] = -EBADF;
        }
        int fd = mapped ? take_mapped(spec, &params, &spec->mounts[i], userns_fd, err)
                        : rootfs_mount_take(&params, &spec->mounts[i], err);
        if (fd == -ENOTSUP && !mapped)
            continue;
        if (fd < 0)
            return error_prefix(err, fd, "mount %s", spec->mounts[i].destination);
        ret->mounts[i] = fd;
    }
    return 0;
}

static int take_root(const struct container_params *p, int userns_fd, struct mapped *ret, struct error *err) {
    const char *root = p->spec->root_path;

    if (!p->outside || !p->overlay || !root || userns_fd < 0)
        return 0;
    _cleanup_free_ char *scratch = root[0] == '/' ? xstrdup(root) : path_join(p->bundle, root);
    ret->root_fd = rootfs_take_overlay(p->spec, p->overlay, userns_fd, scratch, err);
    return ret->root_fd < 0 ? ret->root_fd : 0;
}

int mapped_take(const struct container_params *params, int userns_fd, struct mapped *ret, struct error *err) {
    *ret = (struct mapped) MAPPED_INIT;
    int r = take_mounts(params, userns_fd, ret, err);
    if (r == 0)
        r = take_root(params, userns_fd, ret, err);
    if (r < 0)
        mapped_close(params->spec, ret);
    return r;
}

void mapped_close(const struct spec *spec, struct mapped *m) {
    for (size_t i = 0; m->mounts && i < spec->n_mounts; i++)
        closep(&m->mounts[i]);
    free(steal(&m->mounts));
    closep(&m->root_fd);
    m->root_fd = -EBADF;
}
