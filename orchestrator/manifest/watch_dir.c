/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/manifest/watch_dir.h"

#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "orchestrator/manifest/scan_dir.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/hashmap.h"
#include "podium/base/path.h"

/* In folders of the tree everything matters; above it, and in folders that links lead to, only some names. */
#define MASK_NAMES (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB)
#define MASK_FILES (MASK_NAMES | IN_MODIFY | IN_CLOSE_WRITE)

/* One watched folder; several roles may meet in one. */
struct folder {
    char *path;
    bool tree;
    char **names; /* that matter when it is not of the tree */
    unsigned run; /* the look that wanted it last */
};

struct watch_dir {
    sd_event *event;
    sd_event_source *io, *timer;
    int inotify;
    char *path;
    watch_dir_changed_fn changed;
    void *userdata;
    struct scan_dir *scan;
    struct hashmap *folders; /* watch descriptor as text -> struct folder */
    struct hashmap *writing; /* path -> uint64_t deadline: files that are open for writing */
    uint64_t due, due_max;   /* monotonic; 0: nothing to do */
    unsigned run;
    int watch_error; /* of inotify_add_watch in this run */
    bool first_done, reported_error;
    struct manifest_set set;
};

static void folder_free(void *p) {
    struct folder *f = p;
    free(f->path);
    strv_free(f->names);
    free(f);
}

/* --- timing --- */

static void arm(struct watch_dir *w) {
    uint64_t at = w->due;
    struct hashmap_iter it = {0};
    while (hashmap_next(w->writing, &it)) {
        uint64_t deadline = *(uint64_t *) it.value;
        if (at == 0 || deadline < at)
            at = deadline;
    }
    if (at == 0) {
        (void) sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
        return;
    }
    (void) sd_event_source_set_time(w->timer, at);
    (void) sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
}

static void look_soon(struct watch_dir *w) {
    uint64_t now = now_monotonic_usec();
    if (w->due == 0)
        w->due_max = now + WATCH_DIR_DELAY_MAX_USEC;
    w->due = now + WATCH_DIR_QUIET_USEC < w->due_max ? now + WATCH_DIR_QUIET_USEC : w->due_max;
}

static void mark_writing(struct watch_dir *w, const char *path) {
    uint64_t deadline = now_monotonic_usec() + WATCH_DIR_WRITING_USEC;
    hashmap_put(w->writing, path, xmemdup(&deadline, sizeof(deadline)));
}

/* True when a file has been written for too long without an event: it is taken as it is. */
static bool give_up_waiting(struct watch_dir *w) {
    uint64_t now = now_monotonic_usec();
    bool any = false;
    struct hashmap_iter it = {0};
    while (hashmap_next(w->writing, &it))
        if (*(uint64_t *) it.value <= now) {
            hashmap_remove(w->writing, it.key);
            any = true;
        }
    return any;
}

/* --- watches --- */

/* Watches a folder in one more role; name NULL: all of it. Paths are kept resolved, so that a file has one name
 * whichever way led to it. */
static void watch(struct watch_dir *w, const char *path, const char *name, uint32_t mask) {
    char key[16];
    int wd = inotify_add_watch(w->inotify, path, mask | IN_ONLYDIR | IN_MASK_ADD);
    if (wd < 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            w->watch_error = -errno;
        return;
    }
    snprintf(key, sizeof(key), "%d", wd);
    struct folder *f = hashmap_get(w->folders, key);
    if (!f) {
        f = xnew0(struct folder);
        f->names = strv_new();
        hashmap_put(w->folders, key, f);
    }
    if (f->run != w->run) { /* its roles of the last look are void */
        free(f->path);
        f->path = realpath(path, NULL) ?: xstrdup(path);
        f->tree = false;
        strv_free(f->names);
        f->names = strv_new();
        f->run = w->run;
    }
    if (!name)
        f->tree = true;
    else
        strv_push_dup(&f->names, name);
}

static void on_folder(void *userdata, const char *path) {
    watch(userdata, path, NULL, MASK_FILES);
}

static void on_target(void *userdata, const char *folder, const char *name) {
    watch(userdata, folder, name, MASK_FILES);
}

static void read_events(struct watch_dir *w);

/* What has happened up to now counts: a file just truncated has its event in the queue already. */
static bool on_unsettled(void *userdata, const char *path) {
    struct watch_dir *w = userdata;
    read_events(w);
    return hashmap_has(w->writing, path);
}

static void on_moving(void *userdata, const char *path) {
    mark_writing(userdata, path);
}

/* Every existing folder above the directory, for the name below it: each of them may be renamed or replaced. From the
 * top, so that one made meanwhile is noticed by the one above it. */
static void watch_parents(struct watch_dir *w) {
    for (const char *slash = w->path; slash; slash = strchr(slash + 1, '/')) {
        _cleanup_free_ char *parent = xstrndup(w->path, (size_t) (slash - w->path));
        _cleanup_free_ char *name = xstrndup(slash + 1, strcspn(slash + 1, "/"));
        watch(w, *parent ? parent : "/", name, MASK_NAMES);
    }
}

static void drop_unwanted(struct watch_dir *w) {
    struct hashmap_iter it = {0};
    while (hashmap_next(w->folders, &it))
        if (((struct folder *) it.value)->run != w->run) {
            (void) inotify_rm_watch(w->inotify, (int) strtol(it.key, NULL, 10));
            hashmap_remove(w->folders, it.key);
        }
}

/* --- looking --- */

