/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between container.c, exec.c (the parent) and child.c: cloning, and what the child then does. Not for other folders.
 */
#ifndef PODIUM_RUNTIME_PROCESS_STAGES_H
#define PODIUM_RUNTIME_PROCESS_STAGES_H

#include "podium/base/sys.h"
#include "runtime/namespaces/namespaces.h"
#include "runtime/process/container.h"

struct process_clone {
    int flags;                 /* CLONE_NEW* */
    int cgroup_fd;             /* -1: the caller's */
    struct namespace_set *set; /* of a container; what has been joined on the way is taken out of it. NULL: an exec */
};

/* Returns 0 in the parent with *ret filled, 1 in the child with its end of the channel, -errno. */
int process_clone(const struct process_clone *c, struct container_process *ret, int *ret_child_sync,
                  struct error *err) _must_check_;
/* joined.c: whether a process has to be between, and the cloning by it: as process_clone(), 1 in the child. */
bool process_needs_joiner(const struct namespace_set *set);
int process_clone_joined(struct namespace_set *set, struct clone_args *args, struct container_process *ret,
                         struct error *err) _must_check_;
/* Reads messages until the wanted one (CHANNEL_END: the program has been executed), keeping a terminal that comes
 * along. Anything else is a failure: the child is reaped and *p finished. */
int process_await(struct container_process *p, int wanted, struct error *err) _must_check_;
/* Tells the parent and ends the child. */
_Noreturn void process_fail(int sync_fd, int r, struct error *err);

/* The child writes itself into container_params.tasks_fds. */
int stage_join_tasks(const int *fds, size_t n, struct error *err) _must_check_;
/* Whether the child has to stop for the parent once its namespaces exist. */
bool stage_needs_parent(const struct container_params *params);
struct mapped;
/* The child of container_create(). mapped: mapped_take(). */
_Noreturn void stage_container(const struct container_params *params, const struct seccomp_filter *seccomp,
                               const struct namespace_set *set, const struct mapped *mapped, int sync_fd);

#endif
