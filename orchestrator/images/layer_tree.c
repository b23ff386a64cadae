/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Placing the entries of a layer archive. The archive is hostile until proven otherwise: the folder an entry goes to
 * is opened with RESOLVE_IN_ROOT, then everything happens relative to that descriptor and one plain file name.
 */
#include <archive_entry.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "orchestrator/images/unpack.h"
#include "podium/base/alloc.h"
#include "podium/base/path.h"

#define WHITEOUT_PREFIX      ".wh."
#define WHITEOUT_META_PREFIX ".wh..wh."
#define WHITEOUT_OPAQUE      ".wh..wh..opq"
#define OPAQUE_XATTR         "trusted.overlay.opaque"

enum { XATTR_BYTES_MAX = 64 * 1024 };

struct folder_times {
    char *path;
    struct timespec times[2];
};

struct layer_tree {
    int dirfd;
    char *parent_path; /* the folder of the last entry and its descriptor: most entries share it with the next */
    int parent_fd;
    struct folder_times *folders;
    size_t n_folders, cap_folders;
};

struct layer_tree *layer_tree_new(int dirfd) {
    struct layer_tree *tree = xnew0(struct layer_tree);

    tree->dirfd = dirfd;
    tree->parent_fd = -EBADF;
    return tree;
}

static void forget_parent(struct layer_tree *tree) {
    free(steal(&tree->parent_path));
    closep(&tree->parent_fd);
    tree->parent_fd = -EBADF;
}

void layer_tree_free(struct layer_tree *tree) {
    if (!tree)
        return;
    forget_parent(tree);
    for (size_t i = 0; i < tree->n_folders; i++)
        free(tree->folders[i].path);
    free(tree->folders);
    free(tree);
}

void layer_tree_set_times(struct layer_tree *tree) {
    for (size_t i = tree->n_folders; i-- > 0;) {
        _cleanup_close_ int fd = open_in_root(tree->dirfd, tree->folders[i].path, O_RDONLY | O_DIRECTORY, 0);
        if (fd >= 0) /* replaced by a later entry otherwise */
            (void) futimens(fd, tree->folders[i].times);
    }
}

/* "./a//b/" → "a/b", "" for the root itself; a leading '/' is dropped as tar does. -EINVAL for "..". */
static int clean_path(const char *path, char **ret) {
    char *out = xmalloc(strlen(path) + 1), *at = out;

    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            free(out);
            return -EINVAL;
        }
        if (n > 0 && !(n == 1 && p[0] == '.')) {
            if (at != out)
                *at++ = '/';
            memcpy(at, p, n);
            at += n;
        }
        p += n + (p[n] == '/');
    }
    *at = 0;
    *ret = out;
    return 0;
}

/* Splits "a/b/c" into "a/b" (cut off in place, "" at the top) and returns "c". */
static char *split_name(char *path) {
    char *slash = strrchr(path, '/');

    if (!slash)
        return path;
    *slash = 0;
    return slash + 1;
}

/* Opens a folder of the layer, made with its parents where the archive left them out. */
static int open_folder(struct layer_tree *tree, const char *path) {
    int fd = open_in_root(tree->dirfd, *path ? path : ".", O_PATH | O_DIRECTORY, 0);

    if (fd != -ENOENT)
        return fd;
    _cleanup_free_ char *copy = xstrdup(path);
    char *name = split_name(copy);
    _cleanup_close_ int parent = open_folder(tree, name == copy ? "" : copy);
    if (parent < 0)
        return parent;
    if (mkdirat(parent, name, 0755) < 0)
        return errno == EEXIST ? -ENOENT : -errno; /* a symlink leading nowhere */
    if (fchmodat(parent, name, 0755, 0) < 0)       /* whatever the umask */
        return -errno;
    return open_in_root(tree->dirfd, path, O_PATH | O_DIRECTORY, 0);
}

/* The descriptor of the folder, the tree's own. */
static int parent_folder(struct layer_tree *tree, const char *path) {
    if (tree->parent_path && strcmp(tree->parent_path, path) == 0)
        return tree->parent_fd;
    int fd = open_folder(tree, path);
    if (fd < 0)
        return fd;
    forget_parent(tree);
    tree->parent_path = xstrdup(path);
    tree->parent_fd = fd;
    return fd;
}

static int set_opaque(int parent, const char *name) {
    _cleanup_close_ int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return fsetxattr(fd, OPAQUE_XATTR, "y", 1, 0) < 0 ? -errno : 0;
}

