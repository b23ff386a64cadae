/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where cgroup2 is mounted, where a process is in it. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cgroups/files.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "podium/base/strbuf.h"

#define MOUNTINFO_BYTES_MAX   (16u << 20)
#define CGROUP_FILE_BYTES_MAX (64u << 10)

/* Undoes mountinfo's octal escapes in place ("\040" is a space). */
static void unescape(char *s) {
    char *to = s;

    for (; *s; s++) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' && s[3] <= '7') {
            *to++ = (char) ((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
            s += 3;
        } else {
            *to++ = *s;
        }
    }
    *to = 0;
}

/* "36 35 98:0 /root /mount/point options ... - cgroup2 source super": the mount point when the type is cgroup2. */
static char *cgroup2_mount_point(char *line) {
    char *dash = strstr(line, " - "), *save = NULL, *field = NULL;

    if (!dash || strncmp(dash + 3, "cgroup2 ", 8) != 0)
        return NULL;
    *dash = 0;
    field = strtok_r(line, " ", &save);
    for (int i = 0; field && i < 4; i++)
        field = strtok_r(NULL, " ", &save);
    if (field)
        unescape(field);
    return field;
}

/*
 * The mount at /sys/fs/cgroup wins (pure version 2), then the last mounted one; a mount that is covered by another
 * cannot be opened as cgroup2, so each is tried.
 */
static int find_mount(char **ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    _cleanup_free_ char *found = NULL;
    char *save = NULL;
    int r = file_read("/proc/self/mountinfo", MOUNTINFO_BYTES_MAX, &text, err);

    if (r < 0)
        return r;
    for (char *line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *point = cgroup2_mount_point(line);

        if (!point || (found && strcmp(found, "/sys/fs/cgroup") == 0))
            continue;
        free(found);
        found = xstrdup(point);
    }
    if (!found)
        return error_set(
            err, -ENOTSUP,
            "no cgroup2 file system is mounted: cgroup version 1 alone is not supported (mount one, mount -t "
            "cgroup2 none /sys/fs/cgroup/unified, or use --cgroup-manager=disabled)");
    *ret = steal(&found);
    return 0;
}

