/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mounts of a container that are made before it is cloned and inherited by its child: with mapped ids, or of
 * sources that the root of its user namespace cannot reach. */
#ifndef PODIUM_RUNTIME_PROCESS_MAPPED_H
#define PODIUM_RUNTIME_PROCESS_MAPPED_H

#include "runtime/process/container.h"

struct mapped {
    int *mounts; /* for each of the spec's: a detached one, or -EBADF; NULL: none at all */
    int root_fd; /* the root, detached; -1: the child makes it */
};
#define MAPPED_INIT                                                                                                    \
    { NULL, -EBADF }

/* Id-mapped mounts; with params->outside all bind mounts, and the overlay root with mapped ids. No system call is made
 * when there is nothing of it. userns_fd: the user namespace that the container joins, -1: none. The sources are looked
 * up as the caller sees them. */
int mapped_take(const struct container_params *params, int userns_fd, struct mapped *ret,
                struct error *err) _must_check_;
void mapped_close(const struct spec *spec, struct mapped *m);

#endif
