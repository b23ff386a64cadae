/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/state/state.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/limits.h"
#include "podium/base/path.h"
#include "podium/base/strbuf.h"
#include "runtime/spec/spec.h"

#define ID_BYTES_MAX    255
#define STATE_FILE      "state.json"
#define STATE_NEW       ".state.json"
#define STATE_PROCESS   "process"
#define STATE_BYTES_MAX (CONFIG_JSON_BYTES_MAX + (64u << 10))

static int check_id(const char *id, struct error *err) {
    size_t n = strlen(id);
    bool ok = n > 0 && n <= ID_BYTES_MAX && strcmp(id, ".") != 0 && strcmp(id, "..") != 0;

    for (const char *p = id; ok && *p; p++)
        ok = isalnum((unsigned char) *p) || strchr("_+-.", *p);
    return ok ? 0
              : error_set(err, -EINVAL,
                          "invalid container id \"%s\": letters, digits and _ + - . are allowed, up to %d", id,
                          ID_BYTES_MAX);
}

static int open_root(const char *root, bool create, int *ret, struct error *err) {
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT && create) {
        int r = mkdir_parents(root, 0711, err);

        if (r < 0)
            return r;
        fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot open the state folder %s", root);
    *ret = fd;
    return 0;
}

static int lock(int fd) {
    while (flock(fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

int state_dir_create(const char *root, const char *id, struct state_dir *ret, struct error *err) {
    struct state_dir dir = STATE_DIR_INIT;
    int r = check_id(id, err);

    if (r < 0 || (r = open_root(root, true, &dir.root_fd, err)) < 0)
        return r;
    if (mkdirat(dir.root_fd, id, 0700) < 0)
        r = errno == EEXIST ? error_set(err, -EEXIST, "container with id \"%s\" exists already", id)
                            : error_set_errno(err, -errno, "cannot make %s/%s", root, id);
    else if ((dir.fd = openat(dir.root_fd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)) < 0 ||
             lock(dir.fd) < 0) {
        r = error_set_errno(err, -errno, "cannot open %s/%s", root, id);
        (void) unlinkat(dir.root_fd, id, AT_REMOVEDIR);
    }
    if (r < 0) {
        state_dir_finish(&dir);
        return r;
    }
    dir.id = xstrdup(id);
    *ret = dir;
    return 0;
}

int state_dir_open(const char *root, const char *id, struct state_dir *ret, struct error *err) {
    struct state_dir dir = STATE_DIR_INIT;
    struct stat st;
    int r = check_id(id, err);

    if (r < 0)
        return r;
    r = open_root(root, false, &dir.root_fd, NULL);
    if (r == 0) {
        dir.fd = openat(dir.root_fd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        r = dir.fd < 0 ? -errno : lock(dir.fd);
    }
    /* while we waited for the lock it may have been deleted */
    if (r == 0 && (fstat(dir.fd, &st) < 0 || st.st_nlink == 0))
        r = -ENOENT;
    if (r < 0) {
        state_dir_finish(&dir);
        return r == -ENOENT ? error_set(err, r, "container \"%s\" does not exist", id)
                            : error_set_errno(err, r, "cannot open %s/%s", root, id);
    }
    dir.id = xstrdup(id);
    *ret = dir;
    return 0;
}

int state_dir_remove(struct state_dir *dir, struct error *err) {
    static const char *const files[] = {STATE_PROCESS, STATE_NEW, STATE_START_SOCKET, STATE_FILE};

    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        if (unlinkat(dir->fd, files[i], 0) < 0 && errno != ENOENT)
            return error_set_errno(err, -errno, "cannot remove %s of container %s", files[i], dir->id);
    if (unlinkat(dir->root_fd, dir->id, AT_REMOVEDIR) == 0)
        return 0;
    return rm_tree_at(dir->root_fd, dir->id, err);
}

void state_dir_finish(struct state_dir *dir) {
    closep(&dir->fd);
    closep(&dir->root_fd);
    free(dir->id);
    *dir = (struct state_dir) STATE_DIR_INIT;
}

static int compare(const void *a, const void *b) {
    return strcmp(*(char *const *) a, *(char *const *) b);
}

int state_list(const char *root, char ***ret, struct error *err) {
    _cleanup_closedir_ DIR *d = opendir(root);
    _cleanup_strv_ char **ids = strv_new();
    struct dirent *e;

    if (!d && errno != ENOENT)
        return error_set_errno(err, -errno, "cannot open the state folder %s", root);
    while (d && (e = readdir(d)))
        if (e->d_type == DT_DIR && e->d_name[0] != '.' && check_id(e->d_name, NULL) == 0)
            strv_push_dup(&ids, e->d_name);
    qsort(ids, strv_len(ids), sizeof(*ids), compare);
    *ret = steal(&ids);
    return 0;
}

int state_write(const struct state_dir *dir, const struct state *s, struct error *err) {
    _cleanup_json_ struct json *doc = NULL;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    json_set(&doc, "bundle", json_string(s->bundle));
    json_set(&doc, "rootfs", json_string(s->rootfs));
    json_set(&doc, "cgroup", json_string(s->cgroup));
    if (s->cgroup_top)
        json_set(&doc, "cgroupTop", json_string(s->cgroup_top));
    if (s->unit)
        json_set(&doc, "unit", json_string(s->unit));
    json_set(&doc, "created", json_string(s->created));
    json_set(&doc, "config", json_ref(s->config));
    json_write(doc, 0, &text);
    _cleanup_close_ int fd = openat(dir->fd, STATE_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int r = fd < 0 ? -errno : fd_write_all(fd, text.data, text.len);
    if (r == 0 && renameat(dir->fd, STATE_NEW, dir->fd, STATE_FILE) < 0)
        r = -errno;
    return r < 0 ? error_set_errno(err, r, "cannot write the state of container %s", dir->id) : 0;
}

int state_write_process(const struct state_dir *dir, const struct state *s, struct error *err) {
    char text[48];

    /* a link is made whole or not at all, in one call */
    (void) snprintf(text, sizeof(text), "%d %llu", (int) s->pid, (unsigned long long) s->pid_start);
    if (symlinkat(text, dir->fd, STATE_PROCESS) < 0)
        return error_set_errno(err, -errno, "cannot record the process of container %s", dir->id);
    return 0;
}

static int read_process(const struct state_dir *dir, struct state *s) {
    char text[48], *end;
    ssize_t n = readlinkat(dir->fd, STATE_PROCESS, text, sizeof(text) - 1);

    if (n < 0)
        return errno == ENOENT ? 0 : -errno;
    text[n] = 0;
    s->pid = (pid_t) strtol(text, &end, 10);
    s->pid_start = *end == ' ' ? strtoull(end + 1, &end, 10) : 0;
    return *end ? -EINVAL : 0;
}

static char *copy(const struct json *doc, const char *key) {
    const char *s = json_str(json_get(doc, key));

    return s ? xstrdup(s) : NULL;
}

int state_read(const struct state_dir *dir, struct state *ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    _cleanup_json_ struct json *doc = NULL;
    int r;

    *ret = (struct state) STATE_INIT;
    if ((r = read_process(dir, ret)) < 0)
        return error_set_errno(err, r, "cannot read the process of container %s", dir->id);
    r = file_read_at(dir->fd, STATE_FILE, STATE_BYTES_MAX, &text, err);
    if (r == -ENOENT) { /* the creation did not come that far */
        error_clear(err);
        return 0;
    }
    if (r < 0 || (r = json_parse(text.data, text.len, NULL, &doc, err)) < 0)
        return error_prefix(err, r, "state of container %s", dir->id);
    if (ret->pid == 0) { /* of a container that 0.1.0 has made: the process was in the document */
        ret->pid = (pid_t) json_int_or(json_get(doc, "pid"), 0);
        ret->pid_start = (uint64_t) json_int_or(json_get(doc, "pidStart"), 0);
    }
    ret->bundle = copy(doc, "bundle");
    ret->rootfs = copy(doc, "rootfs");
    ret->cgroup = copy(doc, "cgroup");
    ret->cgroup_top = copy(doc, "cgroupTop");
    ret->unit = copy(doc, "unit");
    ret->created = copy(doc, "created");
    ret->config = json_ref(json_get(doc, "config"));
    return 0;
}

void state_finish(struct state *s) {
    free(s->bundle);
    free(s->rootfs);
    free(s->cgroup);
    free(s->cgroup_top);
    free(s->unit);
    free(s->created);
    json_unref(s->config);
    *s = (struct state) STATE_INIT;
}

int state_pid_start(pid_t pid, uint64_t *ret) {
    char path[64], text[1024];

    (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n < 0)
        return errno == ENOENT ? -ESRCH : -errno;
    text[n] = 0;
    /* the name in parentheses may hold anything: fields count from the last one */
    char *at = strrchr(text, ')');
    if (!at || at[1] == 0 || at[2] == 'Z' || at[2] == 'X')
        return -ESRCH;
    at += 1;
    for (int field = 3; field < 22 && at; field++)
        at = strchr(at + 1, ' ');
    if (!at)
        return -ESRCH;
    *ret = strtoull(at + 1, NULL, 10);
    return 0;
}

int state_status(const struct state_dir *dir, const struct state *s, enum state_status *ret, int *ret_pidfd,
                 struct error *err) {
    _cleanup_close_ int pidfd = -EBADF;
    uint64_t start = 0;
    int r = 0;

    *ret = s->pid <= 0 ? STATE_CREATING : STATE_STOPPED;
    if (ret_pidfd)
        *ret_pidfd = -1;
    if (s->pid <= 0)
        return 0;
    if ((pidfd = pidfd_open(s->pid, 0)) < 0)
        r = -errno;
    else
        r = state_pid_start(s->pid, &start);
    if (r == -ESRCH || (r == 0 && start != s->pid_start))
        return 0;
    if (r < 0)
        return error_set_errno(err, r, "cannot tell whether container %s is running", dir->id);
    r = faccessat(dir->fd, STATE_START_SOCKET, F_OK, 0) < 0 ? -errno : 0;
    if (r < 0 && r != -ENOENT)
        return error_set_errno(err, r, "cannot tell whether container %s has been started", dir->id);
    *ret = r == 0 ? STATE_CREATED : STATE_RUNNING;
    if (ret_pidfd)
        *ret_pidfd = steal_fd(&pidfd);
    return 0;
}

const char *state_status_name(enum state_status status) {
    static const char *const names[] = {"creating", "created", "running", "paused", "stopped"};

    return names[status];
}

struct json *state_document(const struct state_dir *dir, const struct state *s, enum state_status status) {
    const struct json *annotations = json_get(s->config, "annotations");
    struct json *doc = NULL;

    json_set(&doc, "ociVersion", json_string(SPEC_OCI_VERSION));
    json_set(&doc, "id", json_string(dir->id));
    json_set(&doc, "pid", json_int(status == STATE_STOPPED ? 0 : s->pid));
    json_set(&doc, "status", json_string(state_status_name(status)));
    json_set(&doc, "bundle", json_string(s->bundle ? s->bundle : ""));
    if (s->rootfs)
        json_set(&doc, "rootfs", json_string(s->rootfs));
    if (s->created)
        json_set(&doc, "created", json_string(s->created));
    json_set(&doc, "owner", json_string(""));
    if (json_is_object(annotations))
        json_set(&doc, "annotations", json_ref(annotations));
    return doc;
}