static void note_watch_error(struct watch_dir *w) {
    if (w->watch_error == 0)
        return;
    _cleanup_free_ char *text =
        xasprintf("%s:1:1: cannot watch every folder: %s%s", w->path, strerror(-w->watch_error),
                  w->watch_error == -ENOSPC ? "; raise the sysctl fs.inotify.max_user_watches" : "");
    manifest_set_add_problem(&w->set, "", text);
}

/* Watches come before the look at each folder, so what happens meanwhile leads to another look. The callback comes
 * last: it may free the watcher. */
static void look(struct watch_dir *w) {
    read_events(w);
    w->due = 0;
    w->run++;
    w->watch_error = 0;
    watch_parents(w);
    bool differs = scan_dir_run(w->scan);
    drop_unwanted(w);
    arm(w);
    if (!differs && w->first_done && (w->watch_error != 0) == w->reported_error)
        return;
    w->first_done = true;
    w->reported_error = w->watch_error != 0;
    manifest_set_finish(&w->set);
    scan_dir_collect(w->scan, &w->set);
    note_watch_error(w);
    w->changed(w->userdata, &w->set);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
    struct watch_dir *w = userdata;
    bool overdue = give_up_waiting(w);
    if (overdue || (w->due != 0 && w->due <= now_monotonic_usec()))
        look(w);
    else
        arm(w);
    return 0;
}

/* --- events --- */

static bool name_matters(const struct folder *f, const char *name) {
    if (f->tree) /* "..data" is how Kubernetes swaps a whole volume; other dot files never count */
        return name[0] != '.' || strncmp(name, "..", 2) == 0;
    for (char **n = f->names; *n; n++)
        if (strcmp(*n, name) == 0)
            return true;
    return false;
}

/* A file that was made as a hard link, or as a symbolic one, is complete from the start. */
static bool is_being_made(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
}

static void on_name(struct watch_dir *w, const struct folder *f, uint32_t mask, const char *name) {
    _cleanup_free_ char *path = path_join(f->path, name);
    if (!name_matters(f, name))
        return;
    if ((mask & (IN_MODIFY | IN_CREATE)) != 0 && (mask & IN_ISDIR) == 0 && is_being_made(path)) {
        mark_writing(w, path); /* what it holds counts when it is closed */
        return;
    }
    if ((mask & (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)) != 0)
        hashmap_remove(w->writing, path);
    look_soon(w);
}

static void on_inotify(struct watch_dir *w, const struct inotify_event *e) {
    char key[16];
    if ((e->mask & IN_Q_OVERFLOW) != 0) {
        look_soon(w);
        return;
    }
    snprintf(key, sizeof(key), "%d", e->wd);
    const struct folder *f = hashmap_get(w->folders, key);
    if (!f)
        return; /* of a watch that is no more */
    if ((e->mask & IN_IGNORED) != 0)
        hashmap_remove(w->folders, key);
    else if (e->len > 0)
        on_name(w, f, e->mask, e->name);
    else /* the folder itself: moved, removed, its mode changed */
        look_soon(w);
}

static void read_events(struct watch_dir *w) {
    char buffer[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
    for (;;) {
        ssize_t n = read(w->inotify, buffer, sizeof(buffer));
        if (n <= 0)
            return; /* EAGAIN: all read */
        for (const char *p = buffer; p < buffer + n;) {
            const struct inotify_event *e = (const void *) p;
            on_inotify(w, e);
            p += sizeof(*e) + e->len;
        }
    }
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    struct watch_dir *w = userdata;
    read_events(w);
    arm(w);
    return 0;
}

/* --- life --- */

int watch_dir_new(sd_event *event, const char *path, watch_dir_changed_fn changed, void *userdata,
                  struct watch_dir **ret, struct error *err) {
    if (path[0] != '/')
        return error_set(err, -EINVAL, "the manifest directory must be an absolute path, not %s", path);
    _cleanup_(watch_dir_freep) struct watch_dir *w = xnew0(struct watch_dir);
    w->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->inotify < 0)
        return error_set_errno(err, -errno, "cannot watch %s: inotify_init1", path);
    w->event = sd_event_ref(event);
    w->path = xstrdup(path);
    for (size_t n = strlen(w->path); n > 1 && w->path[n - 1] == '/'; n--)
        w->path[n - 1] = '\0';
    w->changed = changed;
    w->userdata = userdata;
    w->folders = hashmap_new(folder_free);
    w->writing = hashmap_new(free);
    const struct scan_hooks hooks = {w, on_folder, on_target, on_unsettled, on_moving};
    w->scan = scan_dir_new(w->path, &hooks);
    int r = sd_event_add_io(event, &w->io, w->inotify, EPOLLIN, on_io, w);
    if (r >= 0)
        r = sd_event_add_time(event, &w->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, w);
    if (r < 0)
        return error_set_errno(err, r, "cannot watch %s: event loop", path);
    w->due = now_monotonic_usec();
    arm(w);
    *ret = steal(&w);
    return 0;
}

void watch_dir_free(struct watch_dir *w) {
    if (!w)
        return;
    sd_event_source_disable_unref(w->io);
    sd_event_source_disable_unref(w->timer);
    sd_event_unref(w->event);
    closep(&w->inotify);
    scan_dir_free(w->scan);
    hashmap_free(w->folders);
    hashmap_free(w->writing);
    manifest_set_finish(&w->set);
    free(w->path);
    free(w);
}

const struct manifest_set *watch_dir_current(const struct watch_dir *w) {
    return w->first_done ? &w->set : NULL;
}
