/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeping containers off the runtime's own program file.
 *
 * An image can make us execute /proc/self/exe (by a link, or a script's interpreter line): the container then runs our
 * program and can keep a descriptor of its file, and root in the container is root when it writes to it later. So the
 * program runs itself again from a detached read-only bind mount of the same file: whatever the container gets hold of
 * cannot be opened for writing. The pages stay shared with every other instance. Where mounts cannot be copied it is
 * run from a sealed copy in memory instead, which nobody can change either, at the price of a copy for each instance.
 */
#ifndef PODIUM_RUNTIME_PROCESS_SELF_H
#define PODIUM_RUNTIME_PROCESS_SELF_H

#include "podium/base/error.h"

/* Returns 0 when the program file cannot be written through us, else executes itself anew. An error when neither way is
 * possible: no container must be made then. */
int self_protect(char **argv, struct error *err) _must_check_;

#endif
