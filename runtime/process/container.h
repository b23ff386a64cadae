/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Making containers: what the OCI verbs and the pod supervisor share.
 *
 * What it is. container_create() clones a child straight into its cgroup and namespaces; the child builds its root,
 * drops its rights and then waits. container_start() lets it execve. container_exec() runs one more process in a
 * container. The caller learns of an exit through the pidfd (POLLIN), then reaps with container_wait().
 *
 * Invariants. The calling process has one thread. The child is a fork-like copy (no shared memory) and never returns.
 * A failing call leaves nothing behind: no process, descriptor or mount (cgroup and state folder belong to the
 * caller). Namespaces without an entry in the spec are the caller's own, so a pod's containers are made by a supervisor
 * that lives in the pod's sandbox namespaces; a mount namespace entry is required (every container has its own root).
 * Descriptors other than stdio and extra_fds never reach the container's program.
 *
 * Ownership. params and all it points to stay the caller's and are not used after the call. *ret is the caller's:
 * release it with container_process_finish().
 *
 * Errors. What failed in the child comes back as its errno and text: -ENOENT `exec: "foo": executable file not found in
 * $PATH`, -EACCES `exec: "/x": permission denied`; -EPERM, -EOPNOTSUPP, -EINVAL … with the step that failed.
 *
 *   struct container_process p = CONTAINER_PROCESS_INIT;
 *   struct container_params params = CONTAINER_PARAMS_INIT;
 *   params.spec = spec; params.id = "web"; params.bundle = "/b"; params.cgroup_fd = cg.fd;
 *   r = container_create(&params, &p, err);
 *   r = container_start(&p, err);
 *   ... poll(p.pidfd) ... container_wait(&p, &status, err); container_process_finish(&p);
 */
#ifndef PODIUM_RUNTIME_CONTAINER_H
#define PODIUM_RUNTIME_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "podium/base/cleanup.h"
#include "podium/base/error.h"
#include "runtime/spec/spec.h"

struct links;
struct seccomp_filter; /* a compiled filter: container_seccomp_compile() */

struct container_params {
    const struct spec *spec;
    const char *id;
    const char *bundle; /* absolute; relative root and bind sources start here */
    /* The container's cgroup, opened O_RDONLY | O_DIRECTORY (not O_PATH), for CLONE_INTO_CGROUP; -1: the caller's. */
    int cgroup_fd;
    /* Become 0, 1, 2 of the container; -1: /dev/null of the caller. Ignored with process.terminal. */
    int stdio[3];
    /* With process.terminal: a connected unix socket to which the pty's master is sent (one message whose data is the
     * slave's name); -1: the master is returned in console_fd. */
    int console_socket_fd;
    const struct overlay_root *overlay; /* NULL: spec->overlay, else the folder spec->root_path */
    const int *extra_fds;               /* become 3, 4, … of the container */
    size_t n_extra_fds;
    const int *tasks_fds; /* files that list processes, into which the process writes itself first; -1: none */
    size_t n_tasks_fds;
    /* A namespace of this kind to join, held by descriptor; goes before the spec's entry. -1: as the spec says. */
    int namespace_fds[SPEC_NS_MAX];
    bool new_session;  /* setsid(); implied by process.terminal */
    bool keep_keyring; /* stay in the caller's session keyring; else a new, empty one */
    /* The container is in a user namespace whose root cannot reach what the caller can: the caller takes the sources of
     * bind mounts and, from overlay, the root; its layers have the namespace's ids, and keep theirs on disk. */
    bool outside;
    bool no_pivot; /* MS_MOVE and chroot instead of pivot_root, for a root on an initramfs */
    /* A listening unix socket: whoever connects to it may start the container (container_start_connect()); for
     * `create` and `start` in two processes. -1: container_start() with the process returned. */
    int start_listen_fd;
    /* NULL: compiled from spec->seccomp when that is present. */
    const struct seccomp_filter *seccomp;
    const char *seccomp_folder; /* where compiled filters are kept; NULL: nowhere */
    /* Called once the container's namespaces exist and before its root is built: pid as the caller sees it. Used for
     * prestart and createRuntime hooks and for moving links. May be NULL; a negative return ends the creation. */
    int (*namespaces_ready)(void *userdata, pid_t pid, struct error *err);
    void *userdata;
    /* The OCI state ("id", "bundle", "annotations", …) for the hooks that run inside the container's namespaces; pid
     * and status are filled in. NULL: a minimal one. */
    const struct json *state;
};

#define CONTAINER_PARAMS_INIT                                                                                          \
    {                                                                                                                  \
        .cgroup_fd = -1, .stdio = {0, 1, 2}, .console_socket_fd = -1,                                                  \
        .namespace_fds = {-1, -1, -1, -1, -1, -1, -1, -1}, .start_listen_fd = -1                                       \
    }

