/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The last stage of a child, the same for a container's init and for an exec: it is in the container's root and
 * namespaces, and now gives up everything that is the host's, waits for start and executes the program.
 *
 * The order matters: descriptors of the host are closed before anything looks at a path the image controls; the filter
 * goes in before the capabilities go when no_new_privs does not allow it afterwards; the command is looked up with the
 * user's own rights, and before READY, so that a missing one fails the creation and not the start.
 */
#ifndef PODIUM_RUNTIME_PROCESS_LAUNCH_H
#define PODIUM_RUNTIME_PROCESS_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>

#include "podium/base/error.h"
#include "podium/base/json.h"
#include "runtime/process/label.h"
#include "runtime/spec/spec.h"

struct seccomp_filter;

struct launch {
    const struct spec_process *process;
    const struct seccomp_filter *seccomp; /* NULL: none */
    int stdio[3];
    int console_socket_fd;
    const int *extra_fds;
    size_t n_extra_fds;
    bool new_session;
    bool keep_keyring;           /* the caller's session keyring */
    bool bind_console;           /* show the terminal as /dev/console */
    bool make_folder;            /* a missing working folder is made: for the first process, as runc and crun do */
    bool wait_for_start;         /* READY, then GO or a connection */
    int sync_fd;                 /* to the parent; changes place: errors are to be sent to where it then is */
    int listen_fd;               /* -1: GO comes over sync_fd */
    const struct spec *hooks_of; /* startContainer hooks, NULL: none */
    const struct json *state;
    const struct spec *spec;  /* personality and memory policy */
    struct label_files label; /* label_open() */
};

/* The null device of the host for what is -1 of stdio. */
int launch_open_stdio(struct launch *l, struct error *err) _must_check_;
/* Returns only on failure. */
int launch_process(struct launch *l, struct error *err) _must_check_;

#endif
