/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/disposal.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "orchestrator/agent/child_task.h"
#include "podium/base/alloc.h"
#include "podium/base/log.h"
#include "podium/base/path.h"
#include "podium/base/random.h"

#define NAME_CHARS 16

struct disposal {
    sd_event *loop;
    char *dir;
    struct child_task *task; /* NULL: none runs */
    bool again;              /* something came while it ran */
    void (*notify)(void *userdata);
    void *userdata;
};

/* In the child: removes what is in the folder, tells what could not be. */
static void empty(const char *dir, int out_fd) {
    _cleanup_closedir_ DIR *d = opendir(dir);
    struct dirent *e;

    while (d && (e = readdir(d))) {
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        int r = rm_tree_at(dirfd(d), e->d_name, &err);
        if (r < 0)
            (void) dprintf(out_fd, "%s\n", error_text(&err, r));
    }
}

static void start(struct disposal *d);

static void on_done(void *userdata, const char *text) {
    struct disposal *d = userdata;

    if (*text)
        log_warning("%s: %.*s", d->dir, (int) strcspn(text, "\n"), text);
    child_task_free(steal(&d->task));
    if (d->again)
        start(d);
    else if (d->notify)
        d->notify(d->userdata);
}

static void start(struct disposal *d) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    d->again = d->task != NULL;
    if (d->task)
        return;
    int r = child_task_start(d->loop, empty, d->dir, on_done, d, &d->task, &err);
    if (r < 0)
        log_warning("%s cannot be emptied now: %s", d->dir, error_text(&err, r));
}

static bool is_empty(const char *path) {
    _cleanup_closedir_ DIR *d = opendir(path);
    struct dirent *e;

    while (d && (e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            return false;
    return true;
}

struct disposal *disposal_new(sd_event *loop, const char *state_dir) {
    struct disposal *d = xnew0(struct disposal);

    d->loop = loop;
    d->dir = path_join(state_dir, "trash");
    if (!is_empty(d->dir))
        start(d);
    return d;
}

bool disposal_is_busy(const struct disposal *d) {
    return d->task != NULL;
}

void disposal_set_notify(struct disposal *d, void (*notify)(void *userdata), void *userdata) {
    d->notify = notify;
    d->userdata = userdata;
}

void disposal_free(struct disposal *d) {
    if (!d)
        return;
    child_task_free(d->task);
    free(d->dir);
    free(d);
}

int disposal_take(struct disposal *d, const char *path, struct error *err) {
    char name[NAME_CHARS + 1];

    int r = mkdir_parents(d->dir, 0700, err);
    if (r < 0)
        return r;
    random_name_suffix(name, NAME_CHARS);
    _cleanup_free_ char *target = path_join(d->dir, name);
    if (rename(path, target) == 0) {
        start(d);
        return 0;
    }
    return errno == ENOENT ? 0 : rm_tree(path, err);
}
