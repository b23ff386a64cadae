/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The id-mapped mounts of a container, made before it is cloned and inherited by its child. */
#ifndef PODIUM_RUNTIME_PROCESS_MAPPED_H
#define PODIUM_RUNTIME_PROCESS_MAPPED_H

#include "podium/base/error.h"
#include "runtime/spec/spec.h"

/* For each mount a detached one whose ids are mapped, or -EBADF; *ret NULL when there is none at all (no system call is
 * made then). userns_fd: the user namespace that the container joins, -1: none. The sources are looked up as the caller
 * sees them. */
int mapped_mounts_take(const struct spec *spec, const char *bundle, int userns_fd, int **ret,
                       struct error *err) _must_check_;
void mapped_mounts_close(const struct spec *spec, int **mounts);

#endif
