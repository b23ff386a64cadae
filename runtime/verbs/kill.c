/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <getopt.h>
#include <signal.h>
#include <sys/pidfd.h>

#include "podium/base/alloc.h"
#include "runtime/verbs/container_file.h"
#include "runtime/verbs/verbs.h"

static const char usage[] = "kill [--all] [--regex] ID [SIGNAL]";

static int kill_one(const struct container_file *f, int sig, struct error *err) {
    if (f->pidfd < 0)
        return error_set(err, -ESRCH, "container not running");
    if (pidfd_send_signal(f->pidfd, sig, NULL, 0) < 0)
        return errno == ESRCH ? error_set(err, -ESRCH, "container not running")
                              : error_set_errno(err, -errno, "cannot signal the container");
    return 0;
}

/* To every process of its cgroup; works on a stopped container, too. */
static int kill_all(const struct container_file *f, int sig, struct error *err) {
    _cleanup_(cgroup_finish) struct cgroup cg = CGROUP_INIT;
    _cleanup_free_ pid_t *pids = NULL;
    size_t n = 0;
    int r;

    if (!f->state.cgroup) /* without a group only its pid namespace holds it together, and that ends with its first */
        return kill_one(f, sig, err);
    if ((r = container_file_cgroup(f, &cg, err)) < 0)
        return r;
    if (sig == SIGKILL)
        return cgroup_kill(&cg, err);
    if ((r = cgroup_pids(&cg, true, &pids, &n, err)) < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        if (kill(pids[i], sig) < 0 && errno != ESRCH)
            return error_set_errno(err, -errno, "cannot signal process %d", (int) pids[i]);
    return 0;
}

static int kill_container(const struct baton *b, const char *id, bool all, int sig, struct error *err) {
    _cleanup_(container_file_finish) struct container_file f = CONTAINER_FILE_INIT;
    int r = container_file_open(b, id, &f, err);

    return r < 0 ? r : all ? kill_all(&f, sig, err) : kill_one(&f, sig, err);
}

/* Goes on after one that cannot be reached. */
static int kill_matching(const struct baton *b, const char *pattern, bool all, int sig, struct error *err) {
    _cleanup_strv_ char **ids = NULL;
    int first = 0, r = container_ids_matching(b, pattern, &ids, err);

    if (r < 0)
        return r;
    for (size_t i = 0; ids[i]; i++)
        if ((r = kill_container(b, ids[i], all, sig, first < 0 ? NULL : err)) < 0 && first == 0)
            first = r;
    return first;
}

int verb_kill(const struct baton *b, int argc, char **argv) {
    static const struct option options[] = {
        {"all", no_argument, NULL, 'a'}, {"regex", no_argument, NULL, 'r'}, {NULL, 0, NULL, 0}};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    bool all = false, regex = false;
    int c;

    while ((c = getopt_long(argc, argv, "+ar", options, NULL)) >= 0)
        if (c == 'a')
            all = true;
        else if (c == 'r')
            regex = true;
        else
            return baton_usage(b, usage, NULL);
    if (argc - optind < 1 || argc - optind > 2)
        return baton_usage(b, usage, "a container id is needed");
    int sig = signal_number(argc - optind == 2 ? argv[optind + 1] : "TERM");
    if (sig < 0)
        return baton_usage(b, usage, "the signal is not known");
    int r = regex ? kill_matching(b, argv[optind], all, sig, &err) : kill_container(b, argv[optind], all, sig, &err);
    return r < 0 ? baton_fail(b, &err, r) : 0;
}
