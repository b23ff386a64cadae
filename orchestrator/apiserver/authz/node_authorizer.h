/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What nodes may: users system:node:NAME of the group system:nodes, as upstream's node authorizer (with selectors, as
 * 1.32 has it by default). Secrets, ConfigMaps, claims, volumes and tokens only where a pod bound to the node refers to
 * them; pods only its own; its own Node, Lease and CSINode. What they write is checked further by the admission plugin
 * NodeRestriction. Podium's own agents do not come this way: they speak to the link.
 */
#ifndef PODIUM_APISERVER_NODE_AUTHORIZER_H
#define PODIUM_APISERVER_NODE_AUTHORIZER_H

#include "orchestrator/apiserver/authz/authorize.h"

struct node_graph;

/* The NAME of such a user; NULL for everybody else. */
const char *node_of_user(const struct api_user *u);

/* Allowed as a node? reason (may be NULL): a new text why not, or NULL when the user is no node. Any thread. */
bool node_decide(struct node_graph *graph, const struct authz_question *q, char **reason);

#endif
