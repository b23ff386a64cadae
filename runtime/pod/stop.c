/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <signal.h>

#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "runtime/pod/journal.h"
#include "runtime/pod/supervisor.h"

void pod_run_end(struct pod_run *run, uint64_t kill_at) {
    const struct pod_hook *hook = &run->container->config->pre_stop;
    struct pod_exec_request request = {.args = hook->args, .stdio = {-1, -1, -1}};
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    uint64_t now = now_monotonic_usec();
    int r, console;

    if (run->container->state != POD_RUNNING)
        return;
    if (run->kill_at == 0 || kill_at < run->kill_at)
        run->kill_at = kill_at;
    if (run->told || kill_at <= now) { /* no time for hooks */
        run->told = true;
        pod_run_timers(run, now);
        return;
    }
    run->told = true;
    run->hook_until = 0; /* a postStart still sleeping or asked for is over */
    run->hook_asked = POD_EXEC_PEER;
    run->in_pre_stop = hook->args || hook->sleep_seconds > 0 || hook->http;
    if (hook->args) {
        r = pod_exec_start(run, POD_EXEC_PRE_STOP, NULL, NULL, &request, &console, &err);
        if (r < 0)
            pod_run_hook_done(run, POD_EXEC_PRE_STOP, error_text(&err, r));
    } else if (hook->sleep_seconds > 0) {
        run->hook_until = now + (uint64_t) hook->sleep_seconds * USEC_PER_SEC;
    } else if (hook->http) {
        run->hook_asked = POD_EXEC_PRE_STOP;
        pod_control_ask_hook(run);
    } else {
        (void) kill(run->process.pid, run->container->config->stop_signal);
    }
}

void pod_stop(struct pod *pod, int64_t grace_seconds) {
    uint64_t deadline = now_monotonic_usec() + (uint64_t) (grace_seconds > 0 ? grace_seconds : 0) * USEC_PER_SEC;

    if (!pod->model.stopping) {
        pod->model.stopping = true;
        pod->stop_deadline = deadline;
        pod->changed = true;
        for (size_t i = 0; i < pod->model.n; i++)
            pod->model.containers[i].restart_pending = false;
        (void) pod_notify("STOPPING=1\nSTATUS=stopping");
    } else if (deadline < pod->stop_deadline) {
        pod->stop_deadline = deadline;
    }
    pod->stop_at_once = pod->stop_at_once || grace_seconds <= 0;
    for (size_t i = 0; i < pod->model.n; i++) {
        struct pod_run *run = &pod->runs[i];
        /* whoever is not asked to end before the deadline, is killed then all the same */
        if (run->container->state == POD_RUNNING && (run->kill_at == 0 || pod->stop_deadline < run->kill_at))
            run->kill_at = pod->stop_deadline;
    }
    pod_stop_step(pod);
}

void pod_stop_step(struct pod *pod) {
    _cleanup_free_ bool *told = xcalloc(pod->model.n, sizeof(*told));
    struct pod_container *c;

    if (!pod->model.stopping)
        return;
    for (size_t i = 0; i < pod->model.n; i++)
        told[i] = pod->runs[i].told;
    while ((c = pod_next_to_end(&pod->model, told))) {
        size_t i = (size_t) (c - pod->model.containers);
        told[i] = true;
        pod_run_end(&pod->runs[i], pod->stop_deadline);
    }
}
