/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the server's end writes for nodes: Node objects, Leases, pod statuses, final deletions. One write per object is
 * under way; newer values replace waiting ones. Failed writes are retried with back-off until a newer value or an
 * answer that makes them pointless (not found, another uid).
 */
#ifndef PODIUM_LINK_NODE_WRITES_H
#define PODIUM_LINK_NODE_WRITES_H

#include <systemd/sd-event.h>

#include "orchestrator/client/client.h"
#include "orchestrator/client/informer.h"

struct node_writes;

struct node_writes *node_writes_new(sd_event *loop, struct client *client, struct informer *nodes,
                                    struct informer *pods, const char *cluster_cidr, unsigned lease_seconds);
void node_writes_free(struct node_writes *w);
/* Makes sure the Node exists, with a pod range and labels, and has this status. */
void node_writes_node(struct node_writes *w, const char *node, const struct json *labels, const struct json *status);
void node_writes_heartbeat(struct node_writes *w, const char *node);
void node_writes_pod_status(struct node_writes *w, const char *ns, const char *name, const char *uid,
                            const struct json *status);
void node_writes_pod_finished(struct node_writes *w, const char *ns, const char *name, const char *uid);

#endif
