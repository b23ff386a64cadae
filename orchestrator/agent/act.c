/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What plan.c asked for. Each function does one step and leaves the model saying so. */
#include <signal.h>
#include <string.h>

#include "orchestrator/agent/images/pod_images.h"
#include "orchestrator/agent/disposal.h"
#include "orchestrator/agent/eviction/manager.h"
#include "orchestrator/agent/model.h"
#include "orchestrator/agent/probes/probes.h"
#include "orchestrator/agent/resize.h"
#include "orchestrator/agent/resources.h"
#include "orchestrator/agent/slice_weights.h"
#include "orchestrator/agent/status.h"
#include "orchestrator/object/strategy.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/limits.h"
#include "podium/base/log.h"
#include "podium/base/path.h"
#include "podium/runtime.h"

#define RETRY_FIRST_USEC     (1 * USEC_PER_SEC)
#define RETRY_IMAGE_USEC     (10 * USEC_PER_SEC)
#define RETRY_MAX_USEC       (300 * USEC_PER_SEC)
#define CONNECT_RETRY_USEC   (200 * USEC_PER_MSEC)
#define NETWORK_RETRY_USEC   (2 * USEC_PER_SEC)
#define STOP_MARGIN_USEC     (10 * USEC_PER_SEC) /* beyond the grace, before systemd's SIGKILL is asked for */
#define LIMIT_NOFILE_DEFAULT 1048576
#define SUPERVISOR_OOM_SCORE (-998) /* below its containers', or it would be the one that is killed */

static uint64_t next_try(unsigned *attempts) {
    uint64_t wait = RETRY_FIRST_USEC;

    for (unsigned i = 0; i < *attempts && wait < RETRY_MAX_USEC; i++)
        wait *= 2;
    *attempts += 1;
    return now_monotonic_usec() + (wait > RETRY_MAX_USEC ? RETRY_MAX_USEC : wait);
}

static void retry_later(struct agent_pod *pod) {
    pod->retry_at = next_try(&pod->attempts);
}

/* --- starting --- */

static void tell_problem(struct agent_pod *pod, const char *before) {
    const struct pod_problem *p = &pod->problem;
    bool own = strcmp(p->reason, "FailedMount") == 0 || strcmp(p->reason, "FailedCreatePodSandBox") == 0;

    if (before && strcmp(before, p->message) == 0)
        return; /* told already */
    agent_event(pod, p->container, "Warning", own ? p->reason : "Failed", own ? "%s" : "Error: %s", p->message);
}

/* Containers that are held by something else, or for another reason, than before. */
static void tell_held(struct agent_pod *pod, const struct json *before) {
    for (size_t i = 0; i < json_len(pod->held); i++) {
        const char *name = json_key_at(pod->held, i);
        const struct json *held = json_value_at(pod->held, i);
        if (!json_equal(json_get(before, name), held))
            agent_event(pod, name, "Warning", "Failed", "Error: %s", json_get_str(held, "message"));
    }
}

static bool is_held(const struct agent_pod *pod) {
    return json_len(pod->held) > 0 || pod->images_awaited;
}

/* When to look again at containers that are held: something may happen before, which sets retry_at to now. */
static void retry_held(struct agent_pod *pod) {
    if (!is_held(pod)) {
        pod->held_attempts = 0;
        return;
    }
    pod->retry_at = json_len(pod->held) > 0 ? next_try(&pod->held_attempts) : UINT64_MAX;
    if (pod->images_awaited && pod_images_retry_at(pod) < pod->retry_at)
        pod->retry_at = pod_images_retry_at(pod);
}

