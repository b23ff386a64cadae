/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is wrong with the objects of a cluster, and why: from lists of them to findings. Pure.
 *
 * problems: what keeps something from being as it was asked to be. notes: what is as it was asked to be, or may be, but
 * should be known when something else surprises.
 */
#ifndef PODIUM_CLI_DIAGNOSIS_H
#define PODIUM_CLI_DIAGNOSIS_H

#include "orchestrator/cli/findings.h"
#include "podium/base/json.h"

struct diagnosis {
    struct findings problems, notes;
};
#define DIAGNOSIS_INIT                                                                                                 \
    { FINDINGS_INIT, FINDINGS_INIT }
#define _cleanup_diagnosis_ _cleanup_(diagnosis_finish)
void diagnosis_finish(struct diagnosis *d);

/* Arguments are the "items" of lists; NULL is an empty one. */
void diagnose_nodes(struct diagnosis *d, const struct json *nodes);
/* unhealthy: Events of failed probes (reason Unhealthy): why a pod is not ready. */
void diagnose_pods(struct diagnosis *d, const struct json *pods, const struct json *unhealthy);
void diagnose_deployments(struct diagnosis *d, const struct json *deployments);
/* A service without a ready endpoint; one whose pods a Deployment has scaled to none is no problem. */
void diagnose_services(struct diagnosis *d, const struct json *services, const struct json *slices,
                       const struct json *pods, const struct json *deployments);
/* Disruption budgets that let no pod go. */
void diagnose_budgets(struct diagnosis *d, const struct json *budgets);

/* A condition of an object by type, or NULL. Borrowed. */
const struct json *condition_of(const struct json *object, const char *type);
bool pod_is_static(const struct json *pod);

#endif
