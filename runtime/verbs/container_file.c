/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/verbs/container_file.h"

#include <regex.h>
#include <signal.h>
#include <string.h>
#include <strings.h>

#include "podium/base/alloc.h"

int container_file_cgroup(const struct container_file *f, struct cgroup *ret, struct error *err) {
    _cleanup_(cgroup_hierarchy_finish) struct cgroup_hierarchy h = CGROUP_HIERARCHY_INIT;
    int r;

    if (!f->state.cgroup)
        return error_set(err, -ENOENT, "container %s has no cgroup", f->dir.id);
    if ((r = cgroup_hierarchy_open(&h, err)) < 0)
        return r;
    return cgroup_open(&h, f->state.cgroup, ret, err);
}

/* Running, or frozen. Without a group of its own (or one that is gone) it cannot be frozen. */
static int look_whether_frozen(struct container_file *f, struct error *err) {
    _cleanup_(cgroup_finish) struct cgroup cg = CGROUP_INIT;
    _cleanup_close_ int fd = -EBADF;
    struct cgroup_events ev = {false, false};
    int r;

    if (!f->state.cgroup)
        return 0;
    r = container_file_cgroup(f, &cg, err);
    if (r == -ENOENT || r == -ENOTSUP) {
        error_clear(err);
        return 0;
    }
    if (r < 0 || (r = cgroup_events_open(&cg, &fd, err)) < 0 || (r = cgroup_events_read(fd, &ev, err)) < 0)
        return r;
    if (ev.frozen)
        f->status = STATE_PAUSED;
    return 0;
}

/* After an error dir and what could be read of state stay in *f. */
static int open_file(const struct baton *b, const char *id, struct container_file *f, struct error *err) {
    int r = state_dir_open(b->root, id, &f->dir, err);

    if (r < 0 || (r = state_read(&f->dir, &f->state, err)) < 0)
        return r;
    return state_status(&f->dir, &f->state, &f->status, &f->pidfd, err);
}

int container_file_open(const struct baton *b, const char *id, struct container_file *ret, struct error *err) {
    struct container_file f = CONTAINER_FILE_INIT;
    int r = open_file(b, id, &f, err);

    if (r == 0 && f.status == STATE_RUNNING)
        r = look_whether_frozen(&f, err);
    if (r < 0)
        container_file_finish(&f);
    *ret = f;
    return r;
}

int container_file_open_damaged(const struct baton *b, const char *id, struct container_file *ret, struct error *err) {
    struct container_file f = CONTAINER_FILE_INIT;
    int r = open_file(b, id, &f, err);

    if (f.dir.fd >= 0 && (r == -EINVAL || r == -EFBIG || r == -E2BIG || r == -ELOOP)) {
        error_clear(err);
        f.damaged = true;
        r = state_status(&f.dir, &f.state, &f.status, &f.pidfd, err);
    }
    if (r == 0 && f.status == STATE_RUNNING)
        r = look_whether_frozen(&f, err);
    if (r < 0)
        container_file_finish(&f);
    *ret = f;
    return r;
}

void container_file_finish(struct container_file *f) {
    closep(&f->pidfd);
    f->pidfd = -1;
    state_finish(&f->state);
    state_dir_finish(&f->dir);
}

int container_ids_matching(const struct baton *b, const char *pattern, char ***ret, struct error *err) {
    _cleanup_strv_ char **all = NULL;
    regex_t regex;
    int r = regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB);

    if (r != 0) {
        char text[128];

        (void) regerror(r, &regex, text, sizeof(text));
        return error_set(err, -EINVAL, "%s is no regular expression: %s", pattern, text);
    }
    if ((r = state_list(b->root, &all, err)) == 0) {
        *ret = strv_new();
        for (size_t i = 0; all[i]; i++)
            if (regexec(&regex, all[i], 0, NULL, 0) == 0)
                strv_push_dup(ret, all[i]);
    }
    regfree(&regex);
    return r;
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
