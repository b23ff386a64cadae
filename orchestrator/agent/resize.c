/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/resize.h"

#include <string.h>

#include "orchestrator/agent/allocation.h"
#include "orchestrator/agent/model.h"
#include "orchestrator/agent/resources.h"
#include "orchestrator/agent/slice_weights.h"
#include "podium/base/clock.h"
#include "podium/base/log.h"

#define RETRY_USEC (5 * USEC_PER_SEC) /* a container that uses more memory than it shall have is asked again */

/* --- what is wanted --- */

void resize_take_document(struct agent_pod *pod, const struct json *doc) {
    if (!pod->allocation && !pod->is_static)
        pod->allocation = allocation_new(doc);
    json_unref(pod->asked);
    pod->asked = json_ref(doc);
    json_unref(pod->desired);
    pod->desired = allocation_apply(pod->allocation, doc);
}

static bool is_resizable(const struct agent_pod *pod) {
    return pod->allocation && pod->asked && !pod->deleting && !pod->final && !pod->refused_reason && pod->wanted;
}

/* Everything but the pod itself. */
static void sum_others(const struct agent_pod *pod, struct resize_room *room) {
    struct hashmap_iter it = {0};

    while (hashmap_next(pod->agent->pods, &it)) {
        const struct agent_pod *other = it.value;
        int64_t cpu, memory;
        if (other == pod || !other->desired || other->final || other->refused_reason)
            continue;
        pod_requests(other->desired, &cpu, &memory);
        room->cpu_milli_used += cpu;
        room->memory_used += memory;
    }
}

static enum resize_verdict judge(const struct agent_pod *pod) {
    struct resize_room room = {.cpu_milli = pod->agent->cpu_milli, .memory = node_memory_for_pods(pod->agent)};
    int64_t cpu, memory;

    sum_others(pod, &room);
    pod_requests(pod->asked, &cpu, &memory);
    return resize_judge(&room, cpu, memory);
}

void resize_grant(struct agent_pod *pod) {
    pod->resize = RESIZE_FITS;
    if (!is_resizable(pod) || !allocation_differs(pod->allocation, pod->asked))
        return;
    pod->resize = judge(pod);
    if (pod->resize != RESIZE_FITS)
        return;
    struct json *granted = allocation_grant(pod->allocation, pod->asked);
    json_unref(pod->allocation);
    pod->allocation = granted;
    json_unref(pod->desired);
    pod->desired = json_ref(pod->asked);
    pod->stale_env = true; /* pod.json is written again */
    pod->retry_at = 0;
    if (pod->weight > 0 || pod->kept > 0) {
        slice_weights_remove(pod);
        slice_weights_add(pod);
    }
    records_pods_changed(pod->agent->records);
    log_info("pod %s/%s is resized", pod->namespace, pod->name);
    resize_reconsider(pod->agent); /* it may take less than before */
}

void resize_reconsider(struct agent *agent) {
    struct hashmap_iter it = {0};

    while (hashmap_next(agent->pods, &it))
        if (((struct agent_pod *) it.value)->resize == RESIZE_DEFERRED)
            agent_pod_mark(it.value);
}

/* --- what is --- */

static const struct json *state_of(const struct agent_pod *pod, const char *container) {
    const struct json *list = json_get(pod->state, "containers");

    for (size_t i = 0; i < json_len(list); i++)
        if (json_get_is(json_at(list, i), "name", container))
            return json_at(list, i);
    return NULL;
}

static enum resize_step step_of(const struct agent_pod *pod, size_t i) {
    if (!pod->unit_exists)
        return RESIZE_DONE;
    return resize_next(json_value_at(pod->allocation, i), state_of(pod, json_key_at(pod->allocation, i)));
}

static bool is_pending(const struct agent_pod *pod) {
    for (size_t i = 0; i < json_len(pod->allocation); i++)
        if (step_of(pod, i) != RESIZE_DONE)
            return true;
    return false;
}

const char *resize_status(const struct agent_pod *pod) {
    switch ((enum resize_verdict) pod->resize) {
    case RESIZE_DEFERRED:
        return "Deferred";
    case RESIZE_INFEASIBLE:
        return "Infeasible";
    case RESIZE_FITS:
        break;
    }
    return is_pending(pod) ? "InProgress" : NULL;
}

/* --- doing it --- */

