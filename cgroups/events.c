/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Freezing, killing, and learning that a group became empty, frozen or short of memory. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "cgroups/files.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"

#define FREEZE_TIMEOUT_MSEC 10000
#define KILL_ROUNDS_MAX     100

static int open_file(const struct cgroup *cg, const char *file, int *ret, struct error *err) {
    int fd = openat(cg->fd, file, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return error_set_errno(err, errno == ENOENT ? -ENODEV : -errno, "cannot open %s of cgroup %s", file, cg->path);
    *ret = fd;
    return 0;
}

int cgroup_events_open(const struct cgroup *cg, int *ret_fd, struct error *err) {
    return open_file(cg, "cgroup.events", ret_fd, err);
}

int cgroup_events_read(int events_fd, struct cgroup_events *ret, struct error *err) {
    char text[256];
    uint64_t v = 0;
    ssize_t n = pread(events_fd, text, sizeof(text) - 1, 0);

    *ret = (struct cgroup_events){false, false};
    if (n < 0 && errno == ENODEV)
        return 0; /* removed: nothing is inside */
    if (n < 0)
        return error_set_errno(err, -errno, "cannot read cgroup.events");
    text[n] = 0;
    ret->populated = cgroup_key_value(text, "populated", &v) && v;
    ret->frozen = cgroup_key_value(text, "frozen", &v) && v;
    return 0;
}

/* Waits for the wanted state; change is announced by POLLPRI. */
static int wait_events(const struct cgroup *cg, int timeout_msec, bool (*reached)(const struct cgroup_events *, bool),
                       bool wanted, const char *what, struct error *err) {
    uint64_t end = now_monotonic_usec() + (uint64_t) timeout_msec * USEC_PER_MSEC;
    _cleanup_close_ int fd = -EBADF;
    struct cgroup_events ev;
    int r = cgroup_events_open(cg, &fd, err);

    while (r == 0) {
        if ((r = cgroup_events_read(fd, &ev, err)) < 0)
            break;
        if (reached(&ev, wanted))
            return 0;
        uint64_t now = now_monotonic_usec();
        if (now >= end)
            return error_set(err, -ETIMEDOUT, "cgroup %s did not become %s within %d ms", cg->path, what, timeout_msec);
        struct pollfd p = {.fd = fd, .events = POLLPRI};
        if (poll(&p, 1, (int) ((end - now) / USEC_PER_MSEC) + 1) < 0 && errno != EINTR)
            r = error_set_errno(err, -errno, "poll");
    }
    return r;
}

static bool frozen_is(const struct cgroup_events *ev, bool wanted) {
    return ev->frozen == wanted;
}

static bool populated_is(const struct cgroup_events *ev, bool wanted) {
    return ev->populated == wanted;
}

int cgroup_freeze(const struct cgroup *cg, bool frozen, struct error *err) {
    int r = cgroup_set(cg, "cgroup.freeze", frozen ? "1" : "0", err);

    if (r == 0)
        r = wait_events(cg, FREEZE_TIMEOUT_MSEC, frozen_is, frozen, frozen ? "frozen" : "thawed", err);
    if (r < 0 && frozen) { /* not half of it */
        int back = cgroup_set(cg, "cgroup.freeze", "0", NULL);

        (void) back;
    }
    return r;
}

int cgroup_wait_empty(const struct cgroup *cg, int timeout_msec, struct error *err) {
    return wait_events(cg, timeout_msec, populated_is, false, "empty", err);
}

int cgroup_kill(const struct cgroup *cg, struct error *err) {
    int r = cgroup_set(cg, "cgroup.kill", "1", err);

    if (r != -ENODEV)
        return r;
    /* before 5.14: until a round finds nobody, for processes fork meanwhile */
    error_clear(err);
    for (int round = 0; round < KILL_ROUNDS_MAX; round++) {
        _cleanup_free_ pid_t *pids = NULL;
        size_t n = 0;

        if ((r = cgroup_pids(cg, true, &pids, &n, err)) < 0 || n == 0)
            return r;
        for (size_t i = 0; i < n; i++)
            (void) kill(pids[i], SIGKILL);
    }
    return 0;
}

int cgroup_memory_events_open(const struct cgroup *cg, int *ret_fd, struct error *err) {
    return open_file(cg, "memory.events", ret_fd, err);
}

int cgroup_memory_events(const struct cgroup *cg, struct cgroup_memory_events *ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    int r = cgroup_read(cg, "memory.events", &text, err);

    *ret = (struct cgroup_memory_events){0, 0, 0};
    if (r < 0)
        return r;
    (void) cgroup_key_value(strbuf_str(&text), "oom", &ret->oom);
    (void) cgroup_key_value(strbuf_str(&text), "oom_kill", &ret->oom_kill);
    (void) cgroup_key_value(strbuf_str(&text), "oom_group_kill", &ret->oom_group_kill);
    return 0;
}
