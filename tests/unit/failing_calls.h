/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls to the system that fail at a test's wish, each in its turn. Included once by a test program, which then has the
 * functions below in place of libc's, for the product's code and for libraries alike. Include it after cmocka.h.
 *
 *     FAILING_EACH(EIO) {                       // nothing fails in the first round, which counts the calls
 *         prepare();
 *         failing_begin();
 *         r = what_is_tested();
 *         failing_end();                        // from here on all calls work
 *         … what must hold whether r is an error or not
 *     }
 *
 * The rounds go on until one is through without a failure. Opening, making, writing, syncing, renaming, removing and
 * locking of files can fail, and messages of sockets; and looks at names; closing, reading and memory do not.
 * Descriptors that are left open make the round fail. Threads: calls of all are counted; errno is the thread's.
 */
#ifndef PODIUM_TESTS_FAILING_CALLS_H
#define PODIUM_TESTS_FAILING_CALLS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
    atomic_bool armed;
    atomic_uint calls;   /* since failing_begin() */
    unsigned at;         /* the one that fails; 0: none */
    int error;           /* its errno */
    const char *spared;  /* the name of one that never fails; NULL: all do */
    const char *what;    /* its name; NULL: it did not come */
    unsigned fds, tried; /* descriptors at the beginning; rounds with a failure */
} failing;

static inline unsigned failing_count_fds(void) {
    unsigned n = 0;
    DIR *dir = opendir("/proc/self/fd");

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

/* Several times in a round: each of them has a call of this number fail. */
static inline void failing_begin(void) {
    failing.calls = 0;
    failing.fds = failing_count_fds();
    failing.armed = true;
}

/* fds_kept: descriptors that what was tested gave to the test. */
static inline void failing_end_keeping(unsigned fds_kept) {
    failing.armed = false;
    if (failing.what)
        failing.tried++;
    if (failing_count_fds() != failing.fds + fds_kept)
        fail_msg("call %u (%s) failed: %u descriptors were open, now %u", failing.at,
                 failing.what ? failing.what : "none", failing.fds, failing_count_fds());
}

static inline void failing_end(void) {
    failing_end_keeping(0);
}

/* After round 0, and as long as the call of the round before came. */
static inline bool failing_next(void) {
    bool more = failing.at <= 1 || failing.what;

    if (!more)
        assert_true(failing.tried > 0);
    failing.what = NULL;
    return more;
}

#define FAILING_EACH(number)                                                                                           \
    for (failing.at = 0, failing.tried = 0, failing.what = NULL, failing.error = (number); failing_next(); failing.at++)

/* To be told by assertions: which call it was that failed. */
#define assert_held(condition)                                                                                         \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fail_msg("not so after call %u (%s) failed: %s", failing.at, failing.what ? failing.what : "none",         \
                     #condition);                                                                                      \
    } while (0)

/* Sanitizers call mkdir() and the like before they are ready to look at what a program reads. */
#define FAILING_UNWATCHED __attribute__((no_sanitize("address", "undefined", "thread")))

FAILING_UNWATCHED static bool failing_now(const char *what) {
    if (!failing.armed || (failing.spared && strcmp(failing.spared, what) == 0) || ++failing.calls != failing.at)
        return false;
    failing.what = what;
    errno = failing.error;
    return true;
}

/* its own openat() is nobody's to replace */
DIR *failing_opendir(const char *path) __asm__("opendir");
FAILING_UNWATCHED DIR *failing_opendir(const char *path) {
    int fd =
        failing_now("opendir") ? -1 : (int) syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? NULL : fdopendir(fd);
}

#define FAILING(type, name, parameters, ...)                                                                           \
    type failing_##name parameters __asm__(#name);                                                                     \
    FAILING_UNWATCHED type failing_##name parameters {                                                                 \
        return failing_now(#name) ? -1 : (type) syscall(__VA_ARGS__);                                                  \
    }

