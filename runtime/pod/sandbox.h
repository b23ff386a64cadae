/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pod's own namespaces and cgroup. The calling process (the supervisor) moves into them; they end with it, and
 * nothing made here is seen outside: mounts are received from the host, never given to it.
 */
#ifndef PODIUM_POD_SANDBOX_H
#define PODIUM_POD_SANDBOX_H

#include "podium/base/error.h"
#include "podium/cgroups.h"
#include "runtime/pod/config.h"

struct pod_sandbox {
    struct cgroup_hierarchy hierarchy;
    struct cgroup cgroup; /* the unit's own: containers are its children */
    int netns_fd;
    int userns_fd;   /* hostUsers: false, else -1 */
    int pidns_fd;    /* shareProcessNamespace, else -1 */
    pid_t pidns_pid; /* the process that holds it, else 0 */
};
#define POD_SANDBOX_INIT                                                                                               \
    { CGROUP_HIERARCHY_INIT, CGROUP_INIT, -1, -1, -1, 0 }

/* Moves the caller into the sub-cgroup POD_CGROUP_SELF and enables every controller there is for its siblings. */
int pod_sandbox_cgroup(struct pod_sandbox *s, struct error *err) _must_check_;
/* Namespaces, host name, loopback, sysctls, tmpfs mounts; opens netns_fd. dir: the pod's. */
int pod_sandbox_namespaces(struct pod_sandbox *s, const struct pod_config *config, const char *dir,
                           struct error *err) _must_check_;
/* For userns.c. The sysctls of the network, or all others. */
int pod_sandbox_sysctls(const struct pod_config *config, bool network, struct error *err) _must_check_;
/* For userns.c: what the init process of a shared PID namespace does. */
_Noreturn void pod_sandbox_hold_pids(void);
/* Ends the holder of the PID namespace, removes the sub-cgroups that are empty, closes. */
void pod_sandbox_finish(struct pod_sandbox *s);

#endif
