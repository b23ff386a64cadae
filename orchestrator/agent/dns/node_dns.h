/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The node's DNS server in the agent: where it listens and for what zone comes with the control plane's network
 * document (node_api.h). The address is put on the node's bridge, so pods of the node, pods in its network and the node
 * itself reach it without translation.
 *
 * What was told last is kept in <run_dir>/dns.json: a restarted agent serves at once, what it must not know yet (the
 * cluster's names, before the table is in sync) with SERVFAIL, all else by the host's resolvers. With the link down the
 * table stays as pushed last. A table kept on disk would fit here, too: the zone reads nothing else.
 *
 * Threads: the loop's.
 */
#ifndef PODIUM_AGENT_DNS_NODE_DNS_H
#define PODIUM_AGENT_DNS_NODE_DNS_H

#include <systemd/sd-event.h>

#include "podium/base/cleanup.h"
#include "podium/base/json.h"

struct service_table;
struct node_dns;

/* bridge, run_dir: copied; table: borrowed, longer-lived. Serves what an earlier agent served here, if anything. */
struct node_dns *node_dns_new(sd_event *loop, const struct service_table *table, const char *bridge,
                              const char *run_dir, const char *cluster_domain);
void node_dns_free(struct node_dns *dns); /* the address stays */
DEFINE_CLEANUP(struct node_dns *, node_dns_free)
/* The network document; one without dns.servers ends the service. What fails is logged and tried again. */
void node_dns_set(struct node_dns *dns, const struct json *network);

#endif
