/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "podium/base/fd.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>

#include "podium/base/alloc.h"
#include "podium/base/random.h"
#include "podium/base/sys.h"

#define FDS_PER_MESSAGE_MAX 16

int fd_read_all(int fd, size_t max, struct strbuf *out, struct error *err) {
    size_t start = out->len;

    for (;;) {
        strbuf_reserve(out, 4096);
        ssize_t n = read(fd, out->data + out->len, out->cap - out->len - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set_errno(err, -errno, "cannot read");
        out->len += (size_t) n;
        out->data[out->len] = 0;
        if (n == 0)
            return 0;
        if (out->len - start > max)
            return error_set(err, -EFBIG, "more than %zu bytes", max);
    }
}

int fd_write_all(int fd, const void *p, size_t n) {
    const char *at = p;

    while (n > 0) {
        ssize_t k = write(fd, at, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return -errno;
        at += k;
        n -= (size_t) k;
    }
    return 0;
}

int file_read_at(int dirfd, const char *path, size_t max, struct strbuf *out, struct error *err) {
    _cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot open %s", path);
    int r = fd_read_all(fd, max, out, err);
    return r < 0 ? error_prefix(err, r, "%s", path) : 0;
}

int file_read(const char *path, size_t max, struct strbuf *out, struct error *err) {
    return file_read_at(AT_FDCWD, path, max, out, err);
}

static int write_once(int fd, const char *path, const char *value, struct error *err) {
    size_t n = strlen(value);
    ssize_t k = write(fd, value, n);
    if (k < 0)
        return error_set_errno(err, -errno, "cannot write \"%s\" to %s", value, path);
    return (size_t) k == n ? 0 : error_set(err, -EIO, "%s took only %zd of %zu bytes", path, k, n);
}

int file_write_at(int dirfd, const char *path, const char *value, struct error *err) {
    _cleanup_close_ int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);

    return fd < 0 ? error_set_errno(err, -errno, "cannot open %s", path) : write_once(fd, path, value, err);
}

int proc_open(const char *path, struct error *err) {
    struct open_how how = {.flags = O_WRONLY | O_CLOEXEC | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    _cleanup_close_ int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int fd = proc < 0 ? -errno : sys_openat2(proc, path, &how);
    struct statfs fs;

    if (fd < 0)
        return error_set_errno(err, fd, "cannot open /proc/%s", path);
    if (fstatfs(fd, &fs) < 0)
        return error_set_errno(err, -errno, "cannot look at /proc/%s", path);
    if (fs.f_type != PROC_SUPER_MAGIC)
        return error_set(err, -EPERM, "/proc/%s is not on a proc file system: refused", path);
    return steal_fd(&fd);
}

int proc_write(const char *path, const char *value, struct error *err) {
    _cleanup_close_ int fd = proc_open(path, err);

    return fd < 0 ? fd : write_once(fd, path, value, err);
}

static int sync_parent(const char *path) {
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *dir = slash ? xstrndup(path, slash == path ? 1 : (size_t) (slash - path)) : xstrdup(".");
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return fsync(fd) < 0 ? -errno : 0;
}

int file_write_atomic(const char *path, const void *p, size_t n, mode_t mode, bool durable, struct error *err) {
    char suffix[9];

    random_name_suffix(suffix, 8);
    _cleanup_free_ char *tmp = xasprintf("%s.%s.tmp", path, suffix);
    _cleanup_close_ int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot create %s", tmp);
    int r = fchmod(fd, mode) < 0 ? -errno : 0; /* whatever the umask */
    if (r == 0)
        r = fd_write_all(fd, p, n);
    if (r == 0 && durable && fsync(fd) < 0)
        r = -errno;
    if (r == 0 && rename(tmp, path) < 0)
        r = -errno;
    if (r < 0) {
        (void) unlink(tmp);
        return error_set_errno(err, r, "cannot write %s", path);
    }
    if (durable && (r = sync_parent(path)) < 0)
        return error_set_errno(err, r, "cannot sync the folder of %s", path);
    return 0;
}

static int change_flag(int fd, int get, int set, int flag, bool on) {
    int flags = fcntl(fd, get);

    if (flags < 0)
        return -errno;
    return fcntl(fd, set, on ? flags | flag : flags & ~flag) < 0 ? -errno : 0;
}

int fd_set_nonblock(int fd, bool on) {
    return change_flag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
}

int fd_set_cloexec(int fd, bool on) {
    return change_flag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
}

ssize_t fd_send_message(int sock, const void *p, size_t n, const int *fds, size_t n_fds) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * FDS_PER_MESSAGE_MAX)];
    } control = {0};
    struct iovec iov = {.iov_base = (void *) p, .iov_len = n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    if (n_fds > FDS_PER_MESSAGE_MAX)
        return -EINVAL;
    if (n_fds > 0) {
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
    }
    for (;;) {
        ssize_t k = sendmsg(sock, &msg, MSG_NOSIGNAL);
        if (k < 0 && errno == EINTR)
            continue;
        return k < 0 ? -errno : k;
    }
}

static size_t take_fds(struct msghdr *msg, int *fds, size_t max) {
    size_t n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t k = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < k; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (n < max)
                fds[n++] = fd;
            else
                (void) close(fd);
        }
    }
    return n;
}

ssize_t fd_recv_message(int sock, void *p, size_t n, int *fds, size_t *n_fds) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * FDS_PER_MESSAGE_MAX)];
    } control = {0};
    struct iovec iov = {.iov_base = p, .iov_len = n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    size_t max = n_fds ? *n_fds : 0;
    ssize_t k;

    do
        k = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    while (k < 0 && errno == EINTR);
    if (n_fds)
        *n_fds = 0;
    if (k < 0)
        return -errno;
    size_t got = take_fds(&msg, fds, max);
    if (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        for (size_t i = 0; i < got; i++)
            (void) close(fds[i]);
        return -EMSGSIZE;
    }
    if (n_fds)
        *n_fds = got;
    return k;
}

int unix_connect(const char *path, struct error *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    _cleanup_close_ int place = -EBADF, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return error_set_errno(err, -errno, "cannot make a socket");
    if (strlen(path) < sizeof(address.sun_path)) {
        memcpy(address.sun_path, path, strlen(path));
    } else {
        place = open(path, O_PATH | O_CLOEXEC);
        if (place < 0)
            return error_set_errno(err, -errno, "cannot open the socket %s", path);
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", place);
    }
    if (connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
        return error_set_errno(err, -errno, "cannot connect to the socket %s", path);
    return steal_fd(&fd);
}
