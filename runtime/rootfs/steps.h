/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps of rootfs_build(), one file each; rootfs.h says what holds for all of them. Only used inside this folder.
 */
#ifndef PODIUM_RUNTIME_ROOTFS_STEPS_H
#define PODIUM_RUNTIME_ROOTFS_STEPS_H

#include <stdint.h>
#include <sys/mount.h>
#include <sys/types.h>

#include "runtime/rootfs/options.h"
#include "runtime/rootfs/rootfs.h"

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

/* overlay.c: mounts an overlay at path (made by the caller) in the current namespace. */
int overlay_mount(const struct overlay_root *overlay, const char *path, struct error *err) _must_check_;
/* overlay.c: the same as a detached mount, whose descriptor it returns; scratch: a folder for older kernels. */
int overlay_take(const struct overlay_root *overlay, const char *scratch, struct error *err) _must_check_;

/* mounts.c: the sources of bind mounts that ask for shared propagation (all, if the root does), before the namespace is
 * cut off from the host's: afterwards nothing mounted in the container could reach the host any more. */
int mounts_take_shared(struct rootfs *rootfs, struct error *err) _must_check_;
/* mounts.c: the configuration's mounts, in order. */
int mounts_add(struct rootfs *rootfs, struct error *err) _must_check_;
/* mounts.c: a detached copy of a bind mount's source. */
int mount_clone_source(const struct rootfs *rootfs, const struct spec_mount *m, bool recursive, bool *ret_folder,
                       struct error *err) _must_check_;
/* copyup.c: fills a detached tmpfs with what is at its place, then makes it read-only if that is to be. */
int mount_copy_up(int target_fd, int mount_fd, const struct mount_options *o, struct error *err) _must_check_;
/* Opens the place for a mount, made if it does not exist (a folder, or an empty file). Returns an O_PATH descriptor. */
int mount_target_open(int rootfd, const char *path, bool folder, struct error *err) _must_check_;
/* Attaches a detached mount; path is for the error text. */
int mount_attach(int mount_fd, int target_fd, const char *path, struct error *err) _must_check_;
/* Sets MOUNT_ATTR_* on a mount held by descriptor. */
int mount_change(int mount_fd, bool recursive, uint64_t set, uint64_t clear, uint64_t propagation) _must_check_;

/* filesystem.c: a new file system of the type as a detached mount; data are "key=value" and "flag" words. */
int filesystem_new(const char *type, const char *source, const char *const *data, size_t n_data, uint64_t attr,
                   struct error *err) _must_check_;

/* devices.c: /dev: the nodes every container has, those of the configuration, and the links. */
int devices_add(struct rootfs *rootfs, struct error *err) _must_check_;

/* masks.c: linux.maskedPaths and linux.readonlyPaths; paths that do not exist are passed over. */
int masks_add(struct rootfs *rootfs, struct error *err) _must_check_;

#endif
