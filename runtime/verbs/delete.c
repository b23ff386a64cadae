/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>

#include "podium/base/alloc.h"
#include "runtime/verbs/container_file.h"
#include "runtime/verbs/creation.h"
#include "runtime/verbs/verbs.h"

#define END_TIMEOUT_MSEC 10000

static const char usage[] = "delete [--force] [--regex] ID";

static int end_process(const struct container_file *f, struct error *err) {
    struct pollfd p = {.fd = f->pidfd, .events = POLLIN};

    if (f->pidfd < 0)
        return 0;
    if (pidfd_send_signal(f->pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
        return error_set_errno(err, -errno, "cannot kill the container");
    int n;
    do
        n = poll(&p, 1, END_TIMEOUT_MSEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_set_errno(err, -errno, "cannot wait for the container's end");
    if (n == 0)
        return error_set(err, -ETIMEDOUT, "the container's process did not end within %d s", END_TIMEOUT_MSEC / 1000);
    return 0;
}

/* Where the process of a container is whose document is lost. */
static char *group_of(const struct container_file *f) {
    _cleanup_(cgroup_hierarchy_finish) struct cgroup_hierarchy h = CGROUP_HIERARCHY_INIT;
    char *path = NULL;

    if (!f->damaged || f->pidfd < 0 || cgroup_hierarchy_open(&h, NULL) < 0 ||
        cgroup_path_of(&h, f->state.pid, &path, NULL) < 0)
        return NULL;
    return path;
}

/* It may have been others', too: it goes only if nobody is left in it. */
static void remove_empty_group(const char *path) {
    _cleanup_(cgroup_hierarchy_finish) struct cgroup_hierarchy h = CGROUP_HIERARCHY_INIT;

    if (path && cgroup_hierarchy_open(&h, NULL) == 0) {
        int r = cgroup_remove(&h, path, NULL);
        (void) r;
    }
}

static int delete_container(const struct baton *b, const char *id, bool force, struct error *err) {
    _cleanup_(container_file_finish) struct container_file f = CONTAINER_FILE_INIT;
    int r = force ? container_file_open_damaged(b, id, &f, err) : container_file_open(b, id, &f, err);

    if (r == -ENOENT && force) {
        error_clear(err);
        return 0;
    }
    if (r < 0)
        return r;
    if ((f.status == STATE_RUNNING || f.status == STATE_PAUSED) && !force)
        return error_set(err, -EBUSY, "cannot delete container %s that is not stopped: %s", id,
                         state_status_name(f.status));
    if (f.status == STATE_PAUSED) { /* a frozen process cannot be killed by a signal alone */
        _cleanup_(cgroup_finish) struct cgroup cg = CGROUP_INIT;

        if (container_file_cgroup(&f, &cg, NULL) == 0 && (r = cgroup_freeze(&cg, false, err)) < 0)
            return r;
    }
    _cleanup_free_ char *group = group_of(&f);
    if ((r = end_process(&f, err)) < 0)
        return r;
    remove_empty_group(group);
    return creation_destroy(b, &f.dir, &f.state, err);
}

/* Goes on after one that cannot be deleted. */
static int delete_matching(const struct baton *b, const char *pattern, bool force, struct error *err) {
    _cleanup_strv_ char **ids = NULL;
    int first = 0, r = container_ids_matching(b, pattern, &ids, err);

    if (r < 0)
        return r;
    for (size_t i = 0; ids[i]; i++)
        if ((r = delete_container(b, ids[i], force, first < 0 ? NULL : err)) < 0 && first == 0)
            first = r;
    return first;
}

int verb_delete(const struct baton *b, int argc, char **argv) {
    static const struct option options[] = {
        {"force", no_argument, NULL, 'f'}, {"regex", no_argument, NULL, 'r'}, {NULL, 0, NULL, 0}};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    bool force = false, regex = false;
    int c;

    while ((c = getopt_long(argc, argv, "+fr", options, NULL)) >= 0)
        if (c == 'f')
            force = true;
        else if (c == 'r')
            regex = true;
        else
            return baton_usage(b, usage, NULL);
    if (argc - optind != 1)
        return baton_usage(b, usage, "exactly one container id is needed");
    int r = regex ? delete_matching(b, argv[optind], force, &err) : delete_container(b, argv[optind], force, &err);
    return r < 0 ? baton_fail(b, &err, r) : 0;
}
