/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/payload.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "podium/base/random.h"

void payload_finish(struct payload *p) {
    for (size_t i = 0; i < p->n; i++) {
        free(p->files[i].path);
        free(p->files[i].data);
    }
    free(p->files);
    *p = (struct payload){0};
}

static bool path_is_safe(const char *path) {
    if (!*path || *path == '/')
        return false;
    for (const char *p = path;; p++) {
        size_t n = strcspn(p, "/");
        if (n == 0 || (n == 1 && p[0] == '.') || (n >= 2 && p[0] == '.' && p[1] == '.'))
            return false;
        p += n;
        if (!*p)
            return true;
    }
}

int payload_add(struct payload *p, const char *path, uint8_t *take_data, size_t n, mode_t mode, struct error *err) {
    if (!path_is_safe(path)) {
        free(take_data);
        return error_set(err, -EINVAL, "\"%s\" is not usable as a file name in a volume", path);
    }
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->files[i].path, path) == 0) {
            free(p->files[i].data);
            p->files[i].data = take_data;
            p->files[i].n = n;
            p->files[i].mode = mode;
            p->files[i].uid = -1;
            return 0;
        }
    xgrow(&p->files, p->n, &p->cap);
    p->files[p->n++] = (struct payload_file){xstrdup(path), take_data, n, mode, -1};
    return 0;
}

void payload_set_owner(struct payload *p, const char *path, int64_t uid) {
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->files[i].path, path) == 0)
            p->files[i].uid = uid;
}

static mode_t file_mode(const struct payload_file *f, int64_t gid) {
    return gid >= 0 ? f->mode | 0440 : f->mode;
}

/* What chown() takes; -1: left as it is, which is root. */
static uid_t owner(const struct payload *p, int64_t id) {
    return p->id_base ? p->id_base + (uint32_t) (id < 0 ? 0 : id) : (uid_t) id;
}

/* Whether DIR/..data holds this file with these bytes, mode and owners. */
static bool file_is_same(const struct payload *p, int data_fd, const struct payload_file *f, int64_t gid) {
    _cleanup_strbuf_ struct strbuf now = STRBUF_INIT;
    struct stat st;
    _cleanup_close_ int fd = openat(data_fd, f->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    return fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == file_mode(f, gid) &&
           st.st_uid == owner(p, f->uid < 0 ? 0 : f->uid) && (gid < 0 || st.st_gid == owner(p, gid)) &&
           (size_t) st.st_size == f->n && fd_read_all(fd, f->n, &now, NULL) == 0 && now.len == f->n &&
           memcmp(strbuf_str(&now), f->data, f->n) == 0;
}

static size_t count_files(int dir_fd) {
    _cleanup_closedir_ DIR *d = NULL;
    struct dirent *e;
    size_t n = 0;
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || !(d = fdopendir(fd)))
        return 0;
    while ((e = readdir(d))) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        _cleanup_close_ int sub = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        n += sub >= 0 ? count_files(sub) : 1;
    }
    return n;
}

