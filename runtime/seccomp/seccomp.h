/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * System call filters: the OCI section compiled to a BPF program by libseccomp, and loaded by the container's child.
 *
 * Compiling is the dear part (20 ms for an engine's profile), so it happens in the parent, once for all containers with
 * the same section; loading is one system call. Architectures: the native one plus those the section lists and
 * libseccomp knows.
 *
 * Actions: all of the specification's. NOTIFY needs listenerPath, and is not for the default action and for write,
 * which would wait for each other (-EINVAL). System calls unknown to libseccomp are passed over, as every engine's
 * profile names calls of other kernels. Flags: LOG SPEC_ALLOW TSYNC WAIT_KILLABLE_RECV.
 *
 * Errors: -EINVAL naming the member; -EOPNOTSUPP. Threads: any.
 * Source: config-linux.md, "Seccomp"; seccomp(2).
 */
#ifndef PODIUM_RUNTIME_SECCOMP_H
#define PODIUM_RUNTIME_SECCOMP_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

struct seccomp_filter;

int seccomp_compile(const struct json *section, struct seccomp_filter **ret, struct error *err) _must_check_;
/* The same, with filters kept in files of the folder (made when needed): compiled once, for all
 * containers with the same section. NULL: no folder. */
int seccomp_compile_cached(const struct json *section, const char *folder, struct seccomp_filter **ret,
                           struct error *err) _must_check_;
/* Whether it sends calls to a listener. */
bool seccomp_filter_notifies(const struct seccomp_filter *filter);
/* Loads it into the calling thread; it needs no_new_privs or CAP_SYS_ADMIN. *ret_listener (only written, and not NULL,
 * when the filter notifies) is the listener's end, close-on-exec. */
int seccomp_load_filter(const struct seccomp_filter *filter, int *ret_listener, struct error *err) _must_check_;
void seccomp_filter_free(struct seccomp_filter *filter);
DEFINE_CLEANUP(struct seccomp_filter *, seccomp_filter_free)

/* The architectures that libseccomp knows, as the specification spells them (one reference, the caller's). */
struct json *seccomp_architectures(void);

/*
 * The default profile as an OCI section (one reference, the caller's): an allow list; everything else fails with EPERM
 * (ENOSYS for calls newer than the list, so that C libraries fall back). Calls that need a capability are allowed when
 * bit n of capabilities has it.
 */
struct json *seccomp_default_profile(uint64_t capabilities);

#endif
