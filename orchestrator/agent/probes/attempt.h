/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One attempt of a probe: by HTTP, TCP, gRPC or a program in the container. What counts as success and the words of
 * failures are upstream's (pkg/probe, pkg/kubelet/prober).
 *
 * Ownership. done comes once, later, from the loop; the attempt is freed after it. probe_attempt_cancel() before that
 * frees it without a call (a program is killed).
 */
#ifndef PODIUM_AGENT_PROBES_ATTEMPT_H
#define PODIUM_AGENT_PROBES_ATTEMPT_H

#include "orchestrator/agent/probes/worker.h"

struct agent;
struct agent_pod;
struct http_pool;
struct probe_attempt;

struct probe_result {
    enum probe_outcome outcome;
    bool errored; /* it could not be asked at all: counts as a failure */
    bool warning; /* it succeeded, with something to say */
    const char *text;
};

struct probe_request {
    struct agent_pod *pod;
    const struct json *document; /* of the container: probe_documents() */
    const struct json *probe;    /* its Probe */
    void (*done)(void *userdata, const struct probe_result *result);
    void *userdata;
};

/* What goes wrong at once is told by done, too, later. */
void probe_attempt_start(const struct probe_request *request, struct probe_attempt **ret);
void probe_attempt_cancel(struct probe_attempt *attempt); /* NULL is fine */

/* The agent's pool, made at first use; NULL with an error. */
struct http_pool *agent_http_pool(struct agent *agent, struct error *err);

#endif
