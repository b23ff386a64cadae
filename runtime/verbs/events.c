/* SPDX-License-Identifier: GPL-2.0-or-later */
/* events: one JSON document a line, of statistics in an interval and of kills for want of memory, until the container
 * ends. */
#include <getopt.h>
#include <poll.h>
#include <string.h>
#include <sys/timerfd.h>

#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/strbuf.h"
#include "runtime/verbs/container_file.h"
#include "runtime/verbs/statistics.h"
#include "runtime/verbs/verbs.h"

#define INTERVAL_DEFAULT_USEC (5 * USEC_PER_SEC)

static const char usage[] = "events [--interval DURATION] [--stats] ID";

static int print_line(struct json *take, struct error *err) {
    _cleanup_json_ struct json *event = take;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    json_write(event, 0, &text);
    strbuf_addc(&text, '\n');
    int r = fd_write_all(STDOUT_FILENO, text.data, text.len);
    return r < 0 ? error_set_errno(err, r, "cannot write to standard output") : 0;
}

static int print_statistics(const char *id, const struct cgroup *cg, struct error *err) {
    _cleanup_json_ struct json *statistics = NULL;
    int r = cgroup_statistics(cg, &statistics, err);

    return r < 0 ? r : print_line(statistics_event(id, statistics), err);
}

static int make_timer(uint64_t usec, int *ret, struct error *err) {
    struct itimerspec every = {.it_interval = {(time_t) (usec / USEC_PER_SEC), (long) (usec % USEC_PER_SEC) * 1000}};
    _cleanup_close_ int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

    every.it_value = every.it_interval;
    if (fd < 0 || timerfd_settime(fd, 0, &every, NULL) < 0)
        return error_set_errno(err, -errno, "cannot make a timer");
    *ret = steal_fd(&fd);
    return 0;
}

/* A new kill since the last look? */
static int look_for_kills(const char *id, const struct cgroup *cg, uint64_t *seen, struct error *err) {
    struct cgroup_memory_events now;

    if (cgroup_memory_events(cg, &now, NULL) < 0 || now.oom_kill <= *seen)
        return 0;
    *seen = now.oom_kill;
    return print_line(plain_event("oom", id), err);
}

/* The folder is not locked meanwhile: other verbs go on. */
static int follow(const char *id, const struct cgroup *cg, int pidfd, uint64_t interval, struct error *err) {
    _cleanup_close_ int timer = -EBADF, memory = -EBADF, group = -EBADF;
    struct cgroup_memory_events before = {0};
    struct cgroup_events ev;
    uint64_t ticks, seen;
    int r;

    if ((r = make_timer(interval, &timer, err)) < 0 || (r = cgroup_events_open(cg, &group, err)) < 0)
        return r;
    if (cgroup_memory_events_open(cg, &memory, NULL) < 0)
        memory = -1; /* no memory controller: nothing kills for a limit here */
    seen = cgroup_memory_events(cg, &before, NULL) < 0 ? 0 : before.oom_kill;
    for (;;) {
        struct pollfd fds[] = {{.fd = pidfd, .events = POLLIN},
                               {.fd = timer, .events = POLLIN},
                               {.fd = memory, .events = POLLPRI},
                               {.fd = group, .events = POLLPRI}};

        if ((r = cgroup_events_read(group, &ev, err)) < 0)
            return r;
        if (poll(fds, ARRAY_LEN(fds), -1) < 0 && errno != EINTR)
            return error_set_errno(err, -errno, "poll");
        if ((r = look_for_kills(id, cg, &seen, err)) < 0)
            return r;
        if (fds[0].revents)
            return 0;
        if (fds[1].revents && read(timer, &ticks, sizeof(ticks)) == (ssize_t) sizeof(ticks) &&
            (r = print_statistics(id, cg, err)) < 0)
            return r;
    }
}

static int events(const struct baton *b, const char *id, uint64_t interval, bool once, struct error *err) {
    _cleanup_(container_file_finish) struct container_file f = CONTAINER_FILE_INIT;
    _cleanup_(cgroup_finish) struct cgroup cg = CGROUP_INIT;
    _cleanup_close_ int pidfd = -EBADF;
    int r;

    if ((r = container_file_open(b, id, &f, err)) < 0)
        return r;
    if (f.status == STATE_STOPPED || f.status == STATE_CREATING)
        return error_set(err, -EINVAL, "container %s is %s", id, state_status_name(f.status));
    if ((r = container_file_cgroup(&f, &cg, err)) < 0)
        return r;
    pidfd = f.pidfd;
    f.pidfd = -1;
    container_file_finish(&f);
    return once ? print_statistics(id, &cg, err) : follow(id, &cg, pidfd, interval, err);
}

int verb_events(const struct baton *b, int argc, char **argv) {
    static const struct option options[] = {
        {"interval", required_argument, NULL, 'i'}, {"stats", no_argument, NULL, 's'}, {NULL, 0, NULL, 0}};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    uint64_t interval = INTERVAL_DEFAULT_USEC;
    bool once = false;
    int c;

    while ((c = getopt_long(argc, argv, "+", options, NULL)) >= 0)
        if (c == 's')
            once = true;
        else if (c == 'i' && !parse_interval(optarg, &interval))
            return baton_usage(b, usage, "the interval is a duration above 0, as 5s or 500ms");
        else if (c != 'i')
            return baton_usage(b, usage, NULL);
    if (argc - optind != 1)
        return baton_usage(b, usage, "exactly one container id is needed");
    int r = events(b, argv[optind], interval, once, &err);
    return r < 0 ? baton_fail(b, &err, r) : 0;
}
