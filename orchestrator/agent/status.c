/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/status.h"

#include <string.h>

#include "orchestrator/agent/allocation.h"
#include "orchestrator/agent/resources.h"
#include "orchestrator/object/timestamp.h"
#include "orchestrator/object/strategy.h"
#include "podium/base/strbuf.h"

static struct json *time_value(uint64_t usec) {
    char text[TIMESTAMP_SIZE];

    timestamp_format(usec, text);
    return json_string(text);
}

static bool is(const struct json *v, const char *text) {
    return json_str(v) && strcmp(json_str(v), text) == 0;
}

static const struct json *by_name(const struct json *list, const char *member, const char *name) {
    for (size_t i = 0; i < json_len(list); i++)
        if (is(json_get(json_at(list, i), member), name))
            return json_at(list, i);
    return NULL;
}

static bool is_sidecar(const struct json *init_container) {
    return is(json_get(init_container, "restartPolicy"), "Always");
}

static bool ended_for_good(const struct json *pod, const struct json *container_state) {
    const char *policy = json_str_or(json_path(pod, "spec", "restartPolicy"), "Always");

    if (!is(json_get(container_state, "state"), "terminated") || strcmp(policy, "Always") == 0)
        return false;
    return strcmp(policy, "Never") == 0 || json_int_or(json_get(container_state, "exitCode"), 1) == 0;
}

bool status_is_final(const struct json *pod, const struct json *state) {
    const struct json *list = json_get(state, "containers");
    bool never = is(json_path(pod, "spec", "restartPolicy"), "Never"), all = json_len(list) > 0;

    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *c = json_at(list, i);
        bool init = json_bool_or(json_get(c, "init"), false), sidecar = json_bool_or(json_get(c, "sidecar"), false);

        if (sidecar || json_bool_or(json_get(c, "ephemeral"), false))
            continue;
        if (init && never && is(json_get(c, "state"), "terminated") && json_int_or(json_get(c, "exitCode"), 0) != 0)
            return true;
        if (!init && !ended_for_good(pod, c))
            all = false;
    }
    return all;
}

/* --- container statuses --- */

#define MESSAGE_BYTES_POD 12288 /* of all containers' termination messages: MaxPodTerminationMessageLogLength */

/* The container's share of what a pod's messages may have. */
static struct json *cut(const struct status_input *in, const char *text) {
    static const char *const lists[] = {"containers", "initContainers", "ephemeralContainers"};
    size_t n = 0, len = strlen(text);

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        n += json_len(json_path(in->pod, "spec", lists[i]));
    size_t max = MESSAGE_BYTES_POD / (n > 0 ? n : 1);
    if (len > max)
        for (len = max; len > 0 && ((unsigned char) text[len] & 0xC0) == 0x80;) /* not inside a character */
            len--;
    return json_string_len(text, len);
}

static struct json *termination(const struct status_input *in, const struct json *t) {
    const char *message = json_str(json_get(t, "message"));
    struct json *o = json_object();

    json_set(&o, "exitCode", json_int(json_int_or(json_get(t, "exitCode"), 0)));
    if (json_int_or(json_get(t, "signal"), 0) > 0)
        json_set(&o, "signal", json_ref(json_get(t, "signal")));
    json_set(&o, "reason", json_string(json_str_or(json_get(t, "reason"), "Error")));
    if (!message)
        message = json_str(json_get(in->last_words, json_str_or(json_get(t, "containerID"), "")));
    if (message && *message)
        json_set(&o, "message", cut(in, message));
    json_set(&o, "startedAt", time_value((uint64_t) json_int_or(json_get(t, "startedAt"), 0)));
    json_set(&o, "finishedAt", time_value((uint64_t) json_int_or(json_get(t, "finishedAt"), 0)));
    if (json_str_or(json_get(t, "containerID"), "")[0])
        json_set(&o, "containerID", json_stringf("baton://%s", json_str(json_get(t, "containerID"))));
    return o;
}

static struct json *waiting(const char *reason, const char *message) {
    struct json *o = json_object();

    json_set_path(&o, json_string(reason), "waiting", "reason");
    if (message)
        json_set_path(&o, json_string(message), "waiting", "message");
    return o;
}

