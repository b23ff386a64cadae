/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The container's root, built inside its own new mount namespace by the child itself.
 *
 * What it is. rootfs_build() makes all inherited mounts private, attaches the root (a folder or an overlay), then the
 * mounts of the configuration in order, the devices, the masked and the read-only paths. rootfs_enter() turns it into
 * "/" and lets go of the host's tree. Between the two the host's paths are still visible (hooks, bind sources).
 *
 * Invariants. Every path inside the container is resolved by openat2(RESOLVE_IN_ROOT) and then used by descriptor, so a
 * link in the image can neither lead out of the root nor be swapped between check and use. A target that turns out to
 * lie on procfs although its path does not begin with /proc is refused. Nothing is done outside of the calling
 * process's mount namespace, so there is nothing to undo: it goes away with the process.
 *
 * Errors: -errno of the failing step, with the path in the text. Threads: the calling process has one.
 */
#ifndef PODIUM_RUNTIME_ROOTFS_H
#define PODIUM_RUNTIME_ROOTFS_H

#include <stdbool.h>

#include "podium/base/error.h"
#include "runtime/spec/spec.h"

struct rootfs_params {
    const struct spec *spec;
    const char *bundle;                 /* absolute; relative paths start here */
    const struct overlay_root *overlay; /* NULL: the folder spec->root_path */
    int cgroup_fd;                      /* shown by mounts of type cgroup when there is no cgroup namespace; -1 */
    bool no_pivot;
    const int *mapped; /* for each mount: rootfs_mount_take…(), or -EBADF; closed with it. NULL: none at all */
    int root_fd;       /* rootfs_take_overlay(): goes before overlay and root_path; closed with it. -1: none */
};

struct rootfs {
    const struct rootfs_params *params;
    int fd; /* the root folder, O_PATH */
    char *path;
    int *early;        /* for each mount: its source, taken before the namespace was cut off; -1: not taken */
    bool dev_readonly; /* /dev is to become read-only once it is filled */
};

/* Whether ids are to be mapped on a mount. */
bool rootfs_mount_is_mapped(const struct spec_mount *m);
/* In the parent, before the container's namespaces: a detached mount with the ids of the user namespace. Returns its
 * descriptor. */
int rootfs_mount_take_mapped(const struct rootfs_params *params, const struct spec_mount *m, int userns_fd,
                             struct error *err) _must_check_;
/* In the parent, for a user namespace whose root cannot reach the source: a detached copy of a bind mount's source.
 * -ENOTSUP without a message: it is no bind mount. */
int rootfs_mount_take(const struct rootfs_params *params, const struct spec_mount *m, struct error *err) _must_check_;
/* The same for the root: an overlay whose layers have the ids of the user namespace, as a detached mount. The layers
 * keep the ids they have on disk. spec: what its root is mapped to. upper and work are in one folder. scratch: an empty
 * folder of the caller's mount namespace, where layers are mounted for a moment. -EOPNOTSUPP when a layer's file system
 * cannot map ids. */
int rootfs_take_overlay(const struct spec *spec, const struct overlay_root *overlay, int userns_fd, const char *scratch,
                        struct error *err) _must_check_;
int rootfs_build(const struct rootfs_params *params, struct rootfs *ret, struct error *err) _must_check_;
/* Makes the root read-only if asked for, pivots into it and changes to "/". Closes ret->fd. */
int rootfs_enter(struct rootfs *rootfs, struct error *err) _must_check_;

#endif
