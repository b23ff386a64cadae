/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What baton remembers of a container between two invocations: one folder per container below the root (default
 * /run/baton), named by the id.
 *
 *   <root>/<id>/state.json   written before anything else is made, so that whatever a creation that was cut off has
 *                            left can be found; replaced as a whole by `update`; it holds the configuration, too
 *   <root>/<id>/process      a symbolic link "PID START", made when the container has been created
 *   <root>/<id>/start.sock   while the container waits for start: the socket its process listens on
 *
 * Invariants. Whoever holds a `struct state_dir` has the folder locked (flock), so the verbs of one container run one
 * after another. Status is never written: it follows from the process (pid and its start time, so that a
 * recycled pid is not mistaken for it) and from start.sock. A folder without a process is of a creation that did not
 * end; it reads as status "creating", pid 0.
 *
 * Ownership: the structs are the caller's; *_finish() releases what is in them. Errors: -EEXIST id taken; -ENOENT no
 * such container; -EINVAL bad id or damaged file. Threads: none of its own.
 */
#ifndef PODIUM_RUNTIME_STATE_H
#define PODIUM_RUNTIME_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

#define STATE_ROOT_DEFAULT   "/run/baton"
#define STATE_SECCOMP_FOLDER ".seccomp" /* below the root, beside the containers: compiled filters */
#define STATE_START_SOCKET   "start.sock"

struct state_dir {
    int root_fd, fd;
    char *id;
};
#define STATE_DIR_INIT                                                                                                 \
    { -1, -1, NULL }

enum state_status { STATE_CREATING, STATE_CREATED, STATE_RUNNING, STATE_PAUSED, STATE_STOPPED };

struct state {
    pid_t pid;          /* 0: none */
    uint64_t pid_start; /* field 22 of /proc/PID/stat */
    char *bundle;       /* absolute */
    char *rootfs;
    char *cgroup;        /* below the cgroup2 mount; NULL: none of its own */
    char *cgroup_top;    /* the topmost of the groups above it that were made for it; NULL: none */
    char *unit;          /* the systemd scope that holds its cgroup; NULL: made without systemd */
    char *created;       /* RFC 3339 */
    struct json *config; /* the whole config.json */
};
#define STATE_INIT                                                                                                     \
    { 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL }

/* Makes a new folder and locks it. */
int state_dir_create(const char *root, const char *id, struct state_dir *ret, struct error *err) _must_check_;
/* Opens and locks an existing one. */
int state_dir_open(const char *root, const char *id, struct state_dir *ret, struct error *err) _must_check_;
/* Removes the folder with its files. */
int state_dir_remove(struct state_dir *dir, struct error *err) _must_check_;
void state_dir_finish(struct state_dir *dir); /* unlocks, closes */
/* The ids below root, sorted; a vector (strv). No root: empty. */
int state_list(const char *root, char ***ret, struct error *err) _must_check_;

/* Writes or replaces all but the process: a reader sees the old document or the new one, never a part. */
int state_write(const struct state_dir *dir, const struct state *state, struct error *err) _must_check_;
/* Records pid and pid_start: the creation has ended well. */
int state_write_process(const struct state_dir *dir, const struct state *state, struct error *err) _must_check_;
int state_read(const struct state_dir *dir, struct state *ret, struct error *err) _must_check_;
void state_finish(struct state *state);

/* Start time of a process in clock ticks since boot; -ESRCH when it is gone or a zombie, or why it cannot be read. */
int state_pid_start(pid_t pid, uint64_t *ret);
/* Never STATE_PAUSED: that only the cgroup knows. *ret_pidfd (may be NULL): a descriptor of the process while it lives,
 * else -1; the caller closes it. -errno when it cannot be told: nobody may take a container for stopped then. */
int state_status(const struct state_dir *dir, const struct state *state, enum state_status *ret, int *ret_pidfd,
                 struct error *err) _must_check_;
const char *state_status_name(enum state_status status);
/* The document of the OCI `state` operation. */
struct json *state_document(const struct state_dir *dir, const struct state *state, enum state_status status);

#endif
