/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A container's rights: user, groups, capabilities, seccomp, read-only root, privileged. The container's
 * securityContext goes before the pod's. Source: the API's SecurityContext, and containerd's defaults where the API is
 * silent.
 */
#ifndef PODIUM_AGENT_SECURITY_H
#define PODIUM_AGENT_SECURITY_H

#include "orchestrator/agent/context.h"
#include "orchestrator/agent/image_user.h"

struct security {
    uint32_t uid, gid;
    struct json *groups;       /* array of numbers */
    char *home;                /* from the image's passwd, or NULL */
    struct json *capabilities; /* OCI process.capabilities */
    bool no_new_privileges, read_only_root, privileged;
    bool seccomp_default;
    struct json *seccomp; /* a Localhost profile, or NULL */
};
void security_finish(struct security *s);

/* image_user: the image's config.User; layer_dirs: where names are looked up. */
int security_resolve(const struct pod_context *ctx, const struct json *container, const char *image_user,
                     char *const *layer_dirs, struct security *ret, struct pod_problem *problem) _must_check_;
/* The capabilities of this process's bounding set (/proc/self/status): nothing beyond can be handed on. */
uint64_t security_own_bounds(void);

#endif
