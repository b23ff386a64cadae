/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/namespaces/namespaces.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "podium/base/fd.h"
#include "podium/base/strbuf.h"
#include "podium/base/sys.h"

static bool is_new(const struct spec *spec, const struct namespace_set *set, enum spec_namespace_kind kind) {
    return spec->namespaces[kind].present && !spec->namespaces[kind].path && set->join[kind] < 0;
}

static int open_one(const struct spec *spec, const int *held, struct namespace_set *set, enum spec_namespace_kind kind,
                    struct error *err) {
    const char *path = spec->namespaces[kind].path;

    if (held[kind] >= 0)
        set->join[kind] = fcntl(held[kind], F_DUPFD_CLOEXEC, 3);
    else if (path)
        set->join[kind] = open(path, O_RDONLY | O_CLOEXEC);
    else
        return 0;
    if (set->join[kind] < 0)
        return error_set_errno(err, -errno, "cannot open the %s namespace %s", spec_namespace_name(kind),
                               path ? path : "given");
    if (kind == SPEC_NS_USER)
        return error_set(err, -EOPNOTSUPP,
                         "config: linux.namespaces: joining a user namespace by path is not supported");
    return 0;
}

int namespaces_open(const struct spec *spec, const int held[SPEC_NS_MAX], struct namespace_set *ret,
                    struct error *err) {
    struct namespace_set set = NAMESPACE_SET_INIT;

    for (int k = 0; k < SPEC_NS_MAX; k++) {
        enum spec_namespace_kind kind = (enum spec_namespace_kind) k;
        int r = open_one(spec, held, &set, kind, err);

        if (r < 0) {
            namespaces_close(&set);
            return r;
        }
        if (!is_new(spec, &set, kind))
            continue;
        if (kind == SPEC_NS_CGROUP || kind == SPEC_NS_TIME)
            set.unshare_flags |= spec_namespace_flag(kind);
        else
            set.clone_flags |= spec_namespace_flag(kind);
    }
    set.time_offsets = spec->time_offsets;
    *ret = set;
    return 0;
}

void namespaces_close(struct namespace_set *set) {
    for (int k = 0; k < SPEC_NS_MAX; k++) {
        closep(&set->join[k]);
        set->join[k] = -EBADF;
    }
}

static int enter_pid(int fd, int *ret_back, struct error *err) {
    _cleanup_close_ int back = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);

    if (back < 0)
        return error_set_errno(err, -errno, "cannot open /proc/self/ns/pid");
    if (setns(fd, CLONE_NEWPID) < 0)
        return error_set_errno(err, -errno, "cannot enter the pid namespace");
    *ret_back = steal_fd(&back);
    return 0;
}

int namespaces_enter_pid(const struct namespace_set *set, int *ret_back, struct error *err) {
    *ret_back = -EBADF;
    return set->join[SPEC_NS_PID] < 0 ? 0 : enter_pid(set->join[SPEC_NS_PID], ret_back, err);
}

int namespaces_enter_pid_of(int pidfd, int *ret_back, struct error *err) {
    *ret_back = -EBADF;
    return enter_pid(pidfd, ret_back, err);
}

void namespaces_return(int back) {
    _cleanup_close_ int fd = back;

    if (fd >= 0 && setns(fd, CLONE_NEWPID) < 0)
        abort(); /* a later child would be born in a container: never go on */
}

/* The new time namespace is for our children so far: its clocks are set, then we go there ourselves. */
static int enter_new_time(const struct spec_time_offsets *t, struct error *err) {
    char text[128];

    if (t) {
        (void) snprintf(text, sizeof(text), "monotonic %lld %u\nboottime %lld %u\n", (long long) t->monotonic_sec,
                        t->monotonic_nsec, (long long) t->boottime_sec, t->boottime_nsec);
        int r = proc_write("self/timens_offsets", text, err);
        if (r < 0)
            return error_prefix(err, r, "config: linux.timeOffsets");
    }
    _cleanup_close_ int fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, spec_namespace_flag(SPEC_NS_TIME)) < 0)
        return error_set_errno(err, -errno, "cannot enter the new time namespace");
    return 0;
}

int namespaces_join(const struct namespace_set *set, struct error *err) {
    for (int k = 0; k < SPEC_NS_MAX; k++)
        if (k != SPEC_NS_PID && set->join[k] >= 0 &&
            setns(set->join[k], spec_namespace_flag((enum spec_namespace_kind) k)) < 0)
            return error_set_errno(err, -errno, "cannot join the %s namespace",
                                   spec_namespace_name((enum spec_namespace_kind) k));
    if (set->unshare_flags && unshare(set->unshare_flags) < 0)
        return error_set_errno(err, -errno, "cannot make the cgroup or time namespace");
    return set->unshare_flags & spec_namespace_flag(SPEC_NS_TIME) ? enter_new_time(set->time_offsets, err) : 0;
}

int namespaces_join_process(int pidfd, const struct spec *spec, struct error *err) {
    int flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP;

    if (spec->namespaces[SPEC_NS_USER].present)
        flags |= CLONE_NEWUSER; /* entering one's own is an error, so only if the container has its own */
    if (spec->namespaces[SPEC_NS_TIME].present)
        flags |= spec_namespace_flag(SPEC_NS_TIME);
    if (setns(pidfd, flags) < 0)
        return error_set_errno(err, -errno, "cannot join the container's namespaces");
    return 0;
}

static int write_map(pid_t pid, const char *file, const struct spec_id_mapping *maps, size_t n, struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    char path[64];

    if (n == 0)
        return 0;
    for (size_t i = 0; i < n; i++)
        strbuf_addf(&text, "%u %u %u\n", maps[i].container_id, maps[i].host_id, maps[i].size);
    (void) snprintf(path, sizeof(path), "%d/%s", (int) pid, file);
    return proc_write(path, strbuf_str(&text), err);
}

int namespaces_map_ids(pid_t pid, const struct spec *spec, struct error *err) {
    int r = write_map(pid, "uid_map", spec->uid_mappings, spec->n_uid_mappings, err);

    return r < 0 ? r : write_map(pid, "gid_map", spec->gid_mappings, spec->n_gid_mappings, err);
}

int namespaces_user_new(const struct spec_id_mapping *uids, size_t n_uids, const struct spec_id_mapping *gids,
                        size_t n_gids, struct error *err) {
    struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    int gate[2], fd = -EBADF, r;
    char path[64];

    if (pipe2(gate, O_CLOEXEC) < 0)
        return error_set_errno(err, -errno, "cannot make a pipe");
    pid_t pid = sys_clone3(&args);
    if (pid == 0) { /* holds the namespace until we do */
        char c;

        (void) close(gate[1]);
        ssize_t n = read(gate[0], &c, 1);
        _exit(n != 0);
    }
    r = pid < 0 ? error_set_errno(err, pid, "cannot make a user namespace")
                : write_map(pid, "uid_map", uids, n_uids, err);
    if (r == 0 && (r = write_map(pid, "gid_map", gids, n_gids, err)) == 0) {
        (void) snprintf(path, sizeof(path), "/proc/%d/ns/user", (int) pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        r = fd < 0 ? error_set_errno(err, -errno, "cannot open the new user namespace") : 0;
    }
    (void) close(gate[0]);
    (void) close(gate[1]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return r < 0 ? r : fd;
}
