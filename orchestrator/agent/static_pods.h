/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Static pods: pods of this node alone, from files, and the mirror pods that show them in the API.
 *
 * What it is. A static pod needs no control plane: it runs from the agent's first moment on. When there is a control
 * plane, it is asked to keep a mirror: a pod of the same name, annotated kubernetes.io/config.mirror with the static
 * pod's uid. The mirror comes back among the node's pods; it is not run, but carries the status, and logs and exec
 * come by its uid. A mirror whose static pod is gone or other is removed, one that somebody deleted is made again.
 *
 * Source of the behaviour: kubelet's static pods (pkg/kubelet/config, pkg/kubelet/pod/mirror_client.go).
 *
 * Threads: the loop's.
 */
#ifndef PODIUM_AGENT_STATIC_PODS_H
#define PODIUM_AGENT_STATIC_PODS_H

#include <stdbool.h>

#include "podium/base/json.h"

#define ANNOTATION_MIRROR "kubernetes.io/config.mirror"
#define ANNOTATION_SOURCE "kubernetes.io/config.source"

struct agent;
struct agent_pod;

/* The uid of the static pod a document is the mirror of; NULL: no mirror. */
const char *mirror_of(const struct json *pod);
/* A mirror as the control plane pushed it; it is never run. */
void mirror_applied(struct agent *agent, const struct json *pod);
/* False: no mirror of this uid. */
bool mirror_removed(struct agent *agent, const char *uid);
void mirrors_sync_begin(struct agent *agent);
void mirrors_sync_end(struct agent *agent);
/* The connection came or went: requests under way are forgotten. */
void mirrors_connection_changed(struct agent *agent);
/* Asks for mirrors that are missing, and for the end of those that are wrong. From the loop, when agent->mirrors_dirty.
 */
void mirrors_update(struct agent *agent);
/* The uid the control plane knows the pod by: its own or its mirror's; NULL while a static pod has none. */
const char *mirror_told_uid(const struct agent_pod *pod);
/* The pod of an uid or of its mirror's; NULL: none. */
struct agent_pod *agent_pod_by_uid(struct agent *agent, const char *uid);

#endif