/* "0::/a/b" of /proc/PID/cgroup. */
static int own_path(const char *file, char **ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    char *save = NULL;
    int r = file_read(file, CGROUP_FILE_BYTES_MAX, &text, err);

    if (r < 0)
        return r;
    for (char *line = text.len ? strtok_r(text.data, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
        if (strncmp(line, "0::", 3) == 0) {
            *ret = xstrdup(line + 3);
            return 0;
        }
    return error_set(err, -ENOTSUP, "%s names no cgroup2 group", file);
}

int cgroup_hierarchy_open(struct cgroup_hierarchy *ret, struct error *err) {
    struct cgroup_hierarchy h = CGROUP_HIERARCHY_INIT;
    int r;

    /* the usual place needs no search: cgroup2 there is recognised by its files */
    h.fd = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (h.fd >= 0 && faccessat(h.fd, "cgroup.controllers", F_OK, 0) == 0) {
        h.mount = xstrdup("/sys/fs/cgroup");
    } else {
        closep(&h.fd);
        if ((r = find_mount(&h.mount, err)) < 0)
            return r;
        h.fd = open(h.mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (h.fd < 0) {
            r = error_set_errno(err, -errno, "cannot open %s", h.mount);
            cgroup_hierarchy_finish(&h);
            return r;
        }
    }
    if ((r = own_path("/proc/self/cgroup", &h.own, err)) < 0) {
        cgroup_hierarchy_finish(&h);
        return r;
    }
    *ret = h;
    return 0;
}

void cgroup_hierarchy_finish(struct cgroup_hierarchy *h) {
    closep(&h->fd);
    free(h->mount);
    free(h->own);
    *h = (struct cgroup_hierarchy) CGROUP_HIERARCHY_INIT;
}

int cgroup_path_of(const struct cgroup_hierarchy *h, pid_t pid, char **ret, struct error *err) {
    char file[64];

    (void) h;
    (void) snprintf(file, sizeof(file), "/proc/%d/cgroup", (int) pid);
    return own_path(file, ret, err);
}

void cgroup_finish(struct cgroup *cg) {
    closep(&cg->fd);
    free(cg->path);
    *cg = (struct cgroup) CGROUP_INIT;
}

static int check_path(const char *path, struct error *err) {
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");

        if (n == 2 && strncmp(p, "..", 2) == 0)
            return error_set(err, -EINVAL, "cgroup path %s: \"..\" is refused", path);
        p += n + (p[n] == '/');
    }
    return 0;
}

static const char *relative(const char *path) {
    while (*path == '/')
        path++;
    return *path ? path : ".";
}

int cgroup_open(const struct cgroup_hierarchy *h, const char *path, struct cgroup *ret, struct error *err) {
    int r = check_path(path, err);

    if (r < 0)
        return r;
    int fd = openat(h->fd, relative(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot open the cgroup %s%s%s", h->mount, path[0] == '/' ? "" : "/", path);
    *ret = (struct cgroup){.fd = fd, .path = path_join("/", path)};
    return 0;
}

#define PRUNED_MEANWHILE_MAX 8

/* mkdir of the parts between the first and the last. */
static int make_parents(int root, char *path) {
    for (char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
        *p = 0;
        int r = mkdirat(root, path, 0755) < 0 ? -errno : 0;
        *p = '/';
        if (r < 0 && r != -EEXIST)
            return r;
    }
    return 0;
}

/* mkdir of every part; *ret_created for the last. */
static int make_groups(int root, const char *path, bool *ret_created) {
    _cleanup_free_ char *copy = xstrdup(relative(path));

    *ret_created = false;
    for (int i = 0; i < PRUNED_MEANWHILE_MAX; i++) {
        *ret_created = mkdirat(root, copy, 0755) == 0;
        if (*ret_created || errno == EEXIST)
            return 0;
        if (errno != ENOENT)
            return -errno;
        int r = make_parents(root, copy);
        if (r < 0 && r != -ENOENT) /* a container that ends may prune them under our hands */
            return r;
    }
    return -ENOENT;
}

int cgroup_find_missing(const struct cgroup_hierarchy *h, const char *path, char **ret, struct error *err) {
    _cleanup_free_ char *copy = xstrdup(relative(path)), *missing = NULL;

    *ret = NULL;
    for (char *slash; (slash = strrchr(copy, '/'));) {
        *slash = 0;
        if (faccessat(h->fd, copy, F_OK, 0) == 0)
            break;
        if (errno != ENOENT)
            return error_set_errno(err, -errno, "cannot look at the cgroup %s/%s", h->mount, copy);
        free(missing);
        missing = path_join("/", copy);
    }
    *ret = steal(&missing);
    return 0;
}

int cgroup_prune(const struct cgroup_hierarchy *h, const char *path, const char *top, struct error *err) {
    _cleanup_free_ char *copy = xstrdup(relative(path));
    size_t shortest = strlen(relative(top));

    for (char *slash; (slash = strrchr(copy, '/')) && (size_t) (slash - copy) >= shortest;) {
        *slash = 0;
        if (unlinkat(h->fd, copy, AT_REMOVEDIR) == 0 || errno == ENOENT)
            continue;
        if (errno == EBUSY || errno == ENOTEMPTY)
            return 0;
        return error_set_errno(err, -errno, "cannot remove the cgroup %s/%s", h->mount, copy);
    }
    return 0;
}

int cgroup_create(const struct cgroup_hierarchy *h, const char *path, struct cgroup *ret, bool *ret_created,
                  struct error *err) {
    bool created;
    int r = check_path(path, err);

    if (r < 0)
        return r;
    r = make_groups(h->fd, path, &created);
    if (r < 0)
        return error_set_errno(err, r, "cannot make the cgroup %s/%s", h->mount, relative(path));
    if (ret_created)
        *ret_created = created;
    return cgroup_open(h, path, ret, err);
}

int cgroup_open_child(const struct cgroup *parent, const char *name, struct cgroup *ret, struct error *err) {
    if (file_name_is_unsafe(name))
        return error_set(err, -EINVAL, "\"%s\" is no name for a cgroup", name);
    int fd = openat(parent->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot open the cgroup %s/%s", parent->path, name);
    *ret = (struct cgroup){.fd = fd, .path = path_join(parent->path, name)};
    return 0;
}

int cgroup_create_child(const struct cgroup *parent, const char *name, struct cgroup *ret, struct error *err) {
    if (file_name_is_unsafe(name))
        return error_set(err, -EINVAL, "\"%s\" is no name for a cgroup", name);
    if (mkdirat(parent->fd, name, 0755) < 0 && errno != EEXIST)
        return error_set_errno(err, -errno, "cannot make the cgroup %s/%s", parent->path, name);
    return cgroup_open_child(parent, name, ret, err);
}

/* Sub-groups first: a group with groups inside cannot be removed. */
static int remove_groups(int parent, const char *name) {
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    if (errno != EBUSY && errno != ENOTEMPTY)
        return -errno;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    _cleanup_closedir_ DIR *dir = fdopendir(fd);
    if (!dir) {
        (void) close(fd);
        return -ENOMEM;
    }
    struct dirent *e;
    while ((e = readdir(dir))) {
        if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        int r = remove_groups(fd, e->d_name);
        if (r < 0)
            return r;
    }
    return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

int cgroup_remove(const struct cgroup_hierarchy *h, const char *path, struct error *err) {
    int r = check_path(path, err);

    if (r < 0)
        return r;
    r = remove_groups(h->fd, relative(path));
    return r < 0 ? error_set_errno(err, r, "cannot remove the cgroup %s/%s", h->mount, relative(path)) : 0;
}

int cgroup_remove_child(const struct cgroup *parent, const char *name, struct error *err) {
    if (file_name_is_unsafe(name))
        return error_set(err, -EINVAL, "\"%s\" is no name for a cgroup", name);
    int r = remove_groups(parent->fd, name);
    return r < 0 ? error_set_errno(err, r, "cannot remove the cgroup %s/%s", parent->path, name) : 0;
}

int cgroup_attach(const struct cgroup *cg, pid_t pid, struct error *err) {
    char text[16];

    (void) snprintf(text, sizeof(text), "%d", (int) pid);
    int r = file_write_at(cg->fd, "cgroup.procs", text, err);
    return r < 0 ? error_prefix(err, r, "cgroup %s", cg->path) : 0;
}

struct pid_list {
    pid_t *pids;
    size_t n, cap;
};

static int collect_pids(int dir_fd, bool recursive, struct pid_list *list) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    char *save = NULL;
    int r = file_read_at(dir_fd, "cgroup.procs", MOUNTINFO_BYTES_MAX, &text, NULL);

    if (r < 0)
        return r == -ENODEV || r == -ENOENT ? 0 : r; /* it went away meanwhile */
    for (char *line = text.len ? strtok_r(text.data, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
        xgrow(&list->pids, list->n, &list->cap);
        list->pids[list->n++] = (pid_t) strtol(line, NULL, 10);
    }
    if (!recursive)
        return 0;
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;
    while (dir && (e = readdir(dir))) {
        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        _cleanup_close_ int sub = openat(dir_fd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (sub >= 0 && (r = collect_pids(sub, true, list)) < 0)
            return r;
    }
    return 0;
}

int cgroup_pids(const struct cgroup *cg, bool recursive, pid_t **ret, size_t *ret_n, struct error *err) {
    struct pid_list list = {NULL, 0, 0};
    int r = collect_pids(cg->fd, recursive, &list);

    if (r < 0) {
        free(list.pids);
        return error_set_errno(err, r, "cannot read the processes of cgroup %s", cg->path);
    }
    *ret = list.pids;
    *ret_n = list.n;
    return 0;
}
