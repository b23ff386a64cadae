/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "runtime/pod/lifecycle.h"

#include <stdlib.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/runtime.h"

void pod_model_init(struct pod_model *model, const struct pod_config *config) {
    *model = (struct pod_model){.config = config, .n = config->n_containers};
    model->containers = xcalloc(model->n, sizeof(*model->containers));
    for (size_t i = 0; i < model->n; i++)
        model->containers[i].config = &config->containers[i];
}

void pod_model_finish(struct pod_model *model) {
    for (size_t i = 0; i < model->n; i++) {
        free(model->containers[i].ended.message);
        free(model->containers[i].last.message);
    }
    free(model->containers);
    *model = (struct pod_model){0};
}

bool pod_restarts(enum pod_restart policy, const struct pod_container *c, int exit_code) {
    if (c->config->ephemeral)
        return false;
    if (c->config->sidecar)
        return true;
    switch (policy) {
    case POD_RESTART_ALWAYS:
        return !c->config->init || exit_code != 0 || c->restart_asked;
    case POD_RESTART_ON_FAILURE:
        return exit_code != 0 || c->restart_asked;
    case POD_RESTART_NEVER:
        return false;
    }
    return false;
}

int pod_container_next_run(const struct pod_container *c) {
    return c->restart_count + (c->state == POD_TERMINATED);
}

void pod_container_began(struct pod_container *c, const char *id, pid_t pid, uint64_t now, uint64_t now_real) {
    if (c->state == POD_TERMINATED) {
        free(c->last.message);
        c->last = c->ended;
        c->has_last = true;
        c->ended = (struct pod_termination){0};
        c->restart_count++;
    }
    c->state = POD_RUNNING;
    c->restart_pending = c->restart_asked = false;
    c->hooked = c->probed = c->started = false;
    c->pid = pid;
    c->started_mono = now;
    c->started_at = now_real;
    strncpy(c->id, id, sizeof(c->id) - 1);
}

static void note_started(struct pod_container *c) {
    c->started = c->hooked && (c->probed || !c->config->startup_probe);
}

void pod_container_hooked(struct pod_container *c) {
    c->hooked = true;
    note_started(c);
}

void pod_container_probed(struct pod_container *c) {
    c->probed = true;
    note_started(c);
}

void pod_container_ended(struct pod_model *m, struct pod_container *c, int exit_code, int signal, const char *reason,
                         char *take_message, uint64_t now, uint64_t now_real) {
    free(c->ended.message);
    c->ended = (struct pod_termination){
        .run = c->restart_count,
        .exit_code = exit_code,
        .signal = signal,
        .reason = reason,
        .message = take_message,
        .started_at = c->started_at,
        .finished_at = now_real,
    };
    memcpy(c->ended.id, c->id, sizeof(c->id));
    c->state = POD_TERMINATED;
    c->pid = 0;
    c->hooked = c->probed = c->started = false;
    c->restart_pending = !m->stopping && pod_restarts(m->config->restart, c, exit_code);
    if (!c->restart_pending)
        return;
    if (now - c->started_mono >= POD_BACKOFF_RESET_USEC)
        c->backoff = 0;
    c->retry_at = now + c->backoff;
    c->retry_at_real = now_real + c->backoff;
    c->backoff = c->backoff == 0 ? POD_BACKOFF_FIRST_USEC : c->backoff * 2;
    if (c->backoff > POD_BACKOFF_MAX_USEC)
        c->backoff = POD_BACKOFF_MAX_USEC;
}

/* Whether the container may be started now; notes the time when it may be otherwise. */
static bool is_due(const struct pod_container *c, uint64_t now, struct pod_next *next) {
    if (c->config->hold.reason)
        return false;
    if (c->state == POD_WAITING)
        return true;
    if (c->state != POD_TERMINATED || !c->restart_pending)
        return false;
    if (now >= c->retry_at)
        return true;
    if (next->wake_at == 0 || c->retry_at < next->wake_at)
        next->wake_at = c->retry_at;
    return false;
}

static bool any_running(const struct pod_model *m) {
    for (size_t i = 0; i < m->n; i++)
        if (m->containers[i].state == POD_RUNNING)
            return true;
    return false;
}

/* All containers ended for good, or an init container failed for good. */
static bool is_complete(const struct pod_model *m) {
    bool all = true;

    for (size_t i = 0; i < m->n; i++) {
        const struct pod_container *c = &m->containers[i];
        bool ended = c->state == POD_TERMINATED && !c->restart_pending;

        if (c->config->sidecar || c->config->ephemeral)
            continue;
        if (c->config->init && ended && c->ended.exit_code != 0)
            return true;
        if (!c->config->init && !ended)
            all = false;
    }
    return all;
}

/* Walks the init containers; true when the way to the containers is free. */
static bool walk_init(const struct pod_model *m, uint64_t now, struct pod_next *next) {
    for (size_t i = 0; i < m->config->n_init; i++) {
        struct pod_container *c = &m->containers[i];

        if (!c->config->sidecar && (m->initialized || c->state == POD_TERMINATED) && !c->restart_pending)
            continue;
        if (is_due(c, now, next)) {
            next->start = c;
            return false;
        }
        if (m->initialized || (c->config->sidecar && c->state == POD_RUNNING && c->started))
            continue;
        return false;
    }
    return true;
}

/* The first starts of containers are in order: one that is about to come, or whose postStart hook is not done, is
 * waited for. */
static bool holds_others(const struct pod_container *c) {
    const struct pod_hold *hold = &c->config->hold;

    if (c->state == POD_WAITING)
        return hold->reason && hold->in_order;
    return c->state == POD_RUNNING && !c->hooked && !c->config->ephemeral;
}

void pod_next(const struct pod_model *m, uint64_t now, struct pod_next *ret) {
    bool waits = false;

    *ret = (struct pod_next){.initialized = m->initialized};
    if (m->stopping || is_complete(m)) {
        ret->complete = true;
        ret->finished = !any_running(m);
        return;
    }
    if (!m->network_ready)
        return;
    for (size_t i = m->config->n_init; i < m->n; i++)
        if (m->containers[i].config->ephemeral && is_due(&m->containers[i], now, ret)) {
            ret->start = &m->containers[i]; /* to look at init containers, too */
            return;
        }
    if (!walk_init(m, now, ret))
        return;
    ret->initialized = true;
    for (size_t i = m->config->n_init; i < m->n; i++) {
        struct pod_container *c = &m->containers[i];

        if (waits && c->state == POD_WAITING)
            continue;
        if (is_due(c, now, ret)) {
            ret->start = c;
            return;
        }
        waits |= holds_others(c);
    }
}

struct pod_container *pod_next_to_end(const struct pod_model *m, const bool *told) {
    bool others = false;

    for (size_t i = 0; i < m->n; i++) {
        struct pod_container *c = &m->containers[i];

        if (c->config->sidecar || c->state != POD_RUNNING)
            continue;
        if (!told[i])
            return c;
        others = true;
    }
    if (others)
        return NULL;
    for (size_t i = m->config->n_init; i-- > 0;) {
        struct pod_container *c = &m->containers[i];

        if (c->state == POD_RUNNING)
            return told[i] ? NULL : c;
    }
    return NULL;
}
