/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which namespaces a new container gets, and entering those that exist already.
 *
 * Order. clone3 makes the new ones, all but cgroup: a cgroup namespace takes its root from the group of the process
 * that makes it, so the child makes it once it is in its own group. A time namespace can only be given its offsets
 * while nobody is in it: the child makes it, sets them and then enters. A pid namespace only ever applies to children:
 * the parent enters the one to join around its clone3 and returns. The child enters the others, unless there is a user
 * namespace: then they are entered before the child is cloned (namespaces_join_around_user()), for from inside of it
 * the host's cannot be entered any more, and what is made outside of it would not belong to it.
 *
 * Errors: -errno with the namespace's name in the text. Threads: the calling process has one.
 */
#ifndef PODIUM_RUNTIME_NAMESPACES_H
#define PODIUM_RUNTIME_NAMESPACES_H

#include <sys/types.h>

#include "podium/base/error.h"
#include "runtime/spec/spec.h"

struct namespace_set {
    int join[SPEC_NS_MAX];                        /* descriptors, -EBADF: not to be joined */
    int clone_flags;                              /* for clone3 */
    int unshare_flags;                            /* for the child */
    const struct spec_time_offsets *time_offsets; /* the spec's; NULL: none */
};

#define NAMESPACE_SET_INIT                                                                                             \
    {                                                                                                                  \
        .join = { -EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF, -EBADF }                                     \
    }

/* Opens what the spec names; held[kind] >= 0 is a descriptor that goes before the spec (it is duplicated). */
int namespaces_open(const struct spec *spec, const int held[SPEC_NS_MAX], struct namespace_set *ret,
                    struct error *err) _must_check_;
void namespaces_close(struct namespace_set *set);
/* In the parent, before clone3: children will be in the pid namespace to join. *ret_back is a descriptor for
 * namespaces_return(), -EBADF when there is nothing to join. */
int namespaces_enter_pid(const struct namespace_set *set, int *ret_back, struct error *err) _must_check_;
/* The same for the pid namespace of a process held by pidfd. */
int namespaces_enter_pid_of(int pidfd, int *ret_back, struct error *err) _must_check_;
/* Takes the descriptor. */
void namespaces_return(int back);
/* In the child: enters the others, then makes what clone3 did not. */
int namespaces_join(const struct namespace_set *set, struct error *err) _must_check_;
/* In a process that then clones the child: enters all but a user namespace that is to be joined, then that one, then
 * those which only its own root may enter; what has been joined is taken out of the set. */
int namespaces_join_around_user(struct namespace_set *set, struct error *err) _must_check_;
/* In the child, as root of its namespaces: a new network namespace's loopback link is brought up, as every runtime
 * does.
 */
int namespaces_raise_loopback(const struct namespace_set *set, struct error *err) _must_check_;
/* In the child of an exec: all of the process's namespaces but pid. */
int namespaces_join_process(int pidfd, const struct spec *spec, struct error *err) _must_check_;
/* In the parent: a user namespace with these maps and nobody in it, for id-mapped mounts. Returns a descriptor. */
int namespaces_user_new(const struct spec_id_mapping *uids, size_t n_uids, const struct spec_id_mapping *gids,
                        size_t n_gids, struct error *err) _must_check_;
/* In the parent: the maps of a child's user namespace, which existed before, are there and those of the spec if it has
 * some; -EINVAL. */
int namespaces_check_ids(pid_t pid, const struct spec *spec, struct error *err) _must_check_;
/* The id of the caller's namespace for an id in a process's user namespace; -ENOENT when it is not mapped. */
int namespaces_host_id(pid_t pid, uint32_t id, uint32_t *ret, struct error *err) _must_check_;
/* In the parent: writes uid_map and gid_map of a child in a new user namespace. */
int namespaces_map_ids(pid_t pid, const struct spec *spec, struct error *err) _must_check_;

#endif