FAILING(int, open, (const char *path, int flags, mode_t mode), SYS_openat, AT_FDCWD, path, flags, mode)
FAILING(int, open64, (const char *path, int flags, mode_t mode), SYS_openat, AT_FDCWD, path, flags, mode)
FAILING(int, openat, (int dir, const char *path, int flags, mode_t mode), SYS_openat, dir, path, flags, mode)
FAILING(int, openat64, (int dir, const char *path, int flags, mode_t mode), SYS_openat, dir, path, flags, mode)
FAILING(ssize_t, write, (int fd, const void *p, size_t n), SYS_write, fd, p, n)
FAILING(ssize_t, writev, (int fd, const struct iovec *v, int n), SYS_writev, fd, v, n)
FAILING(ssize_t, pwrite64, (int fd, const void *p, size_t n, off_t at), SYS_pwrite64, fd, p, n, at)
FAILING(int, ftruncate64, (int fd, off_t size), SYS_ftruncate, fd, size)
FAILING(int, fsync, (int fd), SYS_fsync, fd)
FAILING(int, fdatasync, (int fd), SYS_fdatasync, fd)
FAILING(int, syncfs, (int fd), SYS_syncfs, fd)
FAILING(int, flock, (int fd, int operation), SYS_flock, fd, operation)
FAILING(int, mkdir, (const char *path, mode_t mode), SYS_mkdirat, AT_FDCWD, path, mode)
FAILING(int, mkdirat, (int dir, const char *path, mode_t mode), SYS_mkdirat, dir, path, mode)
FAILING(int, symlinkat, (const char *to, int dir, const char *path), SYS_symlinkat, to, dir, path)
FAILING(int, symlink, (const char *to, const char *path), SYS_symlinkat, to, AT_FDCWD, path)
FAILING(int, linkat, (int from, const char *old, int to, const char *new, int flags), SYS_linkat, from, old, to, new,
        flags)
FAILING(int, mknodat, (int dir, const char *path, mode_t mode, dev_t dev), SYS_mknodat, dir, path, mode, dev)
FAILING(int, rename, (const char *old, const char *new), SYS_renameat2, AT_FDCWD, old, AT_FDCWD, new, 0)
FAILING(int, renameat, (int from, const char *old, int to, const char *new), SYS_renameat2, from, old, to, new, 0)
FAILING(int, renameat2, (int from, const char *old, int to, const char *new, unsigned flags), SYS_renameat2, from, old,
        to, new, flags)
FAILING(int, unlink, (const char *path), SYS_unlinkat, AT_FDCWD, path, 0)
FAILING(int, rmdir, (const char *path), SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR)
FAILING(int, unlinkat, (int dir, const char *path, int flags), SYS_unlinkat, dir, path, flags)
FAILING(ssize_t, readlinkat, (int dir, const char *path, char *to, size_t n), SYS_readlinkat, dir, path, to, n)
FAILING(int, stat64, (const char *path, void *st), SYS_newfstatat, AT_FDCWD, path, st, 0)
FAILING(int, lstat64, (const char *path, void *st), SYS_newfstatat, AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW)
FAILING(int, fchmod, (int fd, mode_t mode), SYS_fchmod, fd, mode)
FAILING(int, fchown, (int fd, uid_t uid, gid_t gid), SYS_fchown, fd, uid, gid)
FAILING(int, fchownat, (int dir, const char *path, uid_t uid, gid_t gid, int flags), SYS_fchownat, dir, path, uid, gid,
        flags)
FAILING(int, fsetxattr, (int fd, const char *name, const void *value, size_t n, int flags), SYS_fsetxattr, fd, name,
        value, n, flags)
FAILING(int, socket, (int domain, int type, int protocol), SYS_socket, domain, type, protocol)
FAILING(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), SYS_sendmsg, fd, m, flags)
FAILING(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), SYS_recvmsg, fd, m, flags)

#endif
