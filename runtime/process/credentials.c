/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/process/credentials.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "podium/base/capability.h"
#include "podium/base/cleanup.h"
#include "podium/base/fd.h"

int credentials_limits(const struct spec_process *p, struct error *err) {
    for (size_t i = 0; i < p->n_rlimits; i++) {
        const struct spec_rlimit *l = &p->rlimits[i];
        struct rlimit value = {.rlim_cur = l->soft, .rlim_max = l->hard};

        if (setrlimit((__rlimit_resource_t) l->resource, &value) == 0)
            continue;
        if (errno == EPERM)
            return error_set(err, -EPERM, "cannot set %s to %llu: raising the hard limit needs CAP_SYS_RESOURCE",
                             l->type, (unsigned long long) l->hard);
        return error_set_errno(err, -errno, "cannot set %s to %llu", l->type, (unsigned long long) l->hard);
    }
    return 0;
}

int credentials_oom_score(const struct spec_process *p, pid_t pid, struct error *err) {
    char text[16], path[48] = "self/oom_score_adj";

    if (!p->has_oom_score_adj)
        return 0;
    (void) snprintf(text, sizeof(text), "%d", p->oom_score_adj);
    if (pid > 0)
        (void) snprintf(path, sizeof(path), "%d/oom_score_adj", (int) pid);
    int r = proc_write(path, text, err);
    if (r == -EACCES || r == -EPERM)
        return error_set(err, r, "cannot set oomScoreAdj to %d: lowering it needs CAP_SYS_RESOURCE", p->oom_score_adj);
    return r;
}

/* Ends the bounding set of what is not granted. Where the kernel's capabilities end it says so; ours must not end
 * before, or the rest would stay. */
static int drop_bounding(uint64_t keep, struct error *err) {
    for (unsigned cap = 0; cap < 64; cap++) {
        if (keep & (UINT64_C(1) << cap) || prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
            continue;
        if (errno == EINVAL && !capability_name(cap))
            return 0;
        return error_set_errno(err, -errno, "cannot drop %s from the bounding set",
                               capability_name(cap) ? capability_name(cap) : "a capability");
    }
    return 0;
}

/* The kernel's three sets, in two halves each. By system call: libcap learns the kernel's capabilities at every start
 * of the program, eight calls that say nothing when they fail. */
struct capability_sets {
    struct __user_cap_header_struct header;
    struct __user_cap_data_struct halves[_LINUX_CAPABILITY_U32S_3];
};

static int permitted_now(uint64_t *ret, struct error *err) {
    struct capability_sets sets = {.header = {.version = _LINUX_CAPABILITY_VERSION_3}};

    if (syscall(SYS_capget, &sets.header, sets.halves) < 0)
        return error_set_errno(err, -errno, "cannot read the capabilities");
    *ret = sets.halves[0].permitted | (uint64_t) sets.halves[1].permitted << 32;
    return 0;
}

static int set_capabilities(const struct spec_capabilities *c, uint64_t have, struct error *err) {
    const uint64_t permitted = c->permitted & have, effective = c->effective & permitted;
    const uint64_t inheritable = c->inheritable & have;
    struct capability_sets sets = {.header = {.version = _LINUX_CAPABILITY_VERSION_3}};

    for (unsigned i = 0; i < ARRAY_LEN(sets.halves); i++)
        sets.halves[i] = (struct __user_cap_data_struct){
            .effective = (uint32_t) (effective >> 32 * i),
            .permitted = (uint32_t) (permitted >> 32 * i),
            .inheritable = (uint32_t) (inheritable >> 32 * i),
        };
    if (syscall(SYS_capset, &sets.header, sets.halves) < 0)
        return error_set_errno(err, -errno, "cannot set the capabilities");
    /* the kernel only lets what is permitted and inheritable be ambient */
    uint64_t ambient = c->ambient & permitted & c->inheritable;
    for (unsigned cap = 0; cap < 64; cap++)
        if ((ambient & (UINT64_C(1) << cap)) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
            return error_set_errno(err, -errno, "cannot make %s ambient", capability_name(cap));
    return 0;
}

static int set_user(const struct spec_user *u, struct error *err) {
    if (setgroups(u->n_additional_gids, u->additional_gids) < 0 && (errno != EPERM || u->n_additional_gids > 0))
        return error_set_errno(err, -errno, "cannot set the additional groups");
    if (setresgid(u->gid, u->gid, u->gid) < 0)
        return error_set_errno(err, -errno, "cannot become group %u", u->gid);
    if (setresuid(u->uid, u->uid, u->uid) < 0)
        return error_set_errno(err, -errno, "cannot become user %u", u->uid);
    return 0;
}

int credentials_become(const struct spec_process *p, struct error *err) {
    uint64_t have = 0;
    int r;

    if ((r = permitted_now(&have, err)) < 0 || (r = drop_bounding(p->capabilities.bounding, err)) < 0)
        return r;
    if (p->user.uid != 0 && prctl(PR_SET_KEEPCAPS, 1) < 0)
        return error_set_errno(err, -errno, "cannot keep capabilities");
    (void) umask(p->user.has_umask ? p->user.umask : 0022);
    if ((r = set_user(&p->user, err)) < 0)
        return r;
    return set_capabilities(&p->capabilities, have, err);
}
