/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cloning a container's process when a user namespace meets namespaces that exist already.
 *
 * The kernel gives new namespaces to the user namespace of whoever makes them, and lets only its rulers enter them. So
 * a process in between first enters the host's namespaces, as the host's root, then the user namespace to join, then
 * those that only its root may enter, and then clones: the container's process is born where it belongs, and, by
 * CLONE_PARENT, as our child.
 */
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "podium/base/sys.h"
#include "runtime/process/channel.h"
#include "runtime/process/stages.h"

bool process_needs_joiner(const struct namespace_set *set) {
    if (!(set->clone_flags & CLONE_NEWUSER) && set->join[SPEC_NS_USER] < 0)
        return false;
    for (int k = 0; k < SPEC_NS_MAX; k++)
        if (k != SPEC_NS_PID && set->join[k] >= 0)
            return true;
    return false;
}

/* In the process between. Returns 1 in the container's process; never returns in its own. */
static int join_and_clone(struct namespace_set *set, struct clone_args *args, int report) {
    struct error err = ERROR_INIT;
    int r = namespaces_join_around_user(set, &err);

    if (r == 0) {
        pid_t pid = sys_clone3(args);

        if (pid == 0) {
            (void) close(report);
            return 1;
        }
        r = pid < 0 ? error_set_errno(&err, pid, "cannot clone the container's process")
                    : channel_send(report, CHANNEL_READY, pid, NULL, *(int *) (uintptr_t) args->pidfd);
    }
    if (r < 0)
        process_fail(report, r, &err);
    _exit(0);
}

static int receive_child(int report, struct container_process *ret, struct error *err) {
    struct channel_message m;
    int kind = channel_receive(report, &m, &ret->pidfd);

    if (kind == CHANNEL_FAILED)
        return error_set(err, m.code < 0 ? m.code : -EPROTO, "%s", m.text);
    if (kind != CHANNEL_READY || ret->pidfd < 0)
        return error_set(err, kind < 0 ? kind : -EPROTO, "the process that joins the namespaces ended");
    ret->pid = m.code;
    return 0;
}

int process_clone_joined(struct namespace_set *set, struct clone_args *args, struct container_process *ret,
                         struct error *err) {
    struct clone_args between = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
    int report[2], r;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, report) < 0)
        return error_set_errno(err, -errno, "cannot make a socket pair");
    args->flags |= CLONE_PARENT;
    args->exit_signal = 0; /* the same as ours */
    pid_t pid = sys_clone3(&between);
    if (pid == 0) {
        (void) close(report[0]);
        /* not to be looked into by those who are in the namespaces already */
        (void) prctl(PR_SET_DUMPABLE, 0);
        return join_and_clone(set, args, report[1]);
    }
    (void) close(report[1]);
    r = pid < 0 ? error_set_errno(err, pid, "cannot clone a process to join the namespaces")
                : receive_child(report[0], ret, err);
    (void) close(report[0]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return r;
}
