/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The group of a container by each of the cgroup managers: our own folder (cgroupfs), a scope of systemd's, or none
 * (disabled). How a container's group was made is in its state: later verbs need no option.
 */
#ifndef PODIUM_RUNTIME_VERBS_CREATION_GROUP_H
#define PODIUM_RUNTIME_VERBS_CREATION_GROUP_H

#include "runtime/verbs/creation.h"

/* Makes the group and applies the limits: fills hierarchy, cgroup, cgroup_created and keeper of the creation, cgroup,
 * cgroup_top and unit of its state, which is written first. After an error creation_group_undo() removes what is there.
 */
int creation_group_make(const struct baton *b, const char *id, struct creation *c, struct error *err) _must_check_;
/* Once the container's process is in the group: the process that kept the scope until then ends. */
void creation_group_settle(struct creation *c);
/* Whether the container's user is to own the group: it has a cgroup namespace of its own and a writable mount of it. */
bool creation_group_is_given(const struct spec *spec);
/* Gives it, and those files of it that the kernel says can be given, to the user of process.user as the process's user
 * namespace knows it (config-linux.md, "Cgroup ownership"). */
int creation_group_give(struct creation *c, pid_t pid, struct error *err) _must_check_;
/* Removes a group that creation_group_make() has made, when its process is gone. */
int creation_group_undo(struct creation *c) _must_check_;
/* Ends what is left inside and removes the group of an existing container; none is fine. */
int creation_group_destroy(const struct state_dir *dir, const struct state *state, struct error *err) _must_check_;

#endif