struct container_process {
    pid_t pid;             /* in the caller's pid namespace; 0: none */
    int pidfd;             /* readable when the process has ended */
    int sync_fd;           /* to the child while it waits for start; -1 afterwards */
    int console_fd;        /* the pty's master, or -1 */
    struct links *links;   /* network devices that have been moved, and come back by container_abort(); NULL: none */
    struct json *listener; /* whom to tell of a seccomp filter that notifies; NULL: nobody */
};

#define CONTAINER_PROCESS_INIT                                                                                         \
    { 0, -1, -1, -1, NULL, NULL }

/* Creates the container, ready to start. */
int container_create(const struct container_params *params, struct container_process *ret,
                     struct error *err) _must_check_;
/* With start_listen_fd, once the process has been recorded: from now on it waits for `start` whoever goes away. Without
 * this word it ends with the caller. sync_fd is -1 afterwards. */
int container_confirm(struct container_process *process, struct error *err) _must_check_;
/* Lets it execve and waits until it did; the error of a failed execve comes back (the process has ended then, and has
 * been reaped). */
int container_start(struct container_process *process, struct error *err) _must_check_;
/* The same through a connection to the listening socket of `create`; takes no ownership of the descriptors. listener is
 * what container_listener() makes of the container's seccomp section, NULL without one. */
int container_start_connect(int connected_fd, int pidfd, const struct json *listener, struct error *err) _must_check_;
struct json *container_listener(const struct json *seccomp, pid_t pid, const struct json *state);
/* Kills (SIGKILL) and reaps; for a created container that shall not start, or to clean up. NULL-safe, idempotent. */
void container_abort(struct container_process *process);
/* Closes the descriptors; does not kill. Usable with _cleanup_. */
void container_process_finish(struct container_process *process);

struct container_status {
    int exit_code; /* 0-255 when it exited by itself */
    int signal;    /* the signal that ended it, else 0 */
    bool core_dumped;
};
/* Waits for the end (does not block once pidfd is readable) and reaps. -ECHILD when it is no child of the caller. */
int container_wait(struct container_process *process, struct container_status *ret, struct error *err) _must_check_;
/* What a shell would say: the code, or 128 + signal. */
int container_status_code(const struct container_status *status);

struct exec_params {
    const struct spec *spec;            /* the container's: which namespaces it owns, its seccomp section */
    const struct spec_process *process; /* what to run */
    int init_pidfd;                     /* the container's init, alive */
    int cgroup_fd;                      /* as above; the container's or a sub-cgroup of it */
    int stdio[3];
    int console_socket_fd;
    const int *extra_fds;
    size_t n_extra_fds;
    bool new_session;
    const struct seccomp_filter *seccomp; /* as above */
    const char *seccomp_folder;           /* as above */
    const struct json *state;             /* the container's OCI state, for the listener of a filter; may be NULL */
    const int *tasks_fds;                 /* as above */
    size_t n_tasks_fds;
};

#define EXEC_PARAMS_INIT                                                                                               \
    { .init_pidfd = -1, .cgroup_fd = -1, .stdio = {0, 1, 2}, .console_socket_fd = -1 }

/*
 * Runs a process in a running container: its namespaces (all of init's that differ from the caller's), its cgroup, the
 * process's user, capabilities (not beyond what the process object grants), seccomp filter and limits. Returns once it
 * has been executed; ret as for container_create(), sync_fd -1. -ESRCH when the container has ended.
 */
int container_exec(const struct exec_params *params, struct container_process *ret, struct error *err) _must_check_;

/* The caller's id for a user of the container's user namespace, for namespaces_ready; -ENOENT when it has none. */
int container_host_user(pid_t pid, uid_t inside, uid_t *ret, struct error *err) _must_check_;

/*
 * Runs the hooks of one kind, in order, with the OCI state on their stdin; the first that fails (or exceeds its time)
 * ends it, but after one of poststart or poststop the others are still run, and the first error is returned.
 * createContainer and startContainer hooks are run by the container's child itself, the others are the caller's
 * business (namespaces_ready is the moment for prestart and createRuntime).
 */
int container_run_hooks(const struct spec *spec, enum spec_hook_kind kind, const struct json *state,
                        struct error *err) _must_check_;

/* Compiles an OCI seccomp section into a filter for containers of this architecture; the supervisor does it once for
 * all containers with the same section. One that notifies a listener is refused (-EOPNOTSUPP): it belongs to a single
 * container. folder: as seccomp_folder above. Free with container_seccomp_free(). */
int container_seccomp_compile(const struct json *section, const char *folder, struct seccomp_filter **ret,
                              struct error *err) _must_check_;
void container_seccomp_free(struct seccomp_filter *filter);
DEFINE_CLEANUP(struct seccomp_filter *, container_seccomp_free)
/* The architectures a seccomp section can name, an array of "SCMP_ARCH_...". One reference, the caller's. */
struct json *container_seccomp_architectures(void);
/* The default profile as an OCI seccomp section, for a container with these capabilities in its bounding set (bit n:
 * capability n). One reference, the caller's. */
struct json *container_seccomp_default(uint64_t capabilities);

#endif
