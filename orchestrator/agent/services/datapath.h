/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Services on this node: listens to the table of services and keeps the kernel (podium/netns_services.h) as it says.
 *
 * Invariants. Nothing is touched before the first sync with the control plane: what an earlier agent left goes on
 * working. Then all of it is replaced in one transaction, and afterwards each turn's changes are one transaction. When
 * one fails (somebody emptied the tables), everything is put in place again, soon and then every now and then.
 * Freeing leaves the kernel as it is: pods run on, so do services.
 *
 * Threads: the loop's.
 */
#ifndef PODIUM_AGENT_SERVICES_DATAPATH_H
#define PODIUM_AGENT_SERVICES_DATAPATH_H

#include "orchestrator/agent/services/table.h"
#include "podium/base/error.h"

struct datapath;

/* Everything is put in place: call datapath_pod_add() for each pod that is attached now, and see to what else should be
 * in the tables. */
typedef void (*datapath_restore)(void *userdata);

/* table: borrowed, must live longer. NULL when the loop cannot be used. */
struct datapath *datapath_new(sd_event *loop, struct service_table *table, const char *node_name,
                              datapath_restore restore, void *userdata);
void datapath_free(struct datapath *datapath); /* NULL is fine */

/* The control plane's network document: addresses of the node's own DNS (dns.servers) are left to it. */
void datapath_set_network(struct datapath *datapath, const struct json *network);

/* The pod is attached with this address: host ports of its containers lead to it, and it reaches itself through
 * services, at once. Before the first sync nothing happens: the pod is asked for then. -EADDRINUSE when another pod
 * has one of its ports. */
int datapath_pod_add(struct datapath *datapath, const char *ip, const struct json *pod, struct error *err) _must_check_;
void datapath_pod_remove(struct datapath *datapath, const char *ip);

#endif