static const char *pending_reason(const struct status_input *in) {
    return json_len(json_path(in->pod, "spec", "initContainers")) > 0 ? "PodInitializing" : "ContainerCreating";
}

static struct json *state_value(const struct status_input *in, const struct json *c, const char *name) {
    struct json *o = NULL;

    if (is(json_get(c, "state"), "running")) {
        json_set_path(&o, time_value((uint64_t) json_int_or(json_get(c, "startedAt"), 0)), "running", "startedAt");
        return o;
    }
    if (is(json_get(c, "state"), "terminated")) {
        json_set(&o, "terminated", termination(in, c));
        return o;
    }
    const struct json *image = json_get(in->waiting_images, name);
    if (image)
        return waiting(json_str_or(json_get(image, "reason"), ""), json_str(json_get(image, "message")));
    bool known = is(json_get(c, "state"), "waiting");
    const struct json *held = json_get(in->held, name);
    /* in a pod that runs, the supervisor says what holds a container when its turn has come; what is said of the pod is
     * about containers that were added to it */
    if (held && (!known || !in->running))
        return waiting(json_str_or(json_get(held, "reason"), ""), json_str(json_get(held, "message")));
    if (in->waiting_reason && (!known || !in->running))
        return waiting(in->waiting_reason, in->waiting_message);
    if (known)
        return waiting(json_str_or(json_get(c, "reason"), pending_reason(in)), json_str(json_get(c, "message")));
    return waiting(pending_reason(in), NULL);
}

/* What the readiness probe says of this run; true without one. */
static bool probe_says_ready(const struct status_input *in, const struct json *spec, const struct json *c) {
    const struct json *health = json_get(in->health, json_str_or(json_get(spec, "name"), ""));

    if (!json_is_object(json_get(spec, "readinessProbe")))
        return true;
    return json_bool_or(json_get(health, "ready"), false) &&
           json_equal(json_get(health, "containerID"), json_get(c, "containerID"));
}

static bool is_ready(const struct status_input *in, const struct json *spec, const struct json *c, bool init) {
    bool running = is(json_get(c, "state"), "running") && json_bool_or(json_get(c, "started"), false);

    if (init && !json_bool_or(json_get(c, "sidecar"), false))
        return is(json_get(c, "state"), "terminated") && json_int_or(json_get(c, "exitCode"), 1) == 0;
    return running && probe_says_ready(in, spec, c);
}

/* A state as it is shown once nothing runs any more: what was running without a record of its end was killed. */
static struct json *without_unit(const struct status_input *in, const struct json *c) {
    struct json *copy = json_ref(c);

    if (in->running || !is(json_get(c, "state"), "running"))
        return copy;
    json_set(&copy, "state", json_string("terminated"));
    json_set(&copy, "exitCode", json_int(137));
    json_set(&copy, "reason", json_string("ContainerStatusUnknown"));
    json_set(&copy, "message", json_string("The container could not be located when the pod was terminated"));
    json_set(&copy, "finishedAt", json_int((int64_t) in->now));
    json_set(&copy, "started", json_bool(false));
    return copy;
}

static struct json *container_status(const struct status_input *in, const struct json *spec, bool init) {
    const char *name = json_str_or(json_get(spec, "name"), "");
    const struct json *found = by_name(json_get(in->state, "containers"), "name", name);
    _cleanup_json_ struct json *c = found ? without_unit(in, found) : NULL;
    const char *id = json_str_or(json_get(c, "containerID"), "");
    const struct json *last = json_get(c, "last");
    struct json *o = json_object();

    json_set(&o, "name", json_string(name));
    json_set(&o, "state", state_value(in, c, name));
    json_set(&o, "lastState", json_object());
    if (last)
        json_set_path(&o, termination(in, last), "lastState", "terminated");
    json_set(&o, "ready", json_bool(is_ready(in, spec, c, init)));
    json_set(&o, "restartCount", json_int(json_int_or(json_get(c, "restartCount"), 0)));
    json_set(&o, "image", json_string(json_str_or(json_get(spec, "image"), "")));
    json_set(&o, "imageID", json_string(json_str_or(json_get(in->image_ids, name), "")));
    if (*id)
        json_set(&o, "containerID", json_stringf("baton://%s", id));
    json_set(&o, "started",
             json_bool(is(json_get(c, "state"), "running") && json_bool_or(json_get(c, "started"), false)));
    return o;
}

