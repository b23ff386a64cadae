/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The folder of static pods: Pods in YAML files that this node runs by itself, with or without a control plane. What is
 * in the folder runs, what leaves it goes, what changes is replaced. As kubelet's staticPodPath: names get the node's
 * at their end, the pods show up in the API as mirrors (orchestrator/agent/static_pods.h).
 */
#ifndef PODIUM_CMD_STATIC_PODS_H
#define PODIUM_CMD_STATIC_PODS_H

#include <systemd/sd-event.h>

#include "orchestrator/agent/node_api.h"

struct static_pods;

/* dir is watched from the loop on; agent is borrowed and must outlive it. */
int static_pods_new(sd_event *loop, const char *dir, const char *node_name, struct agent *agent,
                    struct static_pods **ret, struct error *err) _must_check_;
void static_pods_free(struct static_pods *s); /* pods run on; NULL is fine */
/* The pod of a file's document as it runs on this node (new; the caller unrefs), or NULL with the reason. now: real
 * time in microseconds. Pure. */
struct json *static_pod_make(const struct json *doc, const char *file, const char *node_name, uint64_t now,
                             struct error *err);

#endif
