/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/eviction/manager.h"

#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>

#include "orchestrator/agent/disk_usage.h"
#include "orchestrator/agent/disposal.h"
#include "orchestrator/agent/eviction/choice.h"
#include "orchestrator/agent/eviction/rank.h"
#include "orchestrator/agent/images/upkeep.h"
#include "orchestrator/agent/model.h"
#include "orchestrator/object/strategy.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/log.h"
#include "podium/cgroups.h"

#define END_USEC         (30 * USEC_PER_SEC) /* the kubelet's podCleanupTimeout */
#define TIMER_SLACK_USEC (2 * USEC_PER_SEC)

/* Waits so short that even a kernel which has just begun to look for pages shows: it costs a look at /proc/meminfo a
 * second at most, and only while there is work to wait for. */
#define MEMORY_STALL_USEC  5000
#define MEMORY_WINDOW_USEC (1 * USEC_PER_SEC)
#define IO_STALL_USEC      (1 * USEC_PER_SEC)
#define IO_WINDOW_USEC     (10 * USEC_PER_SEC)

/* What is done about the disk, in this order; each ends by an event. */
enum disk_step { DISK_NOTHING, DISK_RECLAIMING, DISK_RECLAIMED, DISK_MEASURING, DISK_MEASURED };

struct eviction {
    struct agent *agent;
    struct eviction_config config;
    struct eviction_observation seen[EVICTION_SIGNALS];
    struct eviction_state state;
    struct eviction_decision decision;
    enum disk_step disk;
    char *ending; /* uid of the pod that was evicted last, while it ends */
    uint64_t ending_until;
    sd_event_source *timer, *memory, *io;
};

const struct eviction_config *eviction_config(const struct eviction *e) {
    return &e->config;
}

unsigned eviction_conditions(const struct eviction *e) {
    return e->decision.conditions;
}

/* --- who may be here --- */

bool eviction_is_critical(const struct agent_pod *pod) {
    return pod->is_static || eviction_priority_is_critical(json_get(pod->desired, "spec"));
}

bool eviction_admit(const struct eviction *e, struct agent_pod *pod) {
    const struct json *spec = json_get(pod->desired, "spec");
    _cleanup_strbuf_ struct strbuf message = STRBUF_INIT;

    if (pod->admitted)
        return true;
    pod->admitted = eviction_admits(e->decision.conditions, eviction_is_critical(pod), pod_qos_class(spec),
                                    eviction_tolerates_memory_pressure(spec));
    if (pod->admitted)
        return true;
    for (int c = 0; c < EVICTION_CONDITIONS; c++)
        if (e->decision.conditions & (1u << c))
            strbuf_addf(&message, "%s%s", message.len ? " " : "The node had condition: [", eviction_condition_name(c));
    strbuf_adds(&message, "]. ");
    agent_pod_reject(pod, "Evicted", strbuf_str(&message));
    return false;
}

/* --- doing something about it --- */

static void tell_reclaiming(struct eviction *e, const struct eviction_threshold *t) {
    _cleanup_free_ char *message = xasprintf("Attempting to reclaim %s", eviction_signal_resource(t->signal));

    agent_node_event(e->agent, "Warning", "EvictionThresholdMet", message);
}

static int64_t grace_for(const struct eviction *e, const struct eviction_threshold *t) {
    return t->is_soft ? e->config.max_pod_grace : EVICTION_GRACE_IMMEDIATE;
}

static void evict_one(struct eviction *e, const struct eviction_threshold *t) {
    _cleanup_json_ struct json *annotations = NULL, *used = NULL;
    struct agent_pod *pod = eviction_choose(e->agent, t->signal, &used);

    if (!pod) {
        log_warning("%s is short, and there is no pod to evict", eviction_signal_resource(t->signal));
        return;
    }
    _cleanup_free_ char *message = eviction_message(t->signal, &t->amount, &e->seen[t->signal],
                                                    json_get(pod->desired, "spec"), used, &annotations);
    agent_pod_evict(pod, grace_for(e, t), message, annotations, true);
    free(e->ending);
    e->ending = xstrdup(pod->uid);
    e->ending_until = now_monotonic_usec() + END_USEC;
}

/* Whether the last one evicted still holds what is waited for. */
static bool is_ending(struct eviction *e, uint64_t now) {
    return e->ending && now < e->ending_until;
}

static void on_disk_step(void *userdata) {
    struct eviction *e = userdata;

    if (e->disk == DISK_RECLAIMING)
        e->disk = DISK_RECLAIMED;
    else if (e->disk == DISK_MEASURING)
        e->disk = DISK_MEASURED;
    eviction_look(e);
}

static void on_disposed(void *userdata) {
    eviction_look(userdata);
}

/* First what nobody uses, then, if that was not enough, whoever uses most. */
static void relieve_disk(struct eviction *e, const struct eviction_threshold *t) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r;

    if (disposal_is_busy(e->agent->disposal))
        return; /* on_disposed() */
    switch (e->disk) {
    case DISK_NOTHING:
        tell_reclaiming(e, t);
        eviction_dispose_of_ended(e->agent);
        if (image_collector_take_all(e->agent->collector, on_disk_step, e))
            e->disk = DISK_RECLAIMING;
        break;
    case DISK_RECLAIMING:
    case DISK_MEASURING:
        break;
    case DISK_RECLAIMED:
        if (eviction_satisfied(&e->config, e->seen)) {
            e->disk = DISK_NOTHING;
            break;
        }
        r = disk_usage_measure_all(e->agent->disk_usage, on_disk_step, e, &err);
        if (r == 0)
            e->disk = DISK_MEASURING;
        break;
    case DISK_MEASURED:
        e->disk = DISK_NOTHING;
        evict_one(e, t);
        break;
    }
}