/* What the container was granted of the node, and what it has: the same but while it is being resized. */
static void put_resources(const struct status_input *in, const struct json *spec, struct json **status) {
    const char *name = json_get_str(spec, "name");
    const struct json *granted = json_get(in->allocation, name), *resources = json_get(granted, "resources");
    const struct json *before = by_name(json_get(in->previous, "containerStatuses"), "name", name);
    const struct json *state = by_name(json_get(in->state, "containers"), "name", name);

    if (json_len(resources) == 0)
        return;
    if (json_get(resources, "requests"))
        json_set(status, "allocatedResources", json_ref(json_get(resources, "requests")));
    bool there = !in->running || resize_next(granted, state) == RESIZE_DONE || !json_get(before, "resources");
    json_set(status, "resources", json_ref(there ? resources : json_get(before, "resources")));
}

/* Nobody waits for an ephemeral container to be ready. */
static struct json *ephemeral_statuses(const struct status_input *in) {
    const struct json *specs = json_path(in->pod, "spec", "ephemeralContainers");
    struct json *list = json_array();

    for (size_t i = 0; i < json_len(specs); i++) {
        struct json *status = container_status(in, json_at(specs, i), false);
        json_set(&status, "ready", json_bool(false));
        json_del(&status, "started");
        json_append(&list, status);
    }
    return list;
}

static struct json *container_statuses(const struct status_input *in, const char *member, bool init) {
    const struct json *specs = json_path(in->pod, "spec", member);
    struct json *list = json_array();

    for (size_t i = 0; i < json_len(specs); i++) {
        struct json *status = container_status(in, json_at(specs, i), init);
        if (!init)
            put_resources(in, json_at(specs, i), &status);
        json_append(&list, status);
    }
    return list;
}

/* --- phase --- */

struct counts {
    size_t n, running, waiting_first, waiting_again, succeeded, failed;
};

static void count(const struct json *statuses, const struct json *specs, bool sidecars, struct counts *k) {
    for (size_t i = 0; i < json_len(statuses); i++) {
        const struct json *s = json_at(statuses, i), *state = json_get(s, "state");
        const struct json *ended = json_get(state, "terminated");

        if (sidecars != is_sidecar(json_at(specs, i)))
            continue;
        k->n++;
        if (json_get(state, "running"))
            k->running++;
        else if (ended && json_int_or(json_get(ended, "exitCode"), 1) == 0)
            k->succeeded++;
        else if (ended)
            k->failed++;
        else if (json_path(s, "lastState", "terminated"))
            k->waiting_again++;
        else
            k->waiting_first++;
    }
}

static const char *phase_by_containers(const struct status_input *in, const struct json *init,
                                       const struct json *mains) {
    const char *policy = json_str_or(json_path(in->pod, "spec", "restartPolicy"), "Always");
    struct counts i = {0}, m = {0};

    count(init, json_path(in->pod, "spec", "initContainers"), false, &i);
    count(mains, NULL, false, &m);
    if (i.failed > 0 && strcmp(policy, "Never") == 0)
        return "Failed";
    if (i.running + i.waiting_first + i.waiting_again + i.failed > 0 || m.waiting_first > 0)
        return "Pending";
    if (m.running > 0 || m.waiting_again > 0)
        return "Running";
    if (strcmp(policy, "Always") == 0 && json_str_or(json_path(in->pod, "metadata", "deletionTimestamp"), "")[0] == 0)
        return "Running"; /* all ended, and all will be started again */
    if (m.failed == 0)
        return "Succeeded";
    return strcmp(policy, "OnFailure") == 0 && in->running ? "Running" : "Failed";
}

/* A pod the node will not run any longer has failed once nothing of it is left: who replaces it may rely on what it
 * held being free. */
static const char *phase_of(const struct status_input *in, const struct json *init, const struct json *mains) {
    const char *phase = phase_by_containers(in, init, mains);

    if (!in->refused_reason)
        return phase;
    if (!in->running)
        return "Failed";
    return strcmp(phase, "Pending") == 0 ? phase : "Running";
}

