/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/process/mapped.h"

#include "podium/base/alloc.h"
#include "runtime/namespaces/namespaces.h"
#include "runtime/rootfs/rootfs.h"

static int take(const struct spec *spec, const struct rootfs_params *params, const struct spec_mount *m, int joined_fd,
                struct error *err) {
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

int mapped_mounts_take(const struct spec *spec, const char *bundle, int userns_fd, int **ret, struct error *err) {
    const struct rootfs_params params = {.spec = spec, .bundle = bundle, .cgroup_fd = -1};

    *ret = NULL;
    for (size_t i = 0; i < spec->n_mounts; i++) {
        if (!rootfs_mount_is_mapped(&spec->mounts[i]))
            continue;
        if (!*ret) {
            *ret = xcalloc(spec->n_mounts, sizeof(**ret));
            for (size_t k = 0; k < spec->n_mounts; k++)
                (*ret)[k] = -EBADF;
        }
        (*ret)[i] = take(spec, &params, &spec->mounts[i], userns_fd, err);
        if ((*ret)[i] < 0) {
            int r = error_prefix(err, (*ret)[i], "mount %s", spec->mounts[i].destination);
            mapped_mounts_close(spec, ret);
            return r;
        }
    }
    return 0;
}

void mapped_mounts_close(const struct spec *spec, int **mounts) {
    for (size_t i = 0; *mounts && i < spec->n_mounts; i++)
        closep(&(*mounts)[i]);
    free(steal(mounts));
}