static void act_start(struct agent_pod *pod) {
    struct agent *agent = pod->agent;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_free_ char *before = pod->problem.message ? xstrdup(pod->problem.message) : NULL;
    struct unit_limits limits;

    if (!eviction_admit(agent->eviction, pod))
        return;
    if (tokens_awaited(pod)) { /* the answer is on its way and comes back here: nothing to tell anybody about */
        pod->token_wait = true;
        pod->retry_at = now_monotonic_usec() + RETRY_IMAGE_USEC;
        return;
    }
    pod->token_wait = false;
    _cleanup_json_ struct json *held = json_ref(pod->held);
    pod_problem_finish(&pod->problem);
    int prepared = prepare_pod(pod);
    tell_held(pod, held);
    if (prepared < 0 && pod->problem.reason) {
        tokens_retry(pod);
        tell_problem(pod, before);
        retry_later(pod);
        return;
    }
    retry_held(pod);
    if (prepared < 0)
        return;
    _cleanup_free_ char *slice = unit_pod_slice(pod_qos_class(json_get(pod->desired, "spec")), pod->uid);
    _cleanup_free_ char *description = xasprintf("Pod %s/%s", pod->namespace, pod->name);
    const char *const argv[] = {agent->baton, "pod", "--dir", pod->run_dir, NULL};
    /* freed chunks kept for reuse pin the pages of every start's configuration: 12 kB of heap without, 150 kB with */
    static const char *const environment[] = {"GLIBC_TUNABLES=glibc.malloc.tcache_count=0", NULL};
    pod_unit_limits(pod->desired, agent_keeps_memory(agent), &limits);
    const struct unit_request request = {
        .name = pod->unit,
        .description = description,
        .slice = slice,
        .identifier = "baton",
        .exec_start = argv,
        .environment = environment,
        .stop_timeout_usec = (uint64_t) pod->grace * USEC_PER_SEC + STOP_MARGIN_USEC,
        .memory_max = limits.memory_max,
        .memory_min = limits.memory_min,
        .tasks_max = agent->pod_pids_limit ? agent->pod_pids_limit : UNIT_UNLIMITED,
        .cpu_quota_per_sec_usec = limits.cpu_quota_per_sec_usec,
        .cpu_weight = limits.cpu_weight,
        .oom_score_adj = SUPERVISOR_OOM_SCORE,
        .limit_nofile = (agent->capability_bounds & (UINT64_C(1) << 24)) ? LIMIT_NOFILE_DEFAULT : 0,
    };
    slice_weights_add(pod);
    resize_unit_started(pod);
    int r = unit_start(agent->units, &request, &err);
    if (r < 0) {
        slice_weights_remove(pod);
        (void) pod_problem_set(&pod->problem, "FailedCreatePodSandBox", NULL, "%s", error_text(&err, r));
        tell_problem(pod, before);
        retry_later(pod);
        return;
    }
    if (!pod->images_awaited)
        pod_images_started(pod);
    pod->start_pending = true;
    pod->fresh_state = true;
    pod->stop_told = false;
    pod->released = false;
    pod->connect_at = 0;
}

static void act_reload(struct agent_pod *pod) {
    _cleanup_free_ char *before = pod->problem.message ? xstrdup(pod->problem.message) : NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *held = json_ref(pod->held);
    bool changed;

    pod_problem_finish(&pod->problem);
    int r = prepare_again(pod, &changed);
    tell_held(pod, held);
    if (changed) {
        struct json *op = json_object();
        json_set(&op, "op", json_string("reload"));
        int told = channel_send(pod->channel, op, NULL, 0, &err);
        if (told < 0)
            r = pod_problem_set(&pod->problem, "CreateContainerError", NULL, "%s", error_text(&err, told));
    }
    if (r < 0) {
        tell_problem(pod, before);
        retry_later(pod);
        return;
    }
    if (!pod->images_awaited)
        pod_images_started(pod);
    retry_held(pod);
    if (is_held(pod))
        return;
    pod->attempts = 0;
    pod->ephemeral_told = json_len(json_path(pod->desired, "spec", "ephemeralContainers"));
}

/* --- the supervisor --- */

static void on_sandbox(void *userdata, int take_netns_fd) {
    struct agent_pod *pod = userdata;

    closep(&pod->netns_fd);
    pod->netns_fd = take_netns_fd;
}

static const struct json *state_of(const struct json *state, const char *name) {
    const struct json *list = json_get(state, "containers");

    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_str_or(json_get(json_at(list, i), "name"), ""), name) == 0)
            return json_at(list, i);
    return NULL;
}

/* Events of what changed between two states of a container. */
static void tell_container_events(struct agent_pod *pod, const struct json *before, const struct json *now) {
    const char *name = json_get_str(now, "name"), *state = json_get_str(now, "state"),
               *reason = json_get_str(now, "reason");
    bool new_run = strcmp(json_get_str(before, "containerID"), json_get_str(now, "containerID")) != 0;

    if (new_run && strcmp(state, "running") == 0) {
        agent_event(pod, name, "Normal", "Created", "Created container: %s", name);
        agent_event(pod, name, "Normal", "Started", "Started container %s", name);
    }
    const struct json *ended = strcmp(state, "terminated") == 0 ? now : json_get(now, "last");
    if (new_run && strcmp(json_get_str(ended, "containerID"), json_get_str(now, "containerID")) == 0 &&
        strcmp(json_get_str(ended, "reason"), "StartError") == 0)
        agent_event(pod, name, "Warning", "Failed", "Error: %s", json_get_str(ended, "message"));
    if (strcmp(reason, "CrashLoopBackOff") == 0 &&
        (strcmp(json_get_str(before, "reason"), reason) != 0 ||
         json_int_or(json_get(before, "retryAt"), 0) != json_int_or(json_get(now, "retryAt"), 0)))
        agent_event(pod, name, "Warning", "BackOff", "Back-off restarting failed container %s in pod %s_%s(%s)", name,
                    pod->name, pod->namespace, pod->uid);
}