/* --- conditions --- */

static void add_condition(const struct status_input *in, struct json **list, const char *type, bool on,
                          const char *reason, const char *message) {
    const struct json *before = by_name(json_get(in->previous, "conditions"), "type", type);
    const char *status = on ? "True" : "False";
    struct json *o = json_object();

    json_set(&o, "type", json_string(type));
    json_set(&o, "status", json_string(status));
    json_set(&o, "lastProbeTime", json_null());
    if (before && is(json_get(before, "status"), status) && json_get(before, "lastTransitionTime"))
        json_set(&o, "lastTransitionTime", json_ref(json_get(before, "lastTransitionTime")));
    else
        json_set(&o, "lastTransitionTime", time_value(in->now));
    if (reason)
        json_set(&o, "reason", json_string(reason));
    if (message)
        json_set(&o, "message", json_string(message));
    json_append(list, o);
}

static void list_names(const struct json *statuses, bool (*pick)(const struct json *), struct strbuf *out) {
    for (size_t i = 0; i < json_len(statuses); i++)
        if (pick(json_at(statuses, i)))
            strbuf_addf(out, "%s%s", out->len ? " " : "", json_str_or(json_get(json_at(statuses, i), "name"), ""));
}

static bool not_ready(const struct json *status) {
    return !json_bool_or(json_get(status, "ready"), false);
}

/* What keeps the pod from being ready besides its containers: conditions it was told to wait for. */
static void look_at_gates(const struct status_input *in, struct strbuf *out) {
    const struct json *gates = json_path(in->pod, "spec", "readinessGates");

    for (size_t i = 0; i < json_len(gates); i++) {
        const char *type = json_str_or(json_get(json_at(gates, i), "conditionType"), "");
        const struct json *c = by_name(json_path(in->pod, "status", "conditions"), "type", type);
        if (is(json_get(c, "status"), "True"))
            continue;
        if (out->len > 0)
            strbuf_adds(out, ", ");
        if (c)
            strbuf_addf(out, "the status of pod readiness gate \"%s\" is not \"True\", but %s", type,
                        json_str_or(json_get(c, "status"), ""));
        else
            strbuf_addf(out, "corresponding condition of pod readiness gate \"%s\" does not exist.", type);
    }
}

static void add_readiness(const struct status_input *in, const struct json *init, const struct json *mains,
                          const char *phase, struct json **list) {
    const struct json *specs = json_path(in->pod, "spec", "initContainers");
    _cleanup_strbuf_ struct strbuf names = STRBUF_INIT, message = STRBUF_INIT, gates = STRBUF_INIT;
    bool over = strcmp(phase, "Succeeded") == 0 || strcmp(phase, "Failed") == 0;
    const char *reason = NULL;

    for (size_t i = 0; i < json_len(init); i++)
        if (is_sidecar(json_at(specs, i)) && not_ready(json_at(init, i)))
            strbuf_addf(&names, "%s%s", names.len ? " " : "", json_str_or(json_get(json_at(init, i), "name"), ""));
    list_names(mains, not_ready, &names);
    if (over)
        reason = strcmp(phase, "Succeeded") == 0 ? "PodCompleted" : "PodFailed";
    else if (names.len > 0) {
        reason = "ContainersNotReady";
        strbuf_addf(&message, "containers with unready status: [%s]", strbuf_str(&names));
    }
    if (!reason)
        look_at_gates(in, &gates);
    if (gates.len > 0)
        add_condition(in, list, "Ready", false, "ReadinessGatesNotReady", strbuf_str(&gates));
    else
        add_condition(in, list, "Ready", !reason, reason, message.len ? strbuf_str(&message) : NULL);
    add_condition(in, list, "ContainersReady", !reason, reason, message.len ? strbuf_str(&message) : NULL);
}

/* Once a container of the pod proper has run, initialization is over for good: sidecars that end or are restarted
 * later do not undo it. */
static bool any_started(const struct json *mains) {
    for (size_t i = 0; i < json_len(mains); i++) {
        const struct json *state = json_get(json_at(mains, i), "state");
        if (json_get(state, "running") || json_get(state, "terminated"))
            return true;
    }
    return false;
}

