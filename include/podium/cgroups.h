/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control groups, version 2 only.
 *
 * What it is. A group is a folder descriptor; everything is openat() from there, so nothing depends on where the
 * hierarchy is mounted and nothing can race with a rename of the path.
 *
 * Invariants. Only cgroup2 is touched; on a hybrid machine (cgroup2 beside version 1) the controllers bound to version
 * 1 are missing, and settings that need them fail with -ENODEV and a text naming the controller. The caller may
 * downgrade that to a warning (cgroup_apply()'s skipped list). A group holds processes or enabled controllers for
 * children, not both (kernel rule "no internal processes").
 *
 * Ownership. struct cgroup is the caller's memory: cgroup_finish() closes it. Nothing here remembers anything.
 *
 * Errors. -ENODEV controller missing; -ENOENT no such group; -EBUSY processes inside; -ENOTSUP no cgroup2 mount;
 * -EINVAL bad value. Threads: any; no shared state.
 *
 * Source: the kernel's Documentation/admin-guide/cgroup-v2.rst.
 */
#ifndef PODIUM_CGROUPS_H
#define PODIUM_CGROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "podium/base/cleanup.h"
#include "podium/base/error.h"
#include "podium/base/json.h"

enum cgroup_controller {
    CGROUP_CPU = 1 << 0,
    CGROUP_CPUSET = 1 << 1,
    CGROUP_IO = 1 << 2,
    CGROUP_MEMORY = 1 << 3,
    CGROUP_PIDS = 1 << 4,
    CGROUP_HUGETLB = 1 << 5,
    CGROUP_RDMA = 1 << 6,
    CGROUP_MISC = 1 << 7,
};

/* The mounted hierarchy and where the calling process is in it. */
struct cgroup_hierarchy {
    int fd;      /* its root, O_RDONLY | O_DIRECTORY */
    char *mount; /* "/sys/fs/cgroup" or, on a hybrid machine, "/sys/fs/cgroup/unified" */
    char *own;   /* the caller's group below the mount, "/" or "/a/b" */
};
#define CGROUP_HIERARCHY_INIT                                                                                          \
    { -1, NULL, NULL }

struct cgroup {
    int fd;     /* O_RDONLY | O_DIRECTORY: good for CLONE_INTO_CGROUP */
    char *path; /* below the mount of the hierarchy it was opened from, "/a/b" */
};
#define CGROUP_INIT                                                                                                    \
    { -1, NULL }

/* --- finding, making, removing --- */
/* Finds the cgroup2 mount in /proc/self/mountinfo and the own group in /proc/self/cgroup. */
int cgroup_hierarchy_open(struct cgroup_hierarchy *ret, struct error *err) _must_check_;
void cgroup_hierarchy_finish(struct cgroup_hierarchy *h);
/* Opens the group at path (below the mount; a leading slash is fine). */
int cgroup_open(const struct cgroup_hierarchy *h, const char *path, struct cgroup *ret, struct error *err) _must_check_;
/* Makes it with its parents and opens it; an existing group is fine. `..` is refused. *ret_created: whether the last
 * folder is new (may be NULL). */
int cgroup_create(const struct cgroup_hierarchy *h, const char *path, struct cgroup *ret, bool *ret_created,
                  struct error *err) _must_check_;
/* The topmost of the groups above path that do not exist yet; NULL when its parent does. The caller frees. */
int cgroup_find_missing(const struct cgroup_hierarchy *h, const char *path, char **ret, struct error *err) _must_check_;
/* Removes the groups above path as far up as top; one that others use, and those above it, stay. */
int cgroup_prune(const struct cgroup_hierarchy *h, const char *path, const char *top, struct error *err) _must_check_;
/* The same for a direct child of a group. */
int cgroup_open_child(const struct cgroup *parent, const char *name, struct cgroup *ret,
                      struct error *err) _must_check_;
int cgroup_create_child(const struct cgroup *parent, const char *name, struct cgroup *ret,
                        struct error *err) _must_check_;
/* Removes the group with all sub-groups; -EBUSY while a process is inside; absent is success. Does not kill. */
int cgroup_remove(const struct cgroup_hierarchy *h, const char *path, struct error *err) _must_check_;
int cgroup_remove_child(const struct cgroup *parent, const char *name, struct error *err) _must_check_;
void cgroup_finish(struct cgroup *cg); /* closes; usable with _cleanup_ */
/* The group of a process, below the mount; the caller frees. */
int cgroup_path_of(const struct cgroup_hierarchy *h, pid_t pid, char **ret, struct error *err) _must_check_;
/* Moves a process (0: the caller) into the group. */
int cgroup_attach(const struct cgroup *cg, pid_t pid, struct error *err) _must_check_;
/* The processes directly in the group; *ret is the caller's. */
int cgroup_pids(const struct cgroup *cg, bool recursive, pid_t **ret, size_t *ret_n, struct error *err) _must_check_;

/* --- controllers --- */
/* What the group may use (cgroup.controllers): or-ed enum cgroup_controller. */
int cgroup_controllers(const struct cgroup *cg, unsigned *ret, struct error *err) _must_check_;
/* Enables controllers for the group's children (cgroup.subtree_control); those it does not have: -ENODEV. */
int cgroup_enable(const struct cgroup *cg, unsigned controllers, struct error *err) _must_check_;
/* Enables them in every group from the root down to the parent of path, as far as they exist there; *ret_missing: those
 * that do not. */
int cgroup_enable_above(const struct cgroup_hierarchy *h, const char *path, unsigned controllers, unsigned *ret_missing,
                        struct error *err) _must_check_;
/* The controllers that an OCI resources section needs. */
unsigned cgroup_resources_controllers(const struct json *resources);
/* "cpu memory"; the caller frees. */
char *cgroup_controllers_text(unsigned controllers);

/* --- limits --- */
/* Writes one file of the group ("memory.max", "1048576"). -ENODEV when its controller is missing. */
int cgroup_set(const struct cgroup *cg, const char *file, const char *value, struct error *err) _must_check_;
/*
 * Applies an OCI resources section (linux.resources of config.json; version 1 terms are converted as the
 * specification's readers agreed: shares to weight, quota and period to cpu.max, memory+swap to swap). NULL is fine.
 * Device rules are not applied here: cgroup_device_filter(). skipped NULL: a missing controller is an error, -ENODEV.
 * Else a sentence for each setting left out is pushed on the vector (strv), and the rest is applied.
 */
int cgroup_apply(const struct cgroup *cg, const struct json *resources, char ***skipped,
                 struct error *err) _must_check_;
/* Attaches the device rules (linux.resources.devices) as a BPF program; replaces the one attached before. All is denied
 * but what rules allow when the first rule denies all. NULL or empty: nothing is done. */
int cgroup_device_filter(const struct cgroup *cg, const struct json *rules, struct error *err) _must_check_;

/* --- freezing, killing, events --- */
/* Freezes or thaws and waits until it is so; -ETIMEDOUT after 10 s. */
int cgroup_freeze(const struct cgroup *cg, bool frozen, struct error *err) _must_check_;
/* SIGKILL to everything inside (cgroup.kill; one by one on kernels before 5.14). Returns before they are gone. */
int cgroup_kill(const struct cgroup *cg, struct error *err) _must_check_;

struct cgroup_events {
    bool populated; /* a process is in the group or below */
    bool frozen;
};
/* A descriptor that polls EPOLLPRI whenever cgroup.events changed; read it with cgroup_events_read(), which arms it
 * again. */
int cgroup_events_open(const struct cgroup *cg, int *ret_fd, struct error *err) _must_check_;
int cgroup_events_read(int events_fd, struct cgroup_events *ret, struct error *err) _must_check_;
/* Blocks until nothing is inside; -ETIMEDOUT. */
int cgroup_wait_empty(const struct cgroup *cg, int timeout_msec, struct error *err) _must_check_;

/* Counters of memory.events; a descriptor from cgroup_memory_events_open() polls EPOLLPRI when they change. -ENODEV
 * without the memory controller. */
struct cgroup_memory_events {
    uint64_t oom, oom_kill, oom_group_kill;
};
int cgroup_memory_events_open(const struct cgroup *cg, int *ret_fd, struct error *err) _must_check_;
int cgroup_memory_events(const struct cgroup *cg, struct cgroup_memory_events *ret, struct error *err) _must_check_;

/* A descriptor that polls EPOLLPRI, once in a window at most, when tasks of the group (NULL: of the whole machine) had
 * to wait for "memory", "io" or "cpu" for so long within a window; EPOLLERR when the group is gone. Windows are 0.5 to
 * 10 s; where the kernel does not let us choose, it is two seconds, and the time to wait in proportion. -ENOTSUP: the
 * kernel was built or started without PSI. Source: Documentation/accounting/psi.rst. */
int cgroup_pressure_open(const struct cgroup *cg, const char *resource, uint64_t stall_usec, uint64_t window_usec,
                         int *ret_fd, struct error *err) _must_check_;

/* --- statistics --- */
/* {"memory": {"current", "peak", "max", "swap", "swapMax", "stat": {...}, "events": {...}}, "cpu": {"stat": {...}},
 *  "pids": {"current", "max"}, "io": {"stat": [{"major", "minor", "rbytes", "wbytes", "rios", …}]},
 *  "hugetlb": {"2MB": {"current", "max", "failed"}}, "pressure": {"cpu"|"memory"|"io": {"some"|"full": {"avg10",
 * "avg60", "avg300", "total"}}}} What the group does not have is absent. Bytes and microseconds, as the kernel's files.
 */
int cgroup_statistics(const struct cgroup *cg, struct json **ret, struct error *err) _must_check_;

#endif
