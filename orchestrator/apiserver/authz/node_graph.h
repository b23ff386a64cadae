/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the pods of each node refer to: Secrets, ConfigMaps, claims, service accounts. Upstream's graph of the node
 * authorizer, kept as a count of references per node.
 *
 * It is built with the first question and follows the store by a watch that is read when somebody asks: who has no
 * nodes speaking to the API pays nothing, and no write waits for it. After a long silence it is built anew, which reads
 * every pod once.
 *
 * Threads. Any.
 */
#ifndef PODIUM_APISERVER_NODE_GRAPH_H
#define PODIUM_APISERVER_NODE_GRAPH_H

#include "orchestrator/store/store.h"

struct node_graph;
struct node_graph *node_graph_new(struct store *store);
void node_graph_free(struct node_graph *g);

/* Does a pod bound to the node refer to this object? kind: "secrets" (also by the volume of a claim), "configmaps",
 * "persistentvolumeclaims", "persistentvolumes" (by its claim; ns ""), "serviceaccounts", "pods" (bound to it). */
bool node_graph_reaches(struct node_graph *g, const char *node, const char *kind, const char *ns, const char *name);

/* Does a pod's spec refer to objects of this kind ("secrets", "configmaps")? Pure. */
bool pod_refers_to(const struct json *pod, const char *kind);

#endif
