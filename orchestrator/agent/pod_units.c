/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What systemd tells of the pods' units, taken in: it marks pods, and decides nothing. */
#include <string.h>

#include "orchestrator/agent/model.h"
#include "orchestrator/agent/probes/probes.h"
#include "orchestrator/agent/resize.h"
#include "orchestrator/agent/slice_weights.h"
#include "orchestrator/agent/status.h"
#include "podium/base/clock.h"
#include "podium/base/log.h"

void agent_pod_unit_gone(struct agent_pod *pod) {
    if (!pod->unit_exists)
        return;
    pod->unit_exists = pod->stop_pending = false;
    slice_weights_remove(pod);
    pod->stop_deadline = pod->network_at = 0;
    pod->ephemeral_told = 0;
    channel_close(pod->channel);
    pod->channel = NULL;
    pod->connected = false;
    agent_exec_abandon(pod, "the pod ended");
    agent_probes_abandon(pod);
    agent_logs_pod_changed(pod);
    act_read_state(pod);
    pod->final = status_is_final(pod->desired, pod->state);
    if (!pod->final && pod->desired && !pod->deleting && pod->wanted && !pod->refused_reason && !pod->stop_told) {
        const char *error = json_str(json_get(pod->state, "error"));
        agent_event(pod, NULL, "Warning", error ? "FailedCreatePodSandBox" : "SandboxChanged", "%s",
                    error ? error : "Pod's unit ended, it will be started again.");
        pod->retry_at =
            pod->attempts > 0 ? now_monotonic_usec() + (USEC_PER_SEC << (pod->attempts < 8 ? pod->attempts : 8)) : 0;
        pod->attempts++;
    }
    pod->stop_told = pod->limits_told = pod->limits_known = false;
    resize_forget_told(pod);
    if (pod->final)
        resize_reconsider(pod->agent);
    agent_pod_mark(pod);
}

static void unit_seen(struct agent_pod *pod, enum unit_state state) {
    /* the supervisor says it is ready once its control socket listens: now, not at the next retry */
    if (state == UNIT_ACTIVE && (!pod->unit_exists || pod->unit_state != UNIT_ACTIVE) && !pod->connected)
        pod->connect_at = 0;
    pod->unit_state = state;
    if (state == UNIT_INACTIVE || state == UNIT_FAILED) {
        agent_pod_unit_gone(pod);
        return;
    }
    pod->unit_exists = true;
    agent_pod_mark(pod);
}

static void on_started(void *userdata, const char *name, int result, const char *text) {
    struct agent *agent = userdata;
    struct agent_pod *pod = hashmap_get(agent->by_unit, name);

    if (!pod)
        return;
    pod->start_pending = false;
    if (result == 0) {
        pod_problem_finish(&pod->problem);
        unit_seen(pod, UNIT_ACTIVE);
        return;
    }
    if (result == -EEXIST) { /* a leftover of the same name: away with it, then again */
        pod->stop_pending = unit_stop(agent->units, name, NULL) == 0;
    } else {
        act_read_state(pod);
        const char *error = json_str_or(json_get(pod->state, "error"), text ? text : strerror(-result));
        (void) pod_problem_set(&pod->problem, "FailedCreatePodSandBox", NULL, "Failed to create pod sandbox: %s",
                               error);
        agent_event(pod, NULL, "Warning", "FailedCreatePodSandBox", "%s", pod->problem.message);
        pod->unit_exists = false;
        slice_weights_remove(pod);
    }
    pod->retry_at = now_monotonic_usec() + (USEC_PER_SEC << (pod->attempts < 8 ? pod->attempts : 8));
    pod->attempts++;
    agent_pod_mark(pod);
}

static void on_stopped(void *userdata, const char *name, int result, const char *text) {
    struct agent_pod *pod = hashmap_get(((struct agent *) userdata)->by_unit, name);

    if (!pod)
        return;
    pod->stop_pending = false;
    if (result == 0)
        agent_pod_unit_gone(pod);
    else
        log_warning("cannot stop %s: %s", name, text ? text : strerror(-result));
    agent_pod_mark(pod);
}

static void on_unit_changed(void *userdata, const char *name, enum unit_state state) {
    struct agent_pod *pod = hashmap_get(((struct agent *) userdata)->by_unit, name);

    if (pod)
        unit_seen(pod, state);
}

static void on_unit_removed(void *userdata, const char *name) {
    on_unit_changed(userdata, name, UNIT_INACTIVE);
}

static void on_listed(void *userdata, const char *const *names, const enum unit_state *states, size_t n, int result,
                      const char *text) {
    struct agent *agent = userdata;

    if (result < 0) {
        log_error("cannot list the pods' units: %s", text ? text : strerror(-result));
        (void) sd_event_source_set_time_relative(agent->retake, USEC_PER_SEC);
        (void) sd_event_source_set_enabled(agent->retake, SD_EVENT_ONESHOT);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct agent_pod *pod = hashmap_get(agent->by_unit, names[i]);
        if (pod) {
            unit_seen(pod, states[i]);
        } else { /* its folder is gone: nobody can ever talk to it again */
            log_warning("%s belongs to no pod known here: stopping it", names[i]);
            if (unit_stop(agent->units, names[i], NULL) < 0)
                log_warning("cannot stop %s", names[i]);
        }
    }
    agent->units_known = true;
    agent_mark_all(agent);
}

static const struct unit_callbacks unit_callbacks = {on_started, on_stopped, on_unit_changed, on_unit_removed,
                                                     on_listed};

void agent_follow_units(struct agent *agent) {
    unit_manager_set_callbacks(agent->units, &unit_callbacks, agent);
}