static void tell(struct agent_pod *pod, const char *container, enum resize_step step) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct json *op = json_object();

    json_set(&op, "op", json_string(step == RESIZE_RESTART ? "restart" : "resize"));
    json_set(&op, "container", json_string(container));
    if (step == RESIZE_RESTART) {
        json_set(&op, "message", json_stringf("Container %s resize requires restart", container));
        json_set(&op, "gracePeriodSeconds", json_int(pod->grace));
    }
    int r = channel_send(pod->channel, op, NULL, 0, &err);
    if (r < 0)
        log_warning("pod %s/%s: %s", pod->namespace, pod->name, error_text(&err, r));
}

/* Whether this was not told yet: a grant, or for a restart the run that is to end. */
static bool is_news(struct agent_pod *pod, const char *container, enum resize_step step) {
    const struct json *what = step == RESIZE_RESTART ? json_get(state_of(pod, container), "containerID")
                                                     : json_path(pod->allocation, container, "number");

    if (json_equal(json_get(pod->resize_told, container), what))
        return false;
    json_set(&pod->resize_told, container, json_ref(what));
    return true;
}

static void tell_supervisor(struct agent_pod *pod) {
    uint64_t now = now_monotonic_usec();
    bool again = pod->resize_at > 0 && now >= pod->resize_at, pending = false;

    for (size_t i = 0; i < json_len(pod->allocation); i++) {
        const char *name = json_key_at(pod->allocation, i);
        enum resize_step step = step_of(pod, i);
        if (step == RESIZE_DONE)
            continue;
        pending = true;
        bool news = is_news(pod, name, step);
        if (news && step == RESIZE_RESTART)
            agent_event(pod, name, "Normal", "Killing", "Container %s resize requires restart", name);
        if (news || again)
            tell(pod, name, step);
    }
    if (!pending)
        pod->resize_at = 0;
    else if (again || pod->resize_at == 0)
        pod->resize_at = now + RETRY_USEC;
}

static uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* The unit as a whole: grows before its containers do, shrinks when all of them have. */
static void tell_systemd(struct agent_pod *pod, bool pending) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct unit_limits now;

    pod_unit_limits(pod->desired, agent_keeps_memory(pod->agent), &now);
    if (pending && !pod->limits_known) { /* what an earlier agent said is not known */
        now.memory_max = now.cpu_quota_per_sec_usec = UNIT_UNLIMITED;
    } else if (pending) {
        now.memory_max = larger(now.memory_max, pod->limits.memory_max);
        now.cpu_quota_per_sec_usec = larger(now.cpu_quota_per_sec_usec, pod->limits.cpu_quota_per_sec_usec);
    }
    if (pod->limits_told && memcmp(&now, &pod->limits, sizeof(now)) == 0)
        return;
    int r = unit_limit(pod->agent->units, pod->unit, &now, &err);
    if (r < 0) {
        log_warning("pod %s/%s: %s", pod->namespace, pod->name, error_text(&err, r));
        return;
    }
    pod->limits = now;
    pod->limits_told = true;
    pod->limits_known = pod->limits_known || !pending;
}

/* Never resized, and never was: nothing to look at. */
static bool was_resized(const struct agent_pod *pod) {
    for (size_t i = 0; i < json_len(pod->allocation); i++)
        if (json_int_or(json_get(json_value_at(pod->allocation, i), "number"), 0) > 0)
            return true;
    return false;
}

void resize_carry_out(struct agent_pod *pod) {
    if (!pod->connected || !pod->unit_exists || !pod->desired || pod->stop_told || pod->stale_env || !was_resized(pod))
        return; /* a stale pod.json is written first */
    tell_systemd(pod, is_pending(pod));
    tell_supervisor(pod);
}

void resize_forget_told(struct agent_pod *pod) {
    json_unref(steal(&pod->resize_told));
    pod->resize_at = 0;
}

void resize_unit_started(struct agent_pod *pod) {
    pod_unit_limits(pod->desired, agent_keeps_memory(pod->agent), &pod->limits);
    pod->limits_known = pod->limits_told = true;
}

/* --- pod.json --- */

bool resize_is_old(const struct agent_pod *pod, const char *container, const struct json *doc) {
    return json_int_or(json_path(pod->allocation, container, "number"), 0) !=
           json_int_or(json_get(doc, "allocation"), 0);
}

void resize_number(const struct agent_pod *pod, const char *container, struct json **doc) {
    int64_t number = json_int_or(json_path(pod->allocation, container, "number"), 0);

    if (number > 0)
        json_set(doc, "allocation", json_int(number));
}