static void on_state(void *userdata, const struct json *state) {
    struct agent_pod *pod = userdata;
    const struct json *list = json_get(state, "containers");

    for (size_t i = 0; i < json_len(list) && (pod->connected || pod->fresh_state); i++)
        tell_container_events(pod, state_of(pod->state, json_get_str(json_at(list, i), "name")), json_at(list, i));
    json_unref(pod->state);
    pod->state = json_ref(state);
    pod->connected = true;
    agent_logs_pod_changed(pod);
    agent_pod_mark(pod);
}

static void on_exec_started(void *userdata, const char *id, int take_console_fd) {
    agent_exec_started(userdata, id, take_console_fd);
}

static void on_exec_exit(void *userdata, const char *id, int exit_code, const char *error) {
    agent_exec_ended(userdata, id, exit_code, error);
}

static void on_hook(void *userdata, const struct json *event) {
    agent_probes_hook(userdata, event);
}

static void on_closed(void *userdata) {
    struct agent_pod *pod = userdata;

    channel_close(pod->channel);
    pod->channel = NULL;
    pod->connected = false;
    pod->connect_at = now_monotonic_usec() + CONNECT_RETRY_USEC;
    agent_exec_abandon(pod, "the pod's supervisor ended");
    agent_probes_abandon(pod);
    resize_forget_told(pod);
    agent_pod_mark(pod);
}

static const struct channel_callbacks channel_callbacks = {on_sandbox,   on_state, on_exec_started,
                                                           on_exec_exit, on_hook,  on_closed};

static void act_connect(struct agent_pod *pod) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (pod->channel) { /* connected, waiting for the state */
        pod->connect_at = now_monotonic_usec() + CONNECT_RETRY_USEC;
        return;
    }
    int r = channel_open(pod->agent->loop, pod->run_dir, &channel_callbacks, pod, &pod->channel, &err);
    if (r < 0)
        log_debug("pod %s/%s: %s", pod->namespace, pod->name, error_text(&err, r));
    pod->connect_at = now_monotonic_usec() + CONNECT_RETRY_USEC;
}

static void act_network(struct agent_pod *pod) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct json *op = json_object();

    json_set(&op, "op", json_string("network"));
    int r = agent_network_attach(pod, &err);
    if (r == 0)
        r = channel_send(pod->channel, steal(&op), NULL, 0, &err);
    json_unref(op);
    pod->network_at = now_monotonic_usec() + NETWORK_RETRY_USEC;
    if (r < 0)
        agent_event(pod, NULL, "Warning", "FailedCreatePodSandBox", "Failed to attach the pod's network: %s",
                    error_text(&err, r));
}

/* --- ending --- */

static void tell_killing(struct agent_pod *pod) {
    const struct json *list = json_get(pod->state, "containers");

    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_get_str(json_at(list, i), "state"), "running") == 0)
            agent_event(pod, json_get_str(json_at(list, i), "name"), "Normal", "Killing", "Stopping container %s",
                        json_get_str(json_at(list, i), "name"));
}

static void act_tell_stop(struct agent_pod *pod) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct json *op = json_object();

    json_set(&op, "op", json_string("stop"));
    json_set(&op, "gracePeriodSeconds", json_int(pod->grace));
    int r = channel_send(pod->channel, op, NULL, 0, &err);
    if (r < 0) {
        log_warning("pod %s/%s: %s", pod->namespace, pod->name, error_text(&err, r));
        r = unit_stop(pod->agent->units, pod->unit, &err);
        pod->stop_pending = r == 0;
    }
    if (pod->stop_deadline == 0)
        tell_killing(pod);
    pod->stop_told = true;
    pod->stop_deadline = now_monotonic_usec() + (uint64_t) pod->grace * USEC_PER_SEC + STOP_MARGIN_USEC;
}

static void act_stop_unit(struct agent_pod *pod) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r = unit_stop(pod->agent->units, pod->unit, &err);

    if (r < 0)
        log_warning("pod %s/%s: %s", pod->namespace, pod->name, error_text(&err, r));
    else
        pod->stop_pending = true;
    pod->stop_told = true;
    pod->stop_deadline = now_monotonic_usec() + (uint64_t) pod->grace * USEC_PER_SEC + STOP_MARGIN_USEC;
}

static void act_kill_unit(struct agent_pod *pod) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r = unit_kill(pod->agent->units, pod->unit, SIGKILL, &err);

    log_warning("pod %s/%s: did not end in time, killing %s", pod->namespace, pod->name, pod->unit);
    if (r < 0)
        log_warning("%s", error_text(&err, r));
    pod->stop_deadline = now_monotonic_usec() + STOP_MARGIN_USEC;
}

