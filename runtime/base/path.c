/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "podium/base/path.h"

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "podium/base/alloc.h"
#include "podium/base/sys.h"

char *path_join(const char *a, const char *b) {
    size_t n = strlen(a);

    while (n > 1 && a[n - 1] == '/')
        n--;
    while (*b == '/')
        b++;
    if (n == 1 && a[0] == '/')
        return xasprintf("/%s", b);
    return xasprintf("%.*s/%s", (int) n, a, b);
}

int mkdir_parents(const char *path, mode_t mode, struct error *err) {
    _cleanup_free_ char *copy = xstrdup(path);
    struct stat st;

    for (char *at = copy + 1;; at++) {
        if (*at != '/' && *at != 0)
            continue;
        bool last = *at == 0;
        *at = 0;
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return error_set_errno(err, -errno, "cannot create folder %s", copy);
        if (last)
            break;
        *at = '/';
    }
    if (stat(path, &st) < 0)
        return error_set_errno(err, -errno, "cannot read %s", path);
    if (!S_ISDIR(st.st_mode))
        return error_set(err, -ENOTDIR, "%s exists and is not a folder", path);
    return 0;
}

/* Empties the folder; dev keeps the walk on one file system. */
static int empty_dir(int fd_take, dev_t dev, struct error *err) {
    _cleanup_close_ int fd_owned = fd_take;
    _cleanup_closedir_ DIR *dir = fdopendir(fd_owned);
    struct dirent *e;
    int result = 0;

    if (!dir)
        return error_set_errno(err, -errno, "cannot read folder");
    int fd = steal_fd(&fd_owned); /* the DIR owns it now */
    while ((e = readdir(dir))) {
        struct stat st;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        int r = 0;
        if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
            r = errno == ENOENT ? 0 : -errno;
        } else if (!S_ISDIR(st.st_mode)) {
            r = unlinkat(fd, e->d_name, 0) < 0 && errno != ENOENT ? -errno : 0;
        } else if (st.st_dev != dev) {
            r = -EXDEV;
        } else {
            int sub = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            r = sub < 0 ? -errno : empty_dir(sub, dev, err);
            if (r == 0 && unlinkat(fd, e->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT)
                r = -errno;
        }
        if (r < 0 && result == 0)
            result = error_set_errno(err, r, "cannot remove %s", e->d_name);
    }
    return result;
}

int rm_tree_at(int dirfd, const char *name, struct error *err) {
    struct stat st, parent;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : error_set_errno(err, -errno, "cannot read %s", name);
    if (S_ISDIR(st.st_mode)) {
        int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return error_set_errno(err, -errno, "cannot open %s", name);
        if (fstatat(fd, "..", &parent, 0) < 0 || parent.st_dev != st.st_dev) {
            (void) close(fd);
            return error_set(err, -EBUSY, "%s is a mount point; unmount it first", name);
        }
        int r = empty_dir(fd, st.st_dev, err);
        if (r < 0)
            return error_prefix(err, r, "%s", name);
    }
    if (unlinkat(dirfd, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) < 0 && errno != ENOENT)
        return error_set_errno(err, -errno, "cannot remove %s", name);
    return 0;
}

int rm_tree(const char *path, struct error *err) {
    return rm_tree_at(AT_FDCWD, path, err);
}

int open_in_root(int rootfd, const char *path, int flags, mode_t mode) {
    struct open_how how = {
        .flags = (uint64_t) (flags | O_CLOEXEC),
        .mode = flags & (O_CREAT | __O_TMPFILE) ? mode : 0,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    int fd;

    do
        fd = sys_openat2(rootfd, path, &how);
    while (fd == -EAGAIN || fd == -EINTR); /* a rename raced with the resolution */
    return fd;
}

int open_beneath(int dirfd, const char *path, int flags, mode_t mode) {
    struct open_how how = {
        .flags = (uint64_t) (flags | O_CLOEXEC),
        .mode = flags & (O_CREAT | __O_TMPFILE) ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    int fd;

    do
        fd = sys_openat2(dirfd, path, &how);
    while (fd == -EAGAIN || fd == -EINTR);
    return fd;
}

#define DANGLING_LINKS_MAX 8

static int make_in_root(int rootfd, const char *path, mode_t mode, unsigned links);

/* The prefix is a link to a folder that does not exist yet: makes what it points to, inside the root. */
static int make_link_target(int rootfd, int parent, const char *prefix, size_t parent_len, mode_t mode,
                            unsigned links) {
    char target[4096];
    ssize_t n = readlinkat(parent, prefix + parent_len, target, sizeof(target) - 1);

    if (n < 0)
        return errno == EINVAL ? -ENOENT : -errno;
    if (links == 0)
        return -ELOOP;
    target[n] = 0;
    _cleanup_free_ char *full =
        target[0] == '/' ? xstrdup(target) : xasprintf("%.*s/%s", (int) parent_len, prefix, target);
    int fd = make_in_root(rootfd, full, mode, links - 1);
    if (fd < 0)
        return fd;
    (void) close(fd);
    return 0;
}

static int make_in_root(int rootfd, const char *path, mode_t mode, unsigned links) {
    _cleanup_free_ char *copy = xstrdup(path);
    _cleanup_close_ int at = open_in_root(rootfd, ".", O_PATH | O_DIRECTORY, 0);
    size_t done = 0;

    if (at < 0)
        return at;
    /* each prefix is resolved from the root again, so that a link on the way cannot lead out of it */
    for (size_t i = 0, n = strlen(copy); i <= n; i++) {
        if (copy[i] != '/' && copy[i] != 0)
            continue;
        if (i == done) {
            done = i + 1;
            continue;
        }
        char kept = copy[i];
        copy[i] = 0;
        int fd = open_in_root(rootfd, copy, O_PATH | O_DIRECTORY, 0);
        if (fd == -ENOENT) {
            int r = mkdirat(at, copy + done, mode) < 0 ? -errno : 0;

            if (r == -EEXIST)
                r = make_link_target(rootfd, at, copy, done, mode, links);
            if (r < 0 && r != -ENOENT)
                return r;
            fd = open_in_root(rootfd, copy, O_PATH | O_DIRECTORY, 0);
        }
        if (fd < 0)
            return fd;
        (void) close(at);
        at = fd;
        copy[i] = kept;
        done = i + 1;
    }
    return steal_fd(&at);
}

int mkdir_in_root(int rootfd, const char *path, mode_t mode) {
    return make_in_root(rootfd, path, mode, DANGLING_LINKS_MAX);
}

bool file_name_is_unsafe(const char *name) {
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return true;
    for (const char *p = name; *p; p++)
        if (*p == '/' || (unsigned char) *p < 0x20 || *p == 0x7f)
            return true;
    return false;
}