static void add_initialized(const struct status_input *in, const struct json *init, const struct json *mains,
                            struct json **list) {
    const struct json *specs = json_path(in->pod, "spec", "initContainers");
    _cleanup_strbuf_ struct strbuf names = STRBUF_INIT, message = STRBUF_INIT;

    for (size_t i = 0; !any_started(mains) && i < json_len(init); i++) {
        const struct json *s = json_at(init, i);
        bool done = is_sidecar(json_at(specs, i)) ? json_bool_or(json_get(s, "started"), false) : !not_ready(s);
        if (!done)
            strbuf_addf(&names, "%s%s", names.len ? " " : "", json_str_or(json_get(s, "name"), ""));
    }
    if (names.len > 0)
        strbuf_addf(&message, "containers with incomplete status: [%s]", strbuf_str(&names));
    add_condition(in, list, "Initialized", names.len == 0, names.len ? "ContainersNotInitialized" : NULL,
                  names.len ? strbuf_str(&message) : NULL);
}

static bool is_ours(const char *type) {
    static const char *const ours[] = {"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"};

    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (strcmp(type, ours[i]) == 0)
            return true;
    return false;
}

static struct json *conditions(const struct status_input *in, const struct json *init, const struct json *mains,
                               const char *phase) {
    const struct json *theirs = json_path(in->pod, "status", "conditions");
    bool network = json_bool_or(json_get(in->state, "networkReady"), false) && in->running;
    struct json *list = json_array();

    add_condition(in, &list, "PodReadyToStartContainers", network, NULL, NULL);
    add_initialized(in, init, mains, &list);
    add_readiness(in, init, mains, phase, &list);
    if (!by_name(theirs, "type", "PodScheduled")) /* bound by its author, without the scheduler */
        add_condition(in, &list, "PodScheduled", true, NULL, NULL);
    if (in->disrupted && !by_name(theirs, "type", "DisruptionTarget"))
        add_condition(in, &list, "DisruptionTarget", true, "TerminationByKubelet", in->refused_message);
    for (size_t i = 0; i < json_len(theirs); i++) /* PodScheduled, DisruptionTarget, readiness gates */
        if (!is_ours(json_str_or(json_get(json_at(theirs, i), "type"), "")))
            json_append(&list, json_ref(json_at(theirs, i)));
    return list;
}

static void put_address(struct json **o, const char *one, const char *many, const char *ip) {
    struct json *list = json_array(), *item = json_object();

    json_set(&item, "ip", json_string(ip));
    json_append(&list, item);
    json_set(o, one, json_string(ip));
    json_set(o, many, list);
}

static void put_statuses(struct json **o, const char *key, bool wanted, struct json *list) {
    if (wanted)
        json_set(o, key, list);
    else
        json_unref(list);
}

struct json *status_make(const struct status_input *in) {
    struct json *init = container_statuses(in, "initContainers", true);
    struct json *mains = container_statuses(in, "containers", false);
    const char *phase = phase_of(in, init, mains);
    struct json *o = json_object();

    json_set(&o, "phase", json_string(phase));
    json_set(&o, "conditions", conditions(in, init, mains, phase));
    if (in->refused_reason && !in->running) {
        json_set(&o, "reason", json_string(in->refused_reason));
        json_set(&o, "message", json_string(in->refused_message));
    }
    if (in->resize)
        json_set(&o, "resize", json_string(in->resize));
    if (*in->host_ip)
        put_address(&o, "hostIP", "hostIPs", in->host_ip);
    if (*in->pod_ip)
        put_address(&o, "podIP", "podIPs", in->pod_ip);
    json_set(&o, "startTime", time_value(in->start_time));
    /* as upstream: a pod that the node did not take has no containers there, and lists show the reason instead */
    bool begun = !in->rejected || in->state;
    put_statuses(&o, "initContainerStatuses", begun && json_len(init) > 0, init);
    put_statuses(&o, "containerStatuses", begun, mains);
    struct json *ephemeral = ephemeral_statuses(in);
    put_statuses(&o, "ephemeralContainerStatuses", begun && json_len(ephemeral) > 0, ephemeral);
    json_set(&o, "qosClass", json_string(pod_qos_class(json_get(in->pod, "spec"))));
    return o;
}
