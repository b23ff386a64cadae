/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/verbs/container_file.h"

#include <signal.h>
#include <string.h>
#include <strings.h>

int container_file_cgroup(const struct container_file *f, struct cgroup *ret, struct error *err) {
    _cleanup_(cgroup_hierarchy_finish) struct cgroup_hierarchy h = CGROUP_HIERARCHY_INIT;
    int r;

    if (!f->state.cgroup)
        return error_set(err, -ENOENT, "container %s has no cgroup", f->dir.id);
    if ((r = cgroup_hierarchy_open(&h, err)) < 0)
        return r;
    return cgroup_open(&h, f->state.cgroup, ret, err);
}

static bool is_frozen(const struct container_file *f) {
    _cleanup_(cgroup_finish) struct cgroup cg = CGROUP_INIT;
    _cleanup_close_ int fd = -EBADF;
    struct cgroup_events ev = {false, false};

    return container_file_cgroup(f, &cg, NULL) == 0 && cgroup_events_open(&cg, &fd, NULL) == 0 &&
           cgroup_events_read(fd, &ev, NULL) == 0 && ev.frozen;
}

int container_file_open(const struct baton *b, const char *id, struct container_file *ret, struct error *err) {
    struct container_file f = CONTAINER_FILE_INIT;
    int r = state_dir_open(b->root, id, &f.dir, err);

    if (r < 0)
        return r;
    if ((r = state_read(&f.dir, &f.state, err)) < 0) {
        state_dir_finish(&f.dir);
        return r;
    }
    f.status = state_status(&f.dir, &f.state, &f.pidfd);
    if (f.status == STATE_RUNNING && is_frozen(&f))
        f.status = STATE_PAUSED;
    *ret = f;
    return 0;
}

void container_file_finish(struct container_file *f) {
    closep(&f->pidfd);
    f->pidfd = -1;
    state_finish(&f->state);
    state_dir_finish(&f->dir);
}

int signal_number(const char *name) {
    char *end;
    long n = strtol(name, &end, 10);

    if (*name && !*end)
        return n > 0 && n < NSIG ? (int) n : -EINVAL;
    if (strncasecmp(name, "SIG", 3) == 0)
        name += 3;
    for (int i = 1; i < NSIG; i++) {
        const char *known = sigabbrev_np(i);

        if (known && strcasecmp(known, name) == 0)
            return i;
    }
    if (strncasecmp(name, "RTMIN+", 6) == 0)
        n = SIGRTMIN + strtol(name + 6, &end, 10);
    else if (strncasecmp(name, "RTMAX-", 6) == 0)
        n = SIGRTMAX - strtol(name + 6, &end, 10);
    else
        return -EINVAL;
    return !*end && n >= SIGRTMIN && n <= SIGRTMAX ? (int) n : -EINVAL;
}
