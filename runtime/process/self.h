/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeping containers off the runtime's own program file.
 *
 * An image can make us execute /proc/self/exe (by a link, or a script's interpreter line): the container then runs our
 * program and can keep a descriptor of its file, and root in the container is root when it writes to it later. So the
 * program runs itself again from a detached read-only bind mount of the same file: whatever the container gets hold of
 * cannot be opened for writing. The pages stay shared with every other instance.
 */
#ifndef PODIUM_RUNTIME_PROCESS_SELF_H
#define PODIUM_RUNTIME_PROCESS_SELF_H

/* Returns at once when the program file is on a read-only mount already; else executes itself anew. Where that is not
 * possible (no right to mount, an old kernel) it returns and the program goes on as it is. */
void self_protect(char **argv);

#endif
