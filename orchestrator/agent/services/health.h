/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Answers balancers that ask whether this node has endpoints of a service (healthCheckNodePort, with the external
 * policy Local): on all addresses of the node, one HTTP answer a connection, 200 when there is a ready endpoint here
 * and 503 when there is none, with the body kube-proxy sends. Ports follow the table of services; one that is taken is
 * logged and tried again with the next change.
 *
 * Threads: the loop's.
 */
#ifndef PODIUM_AGENT_SERVICES_HEALTH_H
#define PODIUM_AGENT_SERVICES_HEALTH_H

#include "orchestrator/agent/services/table.h"

struct service_health;

/* table: borrowed; to be freed right after this one, without a turn of the loop in between. */
struct service_health *service_health_new(sd_event *loop, struct service_table *table, const char *node_name);
void service_health_free(struct service_health *health); /* NULL is fine */

#endif
