/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pod with a user namespace (hostUsers: false, KEP-127).
 *
 * What it is. The supervisor stays the host's root and outside: it makes the user namespace, enters the network, IPC
 * and UTS namespaces that belong to it (so that the pod's root rules over them), and keeps the user namespace by
 * descriptor for the containers, whose PID, mount and cgroup namespaces belong to it too. Its mount namespace is the
 * host's kind: it opens what the pod's root cannot reach (container_params.outside).
 *
 * Ids. One range, the same for users and groups: the pod's 0 is userns_base. Files on disk keep the pod's ids by
 * id-mapped mounts; what the supervisor makes itself (tmpfs, pipes) belongs to the range.
 */
#ifndef PODIUM_POD_USERNS_H
#define PODIUM_POD_USERNS_H

#include <sys/types.h>

#include "podium/base/error.h"
#include "runtime/pod/config.h"

struct pod_sandbox;

/* Makes the user namespace and enters those of its own; fills userns_fd and, with shareProcessNamespace, pidns_fd and
 * pidns_pid. Sets the sysctls of the network. -ENOSPC: user.max_user_namespaces; -EPERM: the host forbids it. */
int pod_userns_enter(struct pod_sandbox *s, const struct pod_config *config, struct error *err) _must_check_;
/* Below dir: a /proc and a /sys without anything mounted over them. The kernel lets the root of a user namespace mount
 * new ones only where such are in its mount namespace; those of the host may be partly covered. */
int pod_userns_show_kernel(const char *dir, struct error *err) _must_check_;
/* A pipe or socket for a process with this user inside: it may open it again by /dev/stdout. Nothing without a user
 * namespace. */
void pod_userns_give(const struct pod_config *config, int fd, uid_t uid);

#endif
