/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A container's environment and the $(VAR) references in it and in its command. Source: the kubelet's
 * makeEnvironmentVariables and third_party/forked/golang/expansion.
 */
#ifndef PODIUM_AGENT_ENV_H
#define PODIUM_AGENT_ENV_H

#include "orchestrator/agent/context.h"

/* The "K=V" of envFrom and env in order, later ones replacing earlier ones of the same name. -EAGAIN with the problem
 * when a ConfigMap, Secret or key that is not optional is missing. The caller frees *ret (strv). */
int env_build(const struct pod_context *ctx, const struct json *container, char ***ret,
              struct pod_problem *problem) _must_check_;
/* Replaces $(NAME) by the value in env; unknown references stay, "$$" is a dollar. The caller frees. */
char *env_expand(const char *text, char *const *env);
/* Sets K=V in the vector, replacing K. Takes the string. */
void env_put(char ***env, char *take);
const char *env_get(char *const *env, const char *name); /* NULL when absent */
/* A field of the pod for fieldRef and downward API files ("metadata.labels['a']", "status.podIP"); the caller frees;
 * NULL when the path is unknown. */
char *pod_field(const struct pod_context *ctx, const char *path);
/* A resource of a container for resourceFieldRef; NULL when unknown. */
char *resource_field(const struct pod_context *ctx, const struct json *container, const struct json *ref);

#endif
