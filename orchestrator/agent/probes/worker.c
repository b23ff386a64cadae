/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/agent/probes/worker.h"

#include <string.h>

#include "podium/base/clock.h"

#define WAIT_FIRST_USEC (20 * USEC_PER_MSEC)
#define WAIT_MAX_USEC   (1 * USEC_PER_SEC)

static const struct {
    const char *name, *member;
} kinds[] = {
    [PROBE_STARTUP] = {"Startup", "startupProbe"},
    [PROBE_LIVENESS] = {"Liveness", "livenessProbe"},
    [PROBE_READINESS] = {"Readiness", "readinessProbe"},
};

const char *probe_kind_name(enum probe_kind kind) {
    return kinds[kind].name;
}

const char *probe_kind_member(enum probe_kind kind) {
    return kinds[kind].member;
}

static unsigned number(const struct json *probe, const char *member, unsigned otherwise, unsigned least) {
    int64_t v = json_int_or(json_get(probe, member), otherwise);
    return v < (int64_t) least ? least : v > INT32_MAX ? INT32_MAX : (unsigned) v;
}

void probe_worker_init(struct probe_worker *w, enum probe_kind kind, const struct json *probe) {
    *w = (struct probe_worker){
        .kind = kind,
        .initial_delay = number(probe, "initialDelaySeconds", 0, 0) * USEC_PER_SEC,
        .period = number(probe, "periodSeconds", 10, 1) * USEC_PER_SEC,
        .success_threshold = number(probe, "successThreshold", 1, 1),
        .failure_threshold = number(probe, "failureThreshold", 3, 1),
        .passed = kind == PROBE_LIVENESS,
    };
    if (kind == PROBE_LIVENESS && w->initial_delay == 0)
        w->initial_delay = w->period;
}

static void take_run(struct probe_worker *w, const char *id) {
    (void) strncpy(w->id, id, sizeof(w->id) - 1);
    w->passed = w->kind == PROBE_LIVENESS;
    w->on_hold = w->under_way = w->last = false;
    w->row = 0;
    w->first_at = w->due_at = w->wait = 0;
}

void probe_worker_resume(struct probe_worker *w, const char *id, bool passed) {
    take_run(w, id);
    w->passed = passed;
}

static bool is_wanted(const struct probe_worker *w, const struct probe_container *c) {
    if (!*c->id || !c->running || !c->hooked || w->on_hold || w->under_way)
        return false;
    if (c->stopping && w->kind != PROBE_READINESS)
        return false;
    return w->kind == PROBE_STARTUP ? !c->started : c->started;
}

uint64_t probe_worker_see(struct probe_worker *w, const struct probe_container *c) {
    if (strncmp(w->id, c->id, sizeof(w->id) - 1) != 0)
        take_run(w, c->id);
    if (!is_wanted(w, c))
        return 0;
    if (w->due_at == 0)
        w->first_at = w->due_at = c->started_at + w->initial_delay + 1; /* never 0 */
    return w->due_at;
}

void probe_worker_began(struct probe_worker *w, uint64_t now) {
    w->under_way = true;
    if (now > w->first_at + w->period && w->row == 0 && w->wait == 0)
        w->first_at = now; /* it was held back until now, by the startup probe or by the agent's absence */
    w->due_at += w->period;
    if (w->due_at <= now) /* periods missed are not made up for */
        w->due_at = now + w->period;
}

/* The time of the next uncounted attempt, 0 when this one counts. */
static uint64_t retry_at(struct probe_worker *w, enum probe_outcome outcome, uint64_t now) {
    uint64_t end = w->first_at + w->period;

    if (outcome != PROBE_REFUSED || w->kind == PROBE_LIVENESS || w->passed || w->row > 0 || now >= end)
        return 0;
    w->wait = w->wait == 0 ? WAIT_FIRST_USEC : w->wait * 2 < WAIT_MAX_USEC ? w->wait * 2 : WAIT_MAX_USEC;
    return now + w->wait < end ? now + w->wait : end;
}

enum probe_verdict probe_worker_ended(struct probe_worker *w, enum probe_outcome outcome, uint64_t now) {
    bool ok = outcome == PROBE_SUCCESS;
    uint64_t again = retry_at(w, outcome, now);

    w->under_way = false;
    if (again > 0) {
        w->due_at = again;
        return PROBE_UNCOUNTED;
    }
    w->row = w->row > 0 && w->last == ok ? w->row + 1 : 1;
    w->last = ok;
    if (w->row < (ok ? w->success_threshold : w->failure_threshold))
        return PROBE_COUNTED;
    w->passed = ok;
    if (!ok && w->kind != PROBE_READINESS) { /* the run is being ended for it */
        w->on_hold = true;
        w->row = 0;
    }
    return ok ? PROBE_PASSED : PROBE_FAILED;
}

void probe_worker_cancelled(struct probe_worker *w) {
    w->under_way = false;
}

void probe_worker_released(struct probe_worker *w) {
    w->on_hold = false;
}
