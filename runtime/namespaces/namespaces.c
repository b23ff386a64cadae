/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/namespaces/namespaces.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/strbuf.h"
#include "podium/base/sys.h"

#define MAP_BYTES_MAX 65536 /* the kernel takes 340 lines at most */

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
    return 0;
}

/* Entering the user namespace one is in is an error of the kernel's: then there is nothing to join. */
static void leave_out_own_user(struct namespace_set *set) {
    struct stat own, other;

    if (set->join[SPEC_NS_USER] >= 0 && stat("/proc/self/ns/user", &own) == 0 &&
        fstat(set->join[SPEC_NS_USER], &other) == 0 && own.st_dev == other.st_dev && own.st_ino == other.st_ino) {
        closep(&set->join[SPEC_NS_USER]);
        set->join[SPEC_NS_USER] = -EBADF;
    }
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
    leave_out_own_user(&set);
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

    if (fd >= 0 && setns(fd, CLONE_NEWPID) < 0) {
        dprintf(STDERR_FILENO, "baton: cannot leave the container's pid namespace: %s\n", strerror(errno));
        abort(); /* a later child would be born in a container: never go on */
    }
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

static int join_one(struct namespace_set *set, int kind) {
    if (set->join[kind] < 0)
        return 0;
    if (setns(set->join[kind], spec_namespace_flag((enum spec_namespace_kind) kind)) < 0)
        return -errno;
    closep(&set->join[kind]);
    set->join[kind] = -EBADF;
    return 0;
}

int namespaces_join_around_user(struct namespace_set *set, struct error *err) {
    int r;

    for (int k = 0; k < SPEC_NS_MAX; k++)
        if (k != SPEC_NS_USER && (r = join_one(set, k)) < 0 && r != -EPERM)
            return error_set_errno(err, r, "cannot join the %s namespace",
                                   spec_namespace_name((enum spec_namespace_kind) k));
    for (int k = 0; k < SPEC_NS_MAX; k++) /* the user namespace is the first */
        if ((r = join_one(set, k)) < 0)
            return error_set_errno(err, r, "cannot join the %s namespace",
                                   spec_namespace_name((enum spec_namespace_kind) k));
    return 0;
}

int namespaces_raise_loopback(const struct namespace_set *set, struct error *err) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};

    if (!(set->clone_flags & CLONE_NEWNET))
        return 0;
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return error_set_errno(err, -errno, "cannot bring up the loopback link");
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
    int r = setns(pidfd, flags);
    if (r < 0 && errno == EINVAL && spec->namespaces[SPEC_NS_USER].path) /* it was our own: leave_out_own_user() */
        r = setns(pidfd, flags & ~CLONE_NEWUSER);
    return r < 0 ? error_set_errno(err, -errno, "cannot join the container's namespaces") : 0;
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

/* A map as the caller sees it; the caller frees *ret. */
static int read_map(pid_t pid, const char *file, struct spec_id_mapping **ret, size_t *ret_n, struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    size_t cap = 0;
    char path[64];

    (void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, file);
    int r = file_read(path, MAP_BYTES_MAX, &text, err);
    if (r < 0)
        return r;
    for (const char *p = strbuf_str(&text); *p; p = strchrnul(p, '\n'), p += *p == '\n') {
        struct spec_id_mapping m;
        char *end;

        m.container_id = (uint32_t) strtoul(p, &end, 10);
        m.host_id = (uint32_t) strtoul(end, &end, 10);
        m.size = (uint32_t) strtoul(end, &end, 10);
        xgrow(ret, *ret_n, &cap);
        (*ret)[(*ret_n)++] = m;
    }
    return 0;
}

static bool has_mapping(const struct spec_id_mapping *maps, size_t n, const struct spec_id_mapping *wanted) {
    for (size_t i = 0; i < n; i++)
        if (memcmp(&maps[i], wanted, sizeof(*wanted)) == 0)
            return true;
    return false;
}

static int check_map(pid_t pid, const char *file, const struct spec_id_mapping *wanted, size_t n_wanted,
                     struct error *err) {
    _cleanup_free_ struct spec_id_mapping *maps = NULL;
    size_t n = 0;
    int r = read_map(pid, file, &maps, &n, err);

    if (r < 0)
        return r;
    if (n == 0)
        return error_set(err, -EINVAL, "the user namespace to join has no %s", file);
    if (n_wanted > 0 && n_wanted != n)
        return error_set(err, -EINVAL, "config: linux.uidMappings, gidMappings are not those of the user namespace");
    for (size_t i = 0; i < n_wanted; i++)
        if (!has_mapping(maps, n, &wanted[i]))
            return error_set(err, -EINVAL,
                             "config: linux.uidMappings, gidMappings are not those of the user namespace");
    return 0;
}

int namespaces_check_ids(pid_t pid, const struct spec *spec, struct error *err) {
    int r = check_map(pid, "uid_map", spec->uid_mappings, spec->n_uid_mappings, err);

    return r < 0 ? r : check_map(pid, "gid_map", spec->gid_mappings, spec->n_gid_mappings, err);
}

int namespaces_host_id(pid_t pid, uint32_t id, uint32_t *ret, struct error *err) {
    _cleanup_free_ struct spec_id_mapping *maps = NULL;
    size_t n = 0;
    int r = read_map(pid, "uid_map", &maps, &n, err);

    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        if (id >= maps[i].container_id && id - maps[i].container_id < maps[i].size) {
            *ret = maps[i].host_id + (id - maps[i].container_id);
            return 0;
        }
    return error_set(err, -ENOENT, "user %u is not mapped in the user namespace", id);
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