static void relieve(struct eviction *e, const struct eviction_threshold *t, uint64_t now) {
    if (is_ending(e, now) || !e->agent->units_known || !e->agent->synced)
        return;
    if (eviction_condition_of(t->signal) == EVICTION_DISK_PRESSURE) {
        relieve_disk(e, t);
        return;
    }
    tell_reclaiming(e, t);
    evict_one(e, t);
}

/* --- looking --- */

static void on_pressure(struct eviction *e, const char *resource) {
    log_debug("the kernel tells that tasks wait for %s", resource);
    eviction_look(e);
}

static int on_memory(sd_event_source *source, int fd, uint32_t events, void *userdata) {
    on_pressure(userdata, "memory");
    return 0;
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata) {
    on_pressure(userdata, "the disk");
    return 0;
}

/* The machine's pressure is that of all tasks, the pods' among them: a trigger on their slice would tell the same once
 * more. */
static void watch(struct eviction *e, const char *resource, uint64_t stall, uint64_t window, sd_event_io_handler_t fn,
                  sd_event_source **source) {
    int fd;

    if (cgroup_pressure_open(NULL, resource, stall, window, &fd, NULL) < 0)
        return;
    if (sd_event_add_io(e->agent->loop, source, fd, EPOLLPRI, fn, e) < 0)
        (void) close(fd);
    else
        (void) sd_event_source_set_io_fd_own(*source, 1);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
    eviction_look(userdata);
    return 0;
}

static void arm(struct eviction *e, uint64_t at, uint64_t slack) {
    (void) sd_event_source_set_time_accuracy(e->timer, slack);
    (void) sd_event_source_set_time(e->timer, at);
    (void) sd_event_source_set_enabled(e->timer, SD_EVENT_ONESHOT);
}

static void set_timer(struct eviction *e, uint64_t now) {
    uint64_t at = e->decision.look_at;

    if (!e->memory && at > now + EVICTION_LOOK_MIN_USEC && hashmap_len(e->agent->pods) > 0)
        at = now + EVICTION_LOOK_MIN_USEC; /* nobody will tell */
    if (is_ending(e, now) && e->ending_until < at)
        at = e->ending_until;
    /* a grace or a transition that ends is no matter of a second, but far off all waits for company */
    arm(e, at, at > now + EVICTION_LOOK_MIN_USEC ? TIMER_SLACK_USEC : USEC_PER_SEC / 4);
}

static void tell_conditions(struct eviction *e, unsigned before) {
    for (int c = 0; c < EVICTION_CONDITIONS; c++)
        if ((before ^ e->decision.conditions) & (1u << c))
            log_info("the node has %s%s", e->decision.conditions & (1u << c) ? "" : "no ", eviction_condition_name(c));
    if (before != e->decision.conditions)
        agent_node_changed(e->agent);
}

void eviction_look(struct eviction *e) {
    unsigned before = e->decision.conditions;
    uint64_t now = now_monotonic_usec();

    eviction_observe(e->agent->image_dir, e->agent->state_dir, e->seen);
    eviction_decide(&e->config, e->seen, now, &e->state, &e->decision);
    tell_conditions(e, before);
    if (e->decision.reclaim)
        relieve(e, e->decision.reclaim, now);
    else if (e->disk == DISK_RECLAIMED || e->disk == DISK_MEASURED)
        e->disk = DISK_NOTHING;
    set_timer(e, now);
}

void eviction_pod_ended(struct eviction *e, const struct agent_pod *pod) {
    if (!e || !e->ending || strcmp(e->ending, pod->uid) != 0)
        return;
    free(steal(&e->ending));
    /* when the work that is going on is done: its processes and pages are given back just now */
    arm(e, now_monotonic_usec(), 1);
}

/* --- life --- */

int eviction_new(struct agent *agent, const struct eviction_config *config, struct eviction **ret, struct error *err) {
    struct eviction *e = xnew0(struct eviction);

    e->agent = agent;
    e->config = *config;
    int r = sd_event_add_time_relative(agent->loop, &e->timer, CLOCK_MONOTONIC, 0, 1, on_timer, e);
    if (r < 0) {
        eviction_free(e);
        return error_set_errno(err, r, "cannot use the event loop");
    }
    if (config->n > 0) {
        watch(e, "memory", MEMORY_STALL_USEC, MEMORY_WINDOW_USEC, on_memory, &e->memory);
        watch(e, "io", IO_STALL_USEC, IO_WINDOW_USEC, on_io, &e->io);
    }
    disposal_set_notify(agent->disposal, on_disposed, e);
    *ret = e;
    return 0;
}

void eviction_free(struct eviction *e) {
    if (!e)
        return;
    sd_event_source_disable_unref(e->timer);
    sd_event_source_disable_unref(e->memory);
    sd_event_source_disable_unref(e->io);
    free(e->ending);
    free(e);
}
