/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/pod/record.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "podium/base/alloc.h"

static const char *const reasons[] = {"Completed", "Error", "OOMKilled", "StartError", "Unknown"};

/* Reasons in the model are static strings. */
static const char *intern_reason(const char *s) {
    for (size_t i = 0; s && i < ARRAY_LEN(reasons); i++)
        if (strcmp(s, reasons[i]) == 0)
            return reasons[i];
    return "Error";
}

static void put_termination(struct json **o, const struct pod_termination *t) {
    json_set(o, "containerID", json_string(t->id));
    json_set(o, "run", json_int(t->run));
    json_set(o, "exitCode", json_int(t->exit_code));
    json_set(o, "signal", json_int(t->signal));
    json_set(o, "reason", json_string(t->reason));
    if (t->message)
        json_set(o, "message", json_string(t->message));
    json_set(o, "startedAt", json_int((int64_t) t->started_at));
    json_set(o, "finishedAt", json_int((int64_t) t->finished_at));
}

static void put_last(struct json **o, const struct pod_termination *t) {
    struct json *last = json_object();

    put_termination(&last, t);
    json_set(o, "last", last);
}

/* Whether a held container would be started now: what holds it is told then only, as nobody looked before. */
static bool is_its_turn(const struct pod_model *m, const struct pod_container *c) {
    if (m->initialized || c->config->ephemeral)
        return true;
    for (size_t i = 0; c->config->init && i < m->config->n_init; i++) {
        const struct pod_container *before = &m->containers[i];
        if (before == c)
            return m->network_ready;
        if (before->config->sidecar ? !before->started : before->state != POD_TERMINATED || before->restart_pending)
            return false;
    }
    return false;
}

static bool put_held(const struct pod_model *m, const struct pod_container *c, struct json **o) {
    const struct pod_hold *hold = &c->config->hold;

    if (!hold->reason || !is_its_turn(m, c))
        return false;
    json_set(o, "state", json_string("waiting"));
    json_set(o, "reason", json_string(hold->reason));
    if (hold->message)
        json_set(o, "message", json_string(hold->message));
    return true;
}

static void put_waiting(const struct pod_model *m, const struct pod_container *c, struct json **o) {
    json_set(o, "state", json_string("waiting"));
    json_set(o, "reason",
             json_string(m->config->n_init > 0 && !m->initialized ? "PodInitializing" : "ContainerCreating"));
    if (c->has_last)
        put_last(o, &c->last);
}

/* Ended, and due again at once: between two runs, not in back-off. */
static void put_between(const struct pod_container *c, struct json **o) {
    bool unstartable = strcmp(c->ended.reason, "StartError") == 0;

    json_set(o, "state", json_string("waiting"));
    json_set(o, "reason", json_string(unstartable ? "RunContainerError" : "ContainerCreating"));
    if (unstartable && c->ended.message)
        json_set(o, "message", json_string(c->ended.message));
    put_last(o, &c->ended);
}

/* As Go writes a time.Duration of whole seconds. */
static void format_duration(unsigned seconds, char *out, size_t n) {
    if (seconds >= 60)
        (void) snprintf(out, n, "%um%us", seconds / 60, seconds % 60);
    else
        (void) snprintf(out, n, "%us", seconds);
}

static void put_backoff(const struct pod_model *m, const struct pod_container *c, struct json **o) {
    char text[32];

    json_set(o, "state", json_string("waiting"));
    json_set(o, "reason", json_string("CrashLoopBackOff"));
    uint64_t wait = c->retry_at_real > c->ended.finished_at ? c->retry_at_real - c->ended.finished_at : 0;
    format_duration((unsigned) (wait / 1000000), text, sizeof(text));
    json_set(o, "message",
             json_stringf("back-off %s restarting failed container=%s pod=%s_%s(%s)", text, c->config->name,
                          m->config->name, m->config->namespace, m->config->uid));
    json_set(o, "retryAt", json_int((int64_t) c->retry_at_real));
    put_last(o, &c->ended);
}

static struct json *container_doc(const struct pod_model *m, const struct pod_container *c) {
    struct json *o = json_object();

