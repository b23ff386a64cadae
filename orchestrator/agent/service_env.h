/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Environment variables that name services: MY_DB_SERVICE_HOST and the like. Source: the kubelet's
 * envvars.FromServices.
 */
#ifndef PODIUM_AGENT_SERVICE_ENV_H
#define PODIUM_AGENT_SERVICE_ENV_H

#include "orchestrator/agent/context.h"

/* The API's always (the service "kubernetes", whose address is the first of the service range); those of the pod's
 * namespace unless enableServiceLinks is false. They are what they were when the container was prepared. */
void service_env_add(const struct pod_context *ctx, char ***env);

#endif
