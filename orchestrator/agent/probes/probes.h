/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The probes of a pod's containers and the hooks its supervisor asks for, on the agent's loop. worker.c decides, this
 * acts: probes by http.c, programs by exec.c, results to the supervisor (restart, started) and to the pod's health.
 *
 * The pod's health is {container: {"containerID": …, "ready": bool}} of containers with a readiness probe. It is kept
 * in POD_FILE_HEALTH of the pod's run folder, so that a new agent starts from it and a ready pod stays ready.
 *
 * Cost: one timer per pod, of coarse accuracy, so that the loop wakes up for many pods at once; a connection and no
 * process per HTTP, gRPC or TCP probe.
 */
#ifndef PODIUM_AGENT_PROBES_PROBES_H
#define PODIUM_AGENT_PROBES_PROBES_H

#include "podium/base/json.h"

struct agent_pod;
struct pod_probes;

#define POD_FILE_HEALTH "health.json"

/* Makes the probes of pod->probe_docs (probe_documents()) when there are any; once per pod. Reads the health file. */
void agent_probes_new(struct agent_pod *pod);
void agent_probes_free(struct pod_probes *probes); /* NULL is fine */
/* Something about the pod changed: looks which probes are due. */
void agent_probes_update(struct agent_pod *pod);
/* "hook": run it and answer. "hook-failed": tell of it. */
void agent_probes_hook(struct agent_pod *pod, const struct json *event);
/* The supervisor is gone: nothing under way can be told to anybody. */
void agent_probes_abandon(struct agent_pod *pod);

#endif
