/* SPDX-License-Identifier: GPL-2.0-or-later */
/* System calls glibc 2.36 does not wrap. All return a result or -errno. */
#ifndef PODIUM_BASE_SYS_H
#define PODIUM_BASE_SYS_H

#include <linux/openat2.h>
#include <linux/sched.h>
#include <stddef.h>
#include <sys/types.h>

/* clone3(2); flags as in the manual page; returns pid in the parent, 0 in the child. CLONE_VM is not supported. */
pid_t sys_clone3(struct clone_args *args);
int sys_openat2(int dirfd, const char *path, const struct open_how *how);
int sys_pivot_root(const char *new_root, const char *put_old);

#endif