static bool is_whiteout(const struct stat *st) {
    return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

/* name hides what lower layers have there. Where this layer has something under the name itself, that hides a file by
 * being there, and a folder by being opaque. */
static int add_whiteout(int parent, const char *name) {
    struct stat st;

    if (mknodat(parent, name, S_IFCHR, 0) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return S_ISDIR(st.st_mode) ? set_opaque(parent, name) : 0;
}

/* Makes room for a new entry. A folder stays for a folder (*keep); *opaque when a whiteout was there. */
static int make_room(int parent, const char *name, bool is_folder, bool *keep, bool *opaque) {
    struct stat st;

    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (is_folder && S_ISDIR(st.st_mode)) {
        *keep = true;
        return 0;
    }
    *opaque = is_whiteout(&st);
    if (!S_ISDIR(st.st_mode))
        return unlinkat(parent, name, 0) < 0 ? -errno : 0;
    return rm_tree_at(parent, name, NULL); /* the cached parent stays right: only what is below it goes */
}

static void entry_times(struct archive_entry *entry, struct timespec times[2]) {
    times[0] = (struct timespec){.tv_nsec = UTIME_OMIT};
    times[1] = archive_entry_mtime_is_set(entry)
                   ? (struct timespec){.tv_sec = archive_entry_mtime(entry), .tv_nsec = archive_entry_mtime_nsec(entry)}
                   : (struct timespec){.tv_nsec = UTIME_OMIT};
}

static int check_owner(struct archive_entry *entry, struct error *err) {
    int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);

    if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
        return error_set(err, -EINVAL, "owner %lld:%lld out of range", (long long) uid, (long long) gid);
    return 0;
}

/* Attributes worth keeping: file capabilities and the user's own. Everything of overlayfs would be obeyed by the
 * kernel (redirects to other files, for one), labels belong to the host. */
static bool xattr_is_kept(const char *name) {
    if (strcmp(name, "security.capability") == 0)
        return true;
    return strncmp(name, "user.", 5) == 0 && strncmp(name, "user.overlay.", 13) != 0;
}

static int set_xattrs(struct archive_entry *entry, int fd) {
    const char *name;
    const void *value;
    size_t n;

    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &name, &value, &n) == 0) {
        if (!name || !xattr_is_kept(name) || n > XATTR_BYTES_MAX)
            continue;
        if (fsetxattr(fd, name, value, n, 0) < 0 && errno != ENOTSUP)
            return -errno;
    }
    return 0;
}

int layer_tree_finish_file(struct archive_entry *entry, int fd, struct error *err) {
    struct timespec times[2];

    int r = fchown(fd, (uid_t) archive_entry_uid(entry), (gid_t) archive_entry_gid(entry)) < 0 ? -errno : 0;
    if (r == 0 && fchmod(fd, archive_entry_perm(entry) & 07777) < 0)
        r = -errno;
    if (r == 0)
        r = set_xattrs(entry, fd);
    entry_times(entry, times);
    if (r == 0 && futimens(fd, times) < 0)
        r = -errno;
    return r < 0 ? error_set_errno(err, r, "cannot set owner, mode or attributes") : 0;
}

static void remember_times(struct layer_tree *tree, const char *path, struct archive_entry *entry) {
    xgrow(&tree->folders, tree->n_folders, &tree->cap_folders);
    struct folder_times *f = &tree->folders[tree->n_folders++];
    f->path = xstrdup(path);
    entry_times(entry, f->times);
}

static int add_folder(struct layer_tree *tree, int parent, const char *name, const char *path,
                      struct archive_entry *entry, struct error *err) {
    bool keep = false, opaque = false;

    int r = make_room(parent, name, true, &keep, &opaque);
    if (r == 0 && !keep && mkdirat(parent, name, 0755) < 0)
        r = -errno;
    if (r == 0 && opaque)
        r = set_opaque(parent, name);
    if (r < 0)
        return error_set_errno(err, r, "cannot make folder");
    _cleanup_close_ int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot open folder");
    remember_times(tree, path, entry);
    return layer_tree_finish_file(entry, fd, err);
}

static int add_hard_link(struct layer_tree *tree, int parent, const char *name, const char *target, struct error *err) {
    _cleanup_free_ char *clean = NULL;
    struct stat here, there;

    if (clean_path(target, &clean) < 0 || !*clean)
        return error_set(err, -EINVAL, "hard link to \"%s\" refused", target);
    char *file = split_name(clean);
    _cleanup_close_ int folder = open_in_root(tree->dirfd, file == clean ? "." : clean, O_PATH | O_DIRECTORY, 0);
    if (folder < 0)
        return error_set_errno(err, folder, "hard link to %s, which is not in this layer", target);
    if (fstatat(folder, file, &there, AT_SYMLINK_NOFOLLOW) < 0)
        return error_set_errno(err, -errno, "hard link to %s, which is not in this layer", target);
    if (S_ISDIR(there.st_mode) || is_whiteout(&there))
        return error_set(err, -EINVAL, "hard link to \"%s\", which is no file", target);
    if (fstatat(parent, name, &here, AT_SYMLINK_NOFOLLOW) == 0 && here.st_ino == there.st_ino)
        return 0;
    bool keep = false, opaque = false;
    int r = make_room(parent, name, false, &keep, &opaque);
    if (r == 0 && linkat(folder, file, parent, name, 0) < 0)
        r = -errno;
    return r < 0 ? error_set_errno(err, r, "cannot link to %s", target) : 0;
}

