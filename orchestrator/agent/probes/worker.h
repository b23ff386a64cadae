/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One probe of one container: when it is due and what its outcomes mean. Pure: no I/O, no clock, times come in
 * (microseconds, monotonic). Source of the behaviour: the kubelet's pkg/kubelet/prober/worker.go.
 *
 * Differences, on purpose: the first probe comes right after initialDelaySeconds, not at the next tick of a timer with
 * a random phase (liveness without a delay: after one period, since a probe in a container's first millisecond, which
 * upstream never makes, would end containers that run well there). And as long as nobody listens on the port of a
 * container just started, readiness and startup probes ask again soon, within the first period and uncounted. A program
 * that listens after 50 ms is ready after 60, not after a period; it never sees more probes than the period says, since
 * refused connections are none.
 */
#ifndef PODIUM_AGENT_PROBES_WORKER_H
#define PODIUM_AGENT_PROBES_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/json.h"

#define PROBE_RUN_ID_SIZE 65

enum probe_kind { PROBE_STARTUP, PROBE_LIVENESS, PROBE_READINESS };
#define PROBE_KINDS 3

enum probe_outcome {
    PROBE_SUCCESS,
    PROBE_FAILURE,
    PROBE_REFUSED, /* a failure: nobody listens (yet) */
};

/* What is seen of the container. */
struct probe_container {
    const char *id; /* of the run; "" before the first */
    bool running;
    bool hooked;         /* its postStart hook is done */
    bool started;        /* and its startup probe succeeded */
    bool stopping;       /* the pod is being ended */
    uint64_t started_at; /* when the run began */
};

struct probe_worker {
    enum probe_kind kind;
    uint64_t initial_delay, period;                /* usec */
    unsigned success_threshold, failure_threshold; /* in a row */

    char id[PROBE_RUN_ID_SIZE]; /* the run that is probed */
    bool passed;                /* the standing result */
    bool on_hold;               /* decided against this run: nothing more until the next one */
    bool under_way;
    bool last; /* the last counted outcome, `row` times in a row */
    unsigned row;
    uint64_t first_at, due_at, wait;
};

/* probe: the API's Probe. */
void probe_worker_init(struct probe_worker *w, enum probe_kind kind, const struct json *probe);
/* Goes on where an earlier agent was: this run had passed. */
void probe_worker_resume(struct probe_worker *w, const char *id, bool passed);
/* Takes in what is seen; when the next probe is due (now or in the past: at once), 0 for none. */
uint64_t probe_worker_see(struct probe_worker *w, const struct probe_container *c);
void probe_worker_began(struct probe_worker *w, uint64_t now);

enum probe_verdict {
    PROBE_UNCOUNTED, /* nothing to tell */
    PROBE_COUNTED,   /* nothing decided; a failure is worth an event */
    PROBE_PASSED,    /* the threshold is reached (every time it is) */
    PROBE_FAILED,
};
enum probe_verdict probe_worker_ended(struct probe_worker *w, enum probe_outcome outcome, uint64_t now);
/* The probe under way was given up: as if it had not been. */
void probe_worker_cancelled(struct probe_worker *w);
/* The container could not be ended for its failed probe: it is asked again. */
void probe_worker_released(struct probe_worker *w);

const char *probe_kind_name(enum probe_kind kind);   /* "Liveness" */
const char *probe_kind_member(enum probe_kind kind); /* "livenessProbe" */

#endif