static bool is_current(const struct payload *p, int dir_fd, int64_t gid) {
    _cleanup_close_ int data = openat(dir_fd, "..data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (data < 0 || count_files(data) != p->n)
        return false;
    for (size_t i = 0; i < p->n; i++)
        if (!file_is_same(p, data, &p->files[i], gid))
            return false;
    return true;
}

/* Group and mode of a folder: for the group, too, and what is made in it stays the group's. */
static int own_folder(const struct payload *p, int fd, int64_t gid) {
    if ((gid >= 0 || p->id_base) && fchown(fd, owner(p, -1), owner(p, gid)) < 0)
        return -errno;
    return fchmod(fd, gid >= 0 ? 02755 : 0755) < 0 ? -errno : 0;
}

static int make_folder(const struct payload *p, int dir_fd, const char *path, int64_t gid) {
    if (mkdirat(dir_fd, path, 0755) < 0)
        return errno == EEXIST ? 0 : -errno;
    _cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -errno : own_folder(p, fd, gid);
}

static int write_file(const struct payload *p, int dir_fd, const struct payload_file *f, int64_t gid,
                      struct error *err) {
    _cleanup_free_ char *parent = xstrdup(f->path);
    int r = 0;

    for (char *slash = strchr(parent, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        r = make_folder(p, dir_fd, parent, gid);
        if (r < 0)
            return error_set_errno(err, r, "cannot make the folder %s", parent);
        *slash = '/';
    }
    _cleanup_close_ int fd = openat(dir_fd, f->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot make %s", f->path);
    r = fd_write_all(fd, f->data, f->n);
    if (r == 0 && (gid >= 0 || f->uid >= 0 || p->id_base) && fchown(fd, owner(p, f->uid), owner(p, gid)) < 0)
        r = -errno;
    if (r == 0 && fchmod(fd, file_mode(f, gid)) < 0)
        r = -errno;
    return r < 0 ? error_set_errno(err, r, "cannot write %s", f->path) : 0;
}

static int replace_link(int dir_fd, const char *name, const char *target, struct error *err) {
    char tmp[32];

    (void) snprintf(tmp, sizeof(tmp), "..tmp");
    (void) unlinkat(dir_fd, tmp, 0);
    if (symlinkat(target, dir_fd, tmp) < 0 || renameat(dir_fd, tmp, dir_fd, name) < 0)
        return error_set_errno(err, -errno, "cannot make the link %s", name);
    return 0;
}

static bool is_wanted(const struct payload *p, const char *name) {
    size_t n = strlen(name);

    for (size_t i = 0; i < p->n; i++)
        if (strncmp(p->files[i].path, name, n) == 0 && (p->files[i].path[n] == 0 || p->files[i].path[n] == '/'))
            return true;
    return false;
}

/* Removes what is not of this set: stale links, earlier data folders. */
static void prune(const struct payload *p, int dir_fd, const char *stamp) {
    _cleanup_closedir_ DIR *d = NULL;
    struct dirent *e;
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || !(d = fdopendir(fd)))
        return;
    while ((e = readdir(d))) {
        const char *name = e->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "..data") == 0 ||
            strcmp(name, stamp) == 0 || is_wanted(p, name))
            continue;
        (void) rm_tree_at(fd, name, NULL);
    }
}

static int link_names(const struct payload *p, int dir_fd, struct error *err) {
    for (size_t i = 0; i < p->n; i++) {
        size_t n = strcspn(p->files[i].path, "/");
        _cleanup_free_ char *name = xstrndup(p->files[i].path, n);
        _cleanup_free_ char *target = xasprintf("..data/%s", name), *now = xcalloc(1, strlen(target) + 2);

        if (readlinkat(dir_fd, name, now, strlen(target) + 1) >= 0 && strcmp(now, target) == 0)
            continue;
        (void) rm_tree_at(dir_fd, name, NULL);
        int r = replace_link(dir_fd, name, target, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int payload_write(const struct payload *p, const char *dir, int64_t gid, struct error *err) {
    char stamp[64], when[32], suffix[11];
    time_t now = time(NULL);
    struct tm tm;

    int r = mkdir_parents(dir, 0755, err);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot open %s", dir);
    if (is_current(p, fd, gid))
        return 0;
    (void) strftime(when, sizeof(when), "%Y_%m_%d_%H_%M_%S", gmtime_r(&now, &tm));
    random_name_suffix(suffix, 10);
    (void) snprintf(stamp, sizeof(stamp), "..%s.%s", when, suffix);
    if (mkdirat(fd, stamp, 0755) < 0)
        return error_set_errno(err, -errno, "cannot make %s/%s", dir, stamp);
    _cleanup_close_ int data = openat(fd, stamp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r = own_folder(p, data, gid);
    if (r == 0)
        r = own_folder(p, fd, gid);
    if (r < 0)
        (void) error_set_errno(err, r, "cannot change the owner of %s", dir);
    for (size_t i = 0; r == 0 && i < p->n; i++)
        r = write_file(p, data, &p->files[i], gid, err);
    if (r == 0)
        r = replace_link(fd, "..data", stamp, err);
    if (r == 0)
        r = link_names(p, fd, err);
    if (r < 0) {
        (void) rm_tree_at(fd, stamp, NULL);
        return error_prefix(err, r, "%s", dir);
    }
    prune(p, fd, stamp);
    return 0;
}