/* Symbolic links and fifos: no descriptor to work on. */
static int add_special(int parent, const char *name, struct archive_entry *entry, struct error *err) {
    bool keep = false, opaque = false, is_link = archive_entry_filetype(entry) == AE_IFLNK;
    const char *target = is_link ? archive_entry_symlink(entry) : NULL;
    struct timespec times[2];

    if (is_link && (!target || !*target))
        return error_set(err, -EINVAL, "symbolic link to nothing");
    int r = make_room(parent, name, false, &keep, &opaque);
    if (r == 0)
        r = is_link ? symlinkat(target, parent, name) : mknodat(parent, name, S_IFIFO | 0600, 0);
    if (r == -1)
        r = -errno;
    if (r == 0 && fchownat(parent, name, (uid_t) archive_entry_uid(entry), (gid_t) archive_entry_gid(entry),
                           AT_SYMLINK_NOFOLLOW) < 0)
        r = -errno;
    if (r == 0 && !is_link && fchmodat(parent, name, archive_entry_perm(entry) & 07777, 0) < 0)
        r = -errno;
    entry_times(entry, times);
    if (r == 0 && utimensat(parent, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        r = -errno;
    return r < 0 ? error_set_errno(err, r, "cannot make %s", is_link ? "symbolic link" : "fifo") : 0;
}

static int add_file(int parent, const char *name, int *ret_fd, struct error *err) {
    bool keep = false, opaque = false;

    int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) {
        int r = make_room(parent, name, false, &keep, &opaque);
        if (r < 0)
            return error_set_errno(err, r, "cannot replace file");
        fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    }
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot create file");
    *ret_fd = fd;
    return 0;
}

static int add_marker(int parent, const char *name, struct error *err) {
    int r;

    if (strcmp(name, WHITEOUT_OPAQUE) == 0) {
        r = set_opaque(parent, ".");
    } else if (strncmp(name, WHITEOUT_META_PREFIX, strlen(WHITEOUT_META_PREFIX)) == 0) {
        return 0; /* left over from aufs: .wh..wh.plnk and the like */
    } else {
        const char *hidden = name + strlen(WHITEOUT_PREFIX);
        if (!*hidden || strcmp(hidden, ".") == 0 || strcmp(hidden, "..") == 0)
            return error_set(err, -EINVAL, "whiteout of an unsafe name refused");
        r = add_whiteout(parent, hidden);
    }
    if (r == -EPERM)
        return error_set(err, r, "whiteouts need the capabilities CAP_MKNOD and CAP_SYS_ADMIN; import as root");
    return r < 0 ? error_set_errno(err, r, "cannot make whiteout") : 0;
}

static int add_in_folder(struct layer_tree *tree, int parent, const char *name, const char *path,
                         struct archive_entry *entry, int *ret_fd, struct error *err) {
    const char *hard_link = archive_entry_hardlink(entry);

    if (strncmp(name, WHITEOUT_PREFIX, strlen(WHITEOUT_PREFIX)) == 0)
        return add_marker(parent, name, err);
    if (hard_link)
        return add_hard_link(tree, parent, name, hard_link, err);
    switch (archive_entry_filetype(entry)) {
    case AE_IFDIR:
        return add_folder(tree, parent, name, path, entry, err);
    case AE_IFREG:
        return add_file(parent, name, ret_fd, err);
    case AE_IFLNK:
    case AE_IFIFO:
        return add_special(parent, name, entry, err);
    default:
        return 0; /* device nodes and sockets are left out */
    }
}

int layer_tree_add(struct layer_tree *tree, struct archive_entry *entry, int *ret_fd, struct error *err) {
    const char *raw = archive_entry_pathname(entry);
    _cleanup_free_ char *path = NULL;

    *ret_fd = -EBADF;
    if (!raw)
        return error_set(err, -EINVAL, "layer archive: an entry without a readable name");
    if (strlen(raw) >= PATH_MAX)
        return error_set(err, -EINVAL, "layer archive: a path of %zu bytes (\"%.64s…\"), %d are allowed", strlen(raw),
                         raw, PATH_MAX - 1);
    int r = clean_path(raw, &path);
    if (r < 0)
        return error_set(err, r, "layer archive: \"%s\" leads out of the layer", raw);
    r = check_owner(entry, err);
    if (r < 0)
        return error_prefix(err, r, "layer archive: %s", raw);
    if (!*path) { /* the root's own owner and mode */
        if (archive_entry_filetype(entry) != AE_IFDIR)
            return error_set(err, -EINVAL, "layer archive: the root is no folder");
        return add_folder(tree, tree->dirfd, ".", ".", entry, err);
    }
    _cleanup_free_ char *folder = xstrdup(path);
    char *name = split_name(folder);
    int parent = parent_folder(tree, name == folder ? "" : folder);
    if (parent < 0)
        return error_set_errno(err, parent, "layer archive: cannot open the folder of %s", path);
    r = add_in_folder(tree, parent, name, path, entry, ret_fd, err);
    return r < 0 ? error_prefix(err, r, "layer archive: %s", path) : 0;
}
