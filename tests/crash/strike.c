/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loaded before the C library into a server: counts every call that changes a file or a folder, over all threads, and
 * strikes at one of them. strace(1) counts for each thread by itself, so no number of its names each call once.
 *
 * STRIKE_AT=N      the Nth call; 0: none
 * STRIKE=WHAT      "before" or "after" (killed there), "EIO", "ENOSPC" (the call is not made, and fails so)
 * STRIKE_NOTE=FILE gets a line "N NAME" for the call that was struck; for each call when N is 0
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static struct {
    atomic_uint calls;
    unsigned at;
    int note, error;
    bool armed, before;
} strike;

__attribute__((constructor)) static void begin(void) {
    const char *at = getenv("STRIKE_AT"), *what = getenv("STRIKE"), *note = getenv("STRIKE_NOTE");

    strike.at = at ? (unsigned) strtoul(at, NULL, 10) : 0;
    strike.note = note ? open(note, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    strike.before = what && strcmp(what, "before") == 0;
    strike.error = !what ? 0 : strcmp(what, "EIO") == 0 ? EIO : strcmp(what, "ENOSPC") == 0 ? ENOSPC : 0;
    strike.armed = at != NULL;
    (void) unsetenv("LD_PRELOAD"); /* the server alone */
}

static void note(unsigned n, const char *name) {
    char line[64];
    int len = snprintf(line, sizeof(line), "%u %s\n", n, name);

    if (strike.note >= 0)
        (void) syscall(SYS_write, strike.note, line, (size_t) len);
}

static void die(void) {
    (void) syscall(SYS_kill, getpid(), SIGKILL);
}

/* Whether it is this call's turn; it may not return. */
static bool is_struck(const char *name) {
    if (!strike.armed)
        return false;
    unsigned n = atomic_fetch_add(&strike.calls, 1) + 1;
    if (strike.at == 0)
        note(n, name);
    if (n != strike.at)
        return false;
    note(n, name);
    if (strike.before)
        die();
    return true;
}

/* Sockets, pipes and eventfds are no disks. */
static bool is_file(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

#define REPLACE(type, name, parameters, arguments, condition)                                                          \
    type name parameters;                                                                                              \
    type name parameters {                                                                                             \
        static type(*next) parameters;                                                                                 \
        if (!next)                                                                                                     \
            *(void **) &next = dlsym(RTLD_NEXT, #name);                                                                \
        bool struck = (condition) && is_struck(#name);                                                                 \
        if (struck && strike.error) {                                                                                  \
            errno = strike.error;                                                                                      \
            return -1;                                                                                                 \
        }                                                                                                              \
        type result = next arguments;                                                                                  \
        if (struck)                                                                                                    \
            die();                                                                                                     \
        return result;                                                                                                 \
    }

REPLACE(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n), is_file(fd))
REPLACE(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n), is_file(fd))
REPLACE(ssize_t, pwrite, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at), true)
REPLACE(ssize_t, pwrite64, (int fd, const void *p, size_t n, off_t at), (fd, p, n, at), true)
REPLACE(ssize_t, pwritev, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at), true)
REPLACE(ssize_t, pwritev64, (int fd, const struct iovec *v, int n, off_t at), (fd, v, n, at), true)
REPLACE(int, fsync, (int fd), (fd), true)
REPLACE(int, fdatasync, (int fd), (fd), true)
REPLACE(int, syncfs, (int fd), (fd), true)
REPLACE(int, ftruncate, (int fd, off_t size), (fd, size), true)
REPLACE(int, ftruncate64, (int fd, off_t size), (fd, size), true)
REPLACE(int, fallocate, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n), true)
REPLACE(int, fallocate64, (int fd, int mode, off_t at, off_t n), (fd, mode, at, n), true)
/* returns its error */
#define REPLACE_ALLOCATE(name)                                                                                         \
    int name(int fd, off_t at, off_t n);                                                                               \
    int name(int fd, off_t at, off_t n) {                                                                              \
        static int (*next)(int, off_t, off_t);                                                                         \
        if (!next)                                                                                                     \
            *(void **) &next = dlsym(RTLD_NEXT, #name);                                                                \
        bool struck = is_struck(#name);                                                                                \
        int r = struck && strike.error ? strike.error : next(fd, at, n);                                               \
        if (struck && !strike.error)                                                                                   \
            die();                                                                                                     \
        return r;                                                                                                      \
    }
REPLACE_ALLOCATE(posix_fallocate)
REPLACE_ALLOCATE(posix_fallocate64)
REPLACE(int, rename, (const char *a, const char *b), (a, b), true)
REPLACE(int, renameat, (int d, const char *a, int e, const char *b), (d, a, e, b), true)
REPLACE(int, renameat2, (int d, const char *a, int e, const char *b, unsigned flags), (d, a, e, b, flags), true)
REPLACE(int, link, (const char *a, const char *b), (a, b), true)
REPLACE(int, linkat, (int d, const char *a, int e, const char *b, int flags), (d, a, e, b, flags), true)
REPLACE(int, symlinkat, (const char *a, int d, const char *b), (a, d, b), true)
REPLACE(int, mkdir, (const char *path, mode_t mode), (path, mode), true)
REPLACE(int, mkdirat, (int d, const char *path, mode_t mode), (d, path, mode), true)
REPLACE(int, unlink, (const char *path), (path), true)
REPLACE(int, unlinkat, (int d, const char *path, int flags), (d, path, flags), true)
