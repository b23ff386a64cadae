/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The listener of a seccomp filter (SCMP_ACT_NOTIFY): its end is taken out of the process and sent to whoever listens
 * at linux.seccomp.listenerPath, with the specification's "container process state".
 *
 * The process is under its own filter by then: it says the number of the descriptor by write(2), waits by read(2), and
 * the parent fetches the descriptor (pidfd_getfd(2)). Nothing else is asked of the filter, as with runc.
 *
 * Source: config-linux.md, "Seccomp", "The Container Process State"; seccomp_unotify(2).
 */
#ifndef PODIUM_RUNTIME_PROCESS_LISTENER_H
#define PODIUM_RUNTIME_PROCESS_LISTENER_H

#include <sys/types.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

struct channel_message;

/* What the parent has to know: {"path", "message"}. NULL when the section has no listenerPath. state: the container's
 * OCI state, NULL: a minimal one. */
struct json *listener_describe(const struct json *section, pid_t pid, const struct json *state);
/* In the process: tells the parent and waits until the descriptor has been delivered. */
int listener_announce(int sync_fd, int fd, struct error *err) _must_check_;
/* In the parent: channel_receive() that serves such a message on the way. A failure is returned as a message FAILED, as
 * if the process had sent it. */
int listener_receive(int sock, struct channel_message *m, int *ret_fd, int pidfd, const struct json *listener);

#endif
