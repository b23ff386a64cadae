/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/local/scope.h"

#include <string.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/cgroups.h"

#define JOB_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define SELF_GROUP       "podium-up" /* processes may not be in a group that has groups with controllers */

struct job {
    char *path;   /* NULL until the call was answered */
    char *result; /* of the job, NULL until it is done */
};

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct job *job = userdata;
    const char *path, *unit, *result;
    uint32_t id;

    int r = sd_bus_message_read(m, "uoss", &id, &path, &unit, &result);
    if (r < 0)
        return r;
    if (job->path && strcmp(job->path, path) == 0 && !job->result)
        job->result = xstrdup(result);
    return 0;
}

static int ask_for_scope(sd_bus *bus, const char *unit, const char *name, struct job *job, struct error *err) {
    _cleanup_(sd_bus_error_free) sd_bus_error e = SD_BUS_ERROR_NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    _cleanup_free_ char *description = xasprintf("Nodes of the local Podium cluster %s", name);
    const char *path;

    int r = sd_bus_call_method(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                               "org.freedesktop.systemd1.Manager", "StartTransientUnit", &e, &reply, "ssa(sv)a(sa(sv))",
                               unit, "fail", 6, "Description", "s", description, "Slice", "s", "machine.slice",
                               "Delegate", "b", 1, "TasksMax", "t", UINT64_MAX, "CollectMode", "s",
                               "inactive-or-failed", "PIDs", "au", 1, (uint32_t) getpid(), 0);
    if (r >= 0)
        r = sd_bus_message_read(reply, "o", &path);
    if (r < 0)
        return error_set(err, r, "systemd does not start %s: %s", unit, e.message ? e.message : strerror(-r));
    job->path = xstrdup(path);
    return 0;
}

static int start_scope(const char *unit, const char *name, struct error *err) {
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    struct job job = {0};
    uint64_t until = now_monotonic_usec() + JOB_TIMEOUT_USEC;

    int r = sd_bus_open_system(&bus);
    if (r >= 0) /* before the call: the job may be done before its answer is read */
        r = sd_bus_match_signal(bus, NULL, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
                                "org.freedesktop.systemd1.Manager", "JobRemoved", on_job_removed, &job);
    if (r < 0)
        return error_set_errno(err, r, "cannot reach systemd on the system bus");
    r = ask_for_scope(bus, unit, name, &job, err);
    while (r >= 0 && !job.result && now_monotonic_usec() < until) {
        r = sd_bus_process(bus, NULL);
        if (r == 0)
            r = sd_bus_wait(bus, JOB_TIMEOUT_USEC);
        if (r < 0)
            error_set_errno(err, r, "cannot hear from systemd");
    }
    if (r >= 0)
        r = job.result && strcmp(job.result, "done") == 0
                ? 0
                : error_set(err, -EIO, "systemd did not start %s: %s", unit, job.result ? job.result : "timed out");
    free(job.path);
    free(job.result);
    return r;
}

/* Moves this process into a leaf, so that the scope's own group may have controllers. */
static int settle(struct local_cluster *c, const struct cgroup_hierarchy *h, struct error *err) {
    _cleanup_free_ char *path = NULL;
    struct cgroup scope, self;

    int r = cgroup_path_of(h, getpid(), &path, err);
    if (r < 0)
        return r;
    r = cgroup_open(h, path, &scope, err);
    if (r < 0)
        return r;
    r = cgroup_create_child(&scope, SELF_GROUP, &self, err);
    if (r >= 0) {
        r = cgroup_attach(&self, getpid(), err);
        cgroup_finish(&self);
    }
    cgroup_finish(&scope);
    if (r < 0)
        return r;
    free(c->cgroup);
    c->cgroup = steal(&path);
    return 0;
}

int local_scope_enter(struct local_cluster *c, struct error *err) {
    _cleanup_free_ char *unit = xasprintf("podium-local-%s.scope", c->name);
    struct cgroup existing;

    if (sd_booted() <= 0) {
        free(c->cgroup);
        c->cgroup = xasprintf("/podium-local-%s", c->name);
        return 0;
    }
    _cleanup_(cgroup_hierarchy_finish) struct cgroup_hierarchy h = CGROUP_HIERARCHY_INIT;
    int r = cgroup_hierarchy_open(&h, err);
    if (r < 0)
        return r;
    if (strstr(c->cgroup, unit) && cgroup_open(&h, c->cgroup, &existing, NULL) == 0) {
        cgroup_finish(&existing);
        return 0; /* nodes run in it: it lives on with them */
    }
    r = start_scope(unit, c->name, err);
    return r < 0 ? r : settle(c, &h, err);
}
