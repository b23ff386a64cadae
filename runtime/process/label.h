/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Security labels: the AppArmor profile and the SELinux label that a program gets when it is executed.
 *
 * The kernel is told through /proc/thread-self/attr. By the time it is to be told, /proc is the container's, where
 * another file can be in that place: so the files are opened before, on the host's procfs proper, and written to at the
 * end, for processes of hooks must not be confined by it. A label on a kernel without its module is an error: the
 * container would run without the protection that was asked for ("unconfined" asks for none).
 *
 * Sources: config.md "Linux Process", config-linux.md "Mount Label"; apparmor(7), attr of proc(5).
 */
#ifndef PODIUM_RUNTIME_PROCESS_LABEL_H
#define PODIUM_RUNTIME_PROCESS_LABEL_H

#include "podium/base/error.h"
#include "runtime/spec/spec.h"

struct label_files {
    int apparmor, selinux; /* -EBADF: there is nothing to tell */
};
#define LABEL_FILES_INIT                                                                                               \
    { -EBADF, -EBADF }

/* In the parent: -EOPNOTSUPP when the kernel does not have what is asked for. */
int label_check(const struct spec *spec, const struct spec_process *p, struct error *err) _must_check_;
/* In the child, with the host's /proc; also sets the label of the keyring that it will make. */
int label_open(const struct spec_process *p, struct label_files *ret, struct error *err) _must_check_;
/* In the child, last before execve. */
int label_apply(const struct spec_process *p, const struct label_files *files, struct error *err) _must_check_;

#endif
