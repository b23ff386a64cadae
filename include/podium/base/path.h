/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Paths and trees: joined, created and removed without following links out of where they belong. */
#ifndef PODIUM_BASE_PATH_H
#define PODIUM_BASE_PATH_H

#include <stdbool.h>
#include <sys/types.h>

#include "podium/base/error.h"

/* "a" + "b" = "a/b"; no double slashes. The caller frees. */
char *path_join(const char *a, const char *b);
/* Creates the folder and its parents; existing folders are fine, -ENOTDIR if something else is there. */
int mkdir_parents(const char *path, mode_t mode, struct error *err) _must_check_;
/* Removes a tree, never crossing into another mount and never following a symlink. Absent is success. */
int rm_tree(const char *path, struct error *err);
int rm_tree_at(int dirfd, const char *name, struct error *err);
/* openat2(2) with RESOLVE_IN_ROOT: links and ".." stay inside rootfd. Returns a descriptor (O_CLOEXEC) or -errno. */
int open_in_root(int rootfd, const char *path, int flags, mode_t mode);
/* openat2(2) with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS: refuses any escape and any link. */
int open_beneath(int dirfd, const char *path, int flags, mode_t mode);
/* Creates folders inside rootfd like mkdir -p, resolving links inside it; returns an O_PATH fd of the last. */
int mkdir_in_root(int rootfd, const char *path, mode_t mode);
/* True for "", ".", "..", anything with '/' or a control byte: not usable as one file name. */
bool file_name_is_unsafe(const char *name);

#endif