/* Gives back what the pod held while it could run. */
static void act_release(struct agent_pod *pod) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    closep(&pod->netns_fd);
    pod->netns_fd = -1;
    agent_network_release(pod);
    pod_images_forget(pod);
    int r = pod->agent->images ? image_unpin(pod->agent->images, pod->uid, &err) : 0;
    if (r < 0)
        log_warning("pod %s/%s: %s", pod->namespace, pod->name, error_text(&err, r));
    /* what its containers wrote, and its volumes: nobody can ask for them any more, and disks fill up */
    r = disposal_take(pod->agent->disposal, pod->state_dir, &err);
    if (r < 0)
        log_warning("pod %s/%s: %s", pod->namespace, pod->name, error_text(&err, r));
    pod->released = true;
    eviction_pod_ended(pod->agent->eviction, pod);
}

static void remove_folders(struct agent_pod *pod) {
    const char *dirs[] = {pod->run_dir, pod->state_dir};

    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        int r = disposal_take(pod->agent->disposal, dirs[i], &err);
        if (r < 0)
            log_warning("pod %s/%s: %s", pod->namespace, pod->name, error_text(&err, r));
    }
}

static void act_finish(struct agent_pod *pod) {
    struct agent *agent = pod->agent;

    act_tell_status(pod);
    act_release(pod);
    remove_folders(pod);
    pod->finished = true;
    if (!pod->wanted)
        agent_pod_drop(pod);
    else if (agent->callbacks && agent->callbacks->pod_finished)
        agent->callbacks->pod_finished(agent->userdata, pod->namespace, pod->name, pod->uid);
}

void act(struct agent_pod *pod, enum plan_action action) {
    switch (action) {
    case PLAN_NOTHING:
        break;
    case PLAN_START:
        act_start(pod);
        break;
    case PLAN_CONNECT:
        act_connect(pod);
        break;
    case PLAN_NETWORK:
        act_network(pod);
        break;
    case PLAN_RELOAD:
        act_reload(pod);
        break;
    case PLAN_TELL_STOP:
        act_tell_stop(pod);
        break;
    case PLAN_STOP_UNIT:
        act_stop_unit(pod);
        break;
    case PLAN_KILL_UNIT:
        act_kill_unit(pod);
        break;
    case PLAN_RELEASE:
        act_release(pod);
        break;
    case PLAN_FINISH:
        act_finish(pod);
        break;
    }
}

/* --- state and status --- */

void act_read_state(struct agent_pod *pod) {
    _cleanup_free_ char *path = path_join(pod->run_dir, POD_FILE_STATE);
    _cleanup_json_ struct json *state = NULL;

    if (json_parse_file(path, CONFIG_JSON_BYTES_MAX, &state, NULL) < 0)
        return;
    if (json_get(state, "uid") && strcmp(json_get_str(state, "uid"), pod->uid) != 0)
        return;
    json_unref(pod->state);
    pod->state = steal(&state);
}

void act_tell_status(struct agent_pod *pod) {
    struct agent *agent = pod->agent;

    if (!pod->desired || !agent->units_known) /* whether it runs is not known yet */
        return;
    const struct status_input in = {
        .pod = pod->desired,
        .state = pod->state,
        .previous = pod->status ? pod->status : json_get(pod->desired, "status"),
        .running = pod->unit_exists,
        .now = now_realtime_usec(),
        .start_time = pod->start_time,
        .host_ip = agent->node_address,
        .pod_ip = pod->ip,
        .waiting_reason =
            pod->problem.reason && strncmp(pod->problem.reason, "Failed", 6) != 0 ? pod->problem.reason : NULL,
        .waiting_images = pod_images_waiting(pod),
        .held = pod->held,
        .waiting_message = pod->problem.message,
        .image_ids = pod->image_ids,
        .health = pod->health,
        .last_words = pod->last_words,
        .refused_reason = pod->refused_reason,
        .refused_message = pod->refused_message,
        .rejected = pod->rejected,
        .disrupted = pod->disrupted,
        .resize = resize_status(pod),
        .allocation = pod->allocation,
    };
    bool remembered = pod->ended_before && !pod->unit_exists && pod->status;
    struct json *status = remembered ? json_ref(pod->status) : status_make(&in);
    bool same = pod->status && json_equal(pod->status, status);
    json_unref(pod->status);
    pod->status = status;
    const char *uid = mirror_told_uid(pod);
    if (!same)
        records_pods_changed(agent->records);
    if ((same && !pod->status_silent) || !uid || !agent->callbacks || !agent->callbacks->pod_status)
        return;
    pod->status_silent = false;
    agent->callbacks->pod_status(agent->userdata, pod->namespace, pod->name, uid, status);
}
