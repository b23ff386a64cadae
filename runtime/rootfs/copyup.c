/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tmpcopyup: a new tmpfs begins with what the image has at its place. Nothing of the container runs yet, but the image
 * is a stranger's: no link is followed, only descriptors and names in them are used.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "podium/base/alloc.h"
#include "runtime/rootfs/steps.h"

#define DEPTH_MAX       64
#define XATTR_BYTES_MAX 4096

static int copy_folder(int from, int to, unsigned depth);

/* Those that the tmpfs does not know are left out; a file's capabilities it does know. */
static int copy_attributes(int from, int to) {
    char names[XATTR_BYTES_MAX], value[XATTR_BYTES_MAX];
    ssize_t n = flistxattr(from, names, sizeof(names));

    if (n < 0)
        return errno == ENOTSUP ? 0 : -errno;
    for (char *name = names; name < names + n; name += strlen(name) + 1) {
        ssize_t k = fgetxattr(from, name, value, sizeof(value));

        if (k < 0 || (fsetxattr(to, name, value, (size_t) k, 0) < 0 && errno != ENOTSUP && errno != EPERM))
            return -errno;
    }
    return 0;
}

/* The owner goes before the mode, for a change of owner takes setuid bits away, and both before the attributes. */
static int copy_metadata(int from, int to, const struct stat *st) {
    const struct timespec times[2] = {st->st_atim, st->st_mtim};

    if (fchown(to, st->st_uid, st->st_gid) < 0 || fchmod(to, st->st_mode & 07777) < 0)
        return -errno;
    int r = copy_attributes(from, to);
    return r == 0 && futimens(to, times) < 0 ? -errno : r;
}

static int copy_file(int from_dir, int to_dir, const char *name, const struct stat *st) {
    _cleanup_close_ int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    _cleanup_close_ int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    ssize_t n;

    if (from < 0 || to < 0)
        return -errno;
    do
        n = sendfile(to, from, NULL, 1 << 30);
    while (n > 0 || (n < 0 && errno == EINTR));
    return n < 0 ? -errno : copy_metadata(from, to, st);
}

static int copy_link(int from_dir, int to_dir, const char *name, const struct stat *st) {
    char target[4096];
    ssize_t n = readlinkat(from_dir, name, target, sizeof(target) - 1);

    if (n < 0)
        return -errno;
    target[n] = 0;
    if (symlinkat(target, to_dir, name) < 0 || fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return 0;
}

static int copy_node(int to_dir, const char *name, const struct stat *st) {
    if (mknodat(to_dir, name, st->st_mode, st->st_rdev) < 0 ||
        fchownat(to_dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return 0;
}

static int copy_subfolder(int from_dir, int to_dir, const char *name, const struct stat *st, unsigned depth) {
    if (depth == DEPTH_MAX)
        return -ELOOP;
    if (mkdirat(to_dir, name, 0700) < 0)
        return -errno;
    _cleanup_close_ int from = openat(from_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _cleanup_close_ int to = openat(to_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0 || to < 0)
        return -errno;
    int r = copy_folder(from, to, depth + 1);
    return r < 0 ? r : copy_metadata(from, to, st);
}

static int copy_entry(int from, int to, const char *name, unsigned depth) {
    struct stat st;

    if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return copy_subfolder(from, to, name, &st, depth);
    if (S_ISREG(st.st_mode))
        return copy_file(from, to, name, &st);
    return S_ISLNK(st.st_mode) ? copy_link(from, to, name, &st) : copy_node(to, name, &st);
}

static int copy_folder(int from, int to, unsigned depth) {
    int own = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
    _cleanup_closedir_ DIR *dir = own >= 0 ? fdopendir(own) : NULL;
    const struct dirent *e;

    if (!dir) {
        r = -errno;
        closep(&own);
        return r;
    }
    while (r == 0 && (errno = 0, e = readdir(dir)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r = copy_entry(from, to, e->d_name, depth);
    return r == 0 ? -errno : r;
}

/* The root of the tmpfs is as the image's folder, but for what the options say themselves. */
static int copy_root(int from, int to, const struct mount_options *o) {
    bool mode = true, uid = true, gid = true;
    struct stat st;

    for (size_t i = 0; i < o->n_data; i++) {
        mode &= strncmp(o->data[i], "mode=", 5) != 0;
        uid &= strncmp(o->data[i], "uid=", 4) != 0;
        gid &= strncmp(o->data[i], "gid=", 4) != 0;
    }
    if (fstat(from, &st) < 0 || fchown(to, uid ? st.st_uid : (uid_t) -1, gid ? st.st_gid : (gid_t) -1) < 0)
        return -errno;
    return mode && fchmod(to, st.st_mode & 07777) < 0 ? -errno : 0;
}

int mount_copy_up(int target_fd, int mount_fd, const struct mount_options *o, struct error *err) {
    _cleanup_close_ int from = openat(target_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_close_ int to = openat(mount_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = from < 0 || to < 0 ? -errno : copy_root(from, to, o);

    if (r == 0)
        r = copy_folder(from, to, 0);
    if (r == 0 && (o->attr_set & MOUNT_ATTR_RDONLY))
        r = mount_change(mount_fd, false, MOUNT_ATTR_RDONLY, 0, 0);
    return r < 0 ? error_set_errno(err, r, "tmpcopyup: cannot copy what the image has there") : 0;
}
