/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Creating and destroying a container as the OCI verbs do it: state folder, cgroup, process. A creation that fails
 * removes all it made.
 */
#ifndef PODIUM_RUNTIME_VERBS_CREATION_H
#define PODIUM_RUNTIME_VERBS_CREATION_H

#include "podium/cgroups.h"
#include "runtime/process/container.h"
#include "runtime/spec/spec.h"
#include "runtime/state/state.h"
#include "runtime/verbs/rdt.h"
#include "runtime/verbs/verbs.h"

struct creation_options {
    const char *id, *bundle, *config, *pid_file, *console_socket, *pidfd_socket;
    int preserve_fds;
    bool no_pivot, no_new_keyring;
    bool start_later; /* `create`: leave a socket for `start` */
    bool detached;    /* a terminal then needs console_socket */
};

struct creation {
    struct state_dir dir;
    struct state state;
    struct spec *spec;
    struct cgroup_hierarchy hierarchy;
    struct cgroup cgroup;
    bool cgroup_created;
    const char *pid_file; /* the options', once it has been written */
    bool attempted;       /* a process was made, or nearly: hooks may have run */
    pid_t keeper;         /* holds a scope of systemd's until the container's process is in it; 0: none */
    int n_fds;            /* descriptors from 3 on that are the container's */
    int rdt_root;         /* the resctrl file system, -1: not used */
    struct rdt_group rdt;
    struct container_process process;
};
#define CREATION_INIT                                                                                                  \
    {                                                                                                                  \
        .dir = STATE_DIR_INIT, .cgroup = CGROUP_INIT, .hierarchy = CGROUP_HIERARCHY_INIT, .rdt_root = -1,              \
        .rdt = RDT_GROUP_INIT, .process = CONTAINER_PROCESS_INIT                                                       \
    }

/* Parses one of the options that create and run share; false when it is not one of them. */
#define CREATION_SHORT_OPTIONS "b:f:"
enum {
    CREATION_PID_FILE = 256,
    CREATION_CONSOLE_SOCKET,
    CREATION_PRESERVE_FDS,
    CREATION_NO_PIVOT,
    CREATION_NO_NEW_KEYRING,
    CREATION_NO_SUBREAPER,
    CREATION_PIDFD_SOCKET
};
#define CREATION_LONG_OPTIONS                                                                                          \
    {"bundle", required_argument, NULL, 'b'}, {"config", required_argument, NULL, 'f'},                                \
        {"pid-file", required_argument, NULL, CREATION_PID_FILE},                                                      \
        {"pidfd-socket", required_argument, NULL, CREATION_PIDFD_SOCKET},                                              \
        {"console-socket", required_argument, NULL, CREATION_CONSOLE_SOCKET},                                          \
        {"preserve-fds", required_argument, NULL, CREATION_PRESERVE_FDS},                                              \
        {"no-pivot", no_argument, NULL, CREATION_NO_PIVOT},                                                            \
        {"no-new-keyring", no_argument, NULL, CREATION_NO_NEW_KEYRING}, {                                              \
        "no-subreaper", no_argument, NULL, CREATION_NO_SUBREAPER                                                       \
    }
bool creation_option(struct creation_options *o, int option, const char *value);
/* The number of --preserve-fds; false when it is none or too large. */
#define PRESERVE_FDS_MAX 1024
bool parse_preserve_fds(const char *value, int *ret);
/* -EBADF when one of 3 … 2 + n is not open. To be called before the verb opens anything itself: it would take the
 * number of one that the caller did not give, and leak into the container. */
int preserve_fds_check(int n, struct error *err) _must_check_;

/* Sends a descriptor of a process to whoever listens at the path. */
int send_pidfd(const char *path, int pidfd, struct error *err) _must_check_;

int creation_make(const struct baton *b, const struct creation_options *o, struct creation *ret,
                  struct error *err) _must_check_;
/* Releases what is in the struct; the container stays. */
void creation_finish(struct creation *c);

/* Undoes a creation whose container cannot start or is not to stay: process, cgroup, state folder, pid file, and the
 * poststop hooks are run. What cannot be undone is told as a warning, and stays for `delete --force`. */
void creation_undo(const struct baton *b, struct creation *c);

/* Ends what is left of a container's processes, removes its cgroup and its state folder and runs its poststop hooks.
 * Ends at the first error, so that it can be called again. */
int creation_destroy(const struct baton *b, struct state_dir *dir, const struct state *state,
                     struct error *err) _must_check_;

#endif