    json_set(&o, "name", json_string(c->config->name));
    json_set(&o, "init", json_bool(c->config->init));
    json_set(&o, "sidecar", json_bool(c->config->sidecar));
    if (c->config->ephemeral)
        json_set(&o, "ephemeral", json_bool(true));
    json_set(&o, "restartCount", json_int(c->restart_count));
    json_set(&o, "containerID", json_string(c->id));
    json_set(&o, "started", json_bool(c->started));
    json_set(&o, "postStartDone", json_bool(c->hooked));
    if (c->state == POD_WAITING) {
        if (!put_held(m, c, &o))
            put_waiting(m, c, &o);
    } else if (c->state == POD_TERMINATED && c->restart_pending && put_held(m, c, &o)) {
        put_last(&o, &c->ended);
    } else if (c->state == POD_TERMINATED && c->restart_pending && c->retry_at_real <= c->ended.finished_at) {
        put_between(c, &o);
    } else if (c->state == POD_TERMINATED && c->restart_pending) {
        put_backoff(m, c, &o);
    } else if (c->state == POD_TERMINATED) {
        json_set(&o, "state", json_string("terminated"));
        put_termination(&o, &c->ended);
        if (c->has_last)
            put_last(&o, &c->last);
    } else {
        json_set(&o, "state", json_string("running"));
        json_set(&o, "run", json_int(c->restart_count));
        json_set(&o, "pid", json_int(c->pid));
        json_set(&o, "startedAt", json_int((int64_t) c->started_at));
        if (c->allocation > 0)
            json_set(&o, "allocation", json_int(c->allocation));
        if (c->has_last)
            put_last(&o, &c->last);
    }
    return o;
}

struct json *pod_record_make(const struct pod_model *m, const struct pod_record *record) {
    struct json *doc = json_object(), *list = json_array();

    json_set(&doc, "uid", json_string(m->config->uid));
    json_set(&doc, "supervisorPid", json_int(getpid()));
    json_set(&doc, "startedAt", json_int((int64_t) record->started_at));
    json_set(&doc, "networkReady", json_bool(m->network_ready));
    json_set(&doc, "stopping", json_bool(m->stopping));
    json_set(&doc, "finished", json_bool(record->finished));
    if (record->error)
        json_set(&doc, "error", json_string(record->error));
    for (size_t i = 0; i < m->n; i++)
        json_append(&list, container_doc(m, &m->containers[i]));
    json_set(&doc, "containers", list);
    return doc;
}

static void take_termination(struct pod_termination *t, const struct json *o) {
    free(t->message);
    *t = (struct pod_termination){
        .run = (int) json_int_or(json_get(o, "run"), -1),
        .exit_code = (int) json_int_or(json_get(o, "exitCode"), 0),
        .signal = (int) json_int_or(json_get(o, "signal"), 0),
        .reason = intern_reason(json_str(json_get(o, "reason"))),
        .message = json_str(json_get(o, "message")) ? xstrdup(json_str(json_get(o, "message"))) : NULL,
        .started_at = (uint64_t) json_int_or(json_get(o, "startedAt"), 0),
        .finished_at = (uint64_t) json_int_or(json_get(o, "finishedAt"), 0),
    };
    strncpy(t->id, json_str_or(json_get(o, "containerID"), ""), sizeof(t->id) - 1);
}

static void take_up_container(struct pod_model *m, struct pod_container *c, const struct json *o, uint64_t now_real) {
    const char *state = json_str_or(json_get(o, "state"), "");
    const struct json *last = json_get(o, "last");

    c->restart_count = (int) json_int_or(json_get(o, "restartCount"), 0);
    strncpy(c->id, json_str_or(json_get(o, "containerID"), ""), sizeof(c->id) - 1);
    if (strcmp(state, "waiting") == 0 && !last)
        return;
    c->state = POD_TERMINATED;
    if (strcmp(state, "terminated") == 0) {
        take_termination(&c->ended, o);
    } else if (strcmp(state, "running") == 0) {
        c->ended = (struct pod_termination){
            .run = (int) json_int_or(json_get(o, "run"), -1),
            .exit_code = 128 + SIGKILL,
            .signal = SIGKILL,
            .reason = "Error",
            .message = xstrdup("the pod's supervisor ended"),
            .started_at = (uint64_t) json_int_or(json_get(o, "startedAt"), 0),
            .finished_at = now_real,
        };
        memcpy(c->ended.id, c->id, sizeof(c->id));
    } else {
        take_termination(&c->ended, last);
        last = NULL;
    }
    if (last) {
        take_termination(&c->last, last);
        c->has_last = true;
    }
    /* init containers run again: what they set up may have been in the sandbox that is gone */
    c->restart_pending =
        pod_restarts(m->config->restart, c, c->ended.exit_code) || (c->config->init && c->ended.exit_code == 0);
}

void pod_record_take_up(struct pod_model *m, const struct json *doc, uint64_t now_real) {
    const struct json *list = json_get(doc, "containers");

    if (strcmp(json_str_or(json_get(doc, "uid"), ""), m->config->uid) != 0)
        return;
    for (size_t i = 0; i < json_len(list); i++)
        for (size_t k = 0; k < m->n; k++)
            if (strcmp(m->containers[k].config->name, json_str_or(json_get(json_at(list, i), "name"), "")) == 0)
                take_up_container(m, &m->containers[k], json_at(list, i), now_real);
}
