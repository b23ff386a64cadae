/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/process/credentials.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "podium/base/capability.h"
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

/* Ends the bounding set of what is not granted. Where the kernel's capabilities end it says so itself: libcap's own
 * count (cap_max_bits()) is learnt at the start of the program by calls that say nothing when they fail, and were it
 * too low, the rest would stay. */
static int drop_bounding(uint64_t keep, struct error *err) {
    for (unsigned cap = 0; cap < 64; cap++) {
        if (keep & (UINT64_C(1) << cap) || cap_drop_bound((cap_value_t) cap) == 0)
            continue;
        if (errno == EINVAL && !capability_name(cap))
            return 0;
        return error_set_errno(err, -errno, "cannot drop %s from the bounding set",
                               capability_name(cap) ? capability_name(cap) : "a capability");
    }
    return 0;
}

static int permitted_now(uint64_t *ret, struct error *err) {
    cap_t caps = cap_get_proc();

    if (!caps)
        return error_set_errno(err, -errno, "cannot read the capabilities");
    *ret = 0;
    for (unsigned cap = 0; cap < 64; cap++) {
        cap_flag_value_t value;
        if (cap_get_flag(caps, (cap_value_t) cap, CAP_PERMITTED, &value) == 0 && value == CAP_SET)
            *ret |= UINT64_C(1) << cap;
    }
    (void) cap_free(caps);
    return 0;
}

static int fill_flag(cap_t caps, cap_flag_t flag, uint64_t set) {
    for (unsigned cap = 0; cap < 64; cap++) {
        cap_value_t value = (cap_value_t) cap;
        if ((set & (UINT64_C(1) << cap)) && cap_set_flag(caps, flag, 1, &value, CAP_SET) < 0)
            return -errno;
    }
    return 0;
}

static int set_capabilities(const struct spec_capabilities *c, uint64_t have, struct error *err) {
    const uint64_t permitted = c->permitted & have;
    cap_t caps = cap_init();
    int r = caps ? 0 : -errno;

    if (r == 0)
        r = fill_flag(caps, CAP_PERMITTED, permitted);
    if (r == 0)
        r = fill_flag(caps, CAP_EFFECTIVE, c->effective & permitted);
    if (r == 0)
        r = fill_flag(caps, CAP_INHERITABLE, c->inheritable & have);
    if (r == 0 && cap_set_proc(caps) < 0)
        r = -errno;
    if (caps)
        (void) cap_free(caps);
    if (r < 0)
        return error_set_errno(err, r, "cannot set the capabilities");
    /* the kernel only lets what is permitted and inheritable be ambient */
    uint64_t ambient = c->ambient & permitted & c->inheritable;
    for (unsigned cap = 0; cap < 64; cap++)
        if ((ambient & (UINT64_C(1) << cap)) && cap_set_ambient((cap_value_t) cap, CAP_SET) < 0)
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
