/* SPDX-License-Identifier: GPL-2.0-or-later */
/* User, groups, capabilities and limits of the calling process, as a `process` object says. */
#ifndef PODIUM_RUNTIME_PROCESS_CREDENTIALS_H
#define PODIUM_RUNTIME_PROCESS_CREDENTIALS_H

#include "podium/base/error.h"
#include "runtime/spec/spec.h"

/* The resource limits. Raising a hard limit needs CAP_SYS_RESOURCE: -EPERM says so. */
int credentials_limits(const struct spec_process *p, struct error *err) _must_check_;
/* Writes oom_score_adj of a process (0: the caller) through the host's /proc; lowering it needs CAP_SYS_RESOURCE of the
 * host, which a process in a user namespace does not have. */
int credentials_oom_score(const struct spec_process *p, pid_t pid, struct error *err) _must_check_;
/*
 * Bounding set, groups, user, then the other capability sets. Capabilities that the caller itself or the kernel does
 * not have are left out (less than asked for, never more); unknown names were refused by the parser.
 */
int credentials_become(const struct spec_process *p, struct error *err) _must_check_;

#endif
