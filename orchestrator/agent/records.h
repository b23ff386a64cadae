/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the control plane wanted last, on the node's disk: a node that boots while the control plane is away brings its
 * pods back by it.
 *
 * What it is. Two files below the state folder, written a moment after something changed (pods.json: the network, the
 * pods with their last statuses, the ConfigMaps and Secrets they use; services.json: what DNS and the data path read).
 * When the agent starts and no resync has come within RECORDS_WAIT_USEC, they are taken as one; the next real resync
 * puts right what changed meanwhile, as after any loss of the connection.
 *
 * Not synced to disk: after a power loss a file may be the one before, or unusable, and is then left out with a
 * warning. Secrets are in it: mode 0600 in a folder of root's, beside the node's own key.
 *
 * Threads: the loop's.
 */
#ifndef PODIUM_AGENT_RECORDS_H
#define PODIUM_AGENT_RECORDS_H

#include "podium/base/cleanup.h"
#include "podium/base/error.h"

#define RECORDS_WAIT_USEC     (2ull * 1000000ull)  /* for the control plane, after a start */
#define RECORDS_PODS_USEC     (1ull * 1000000ull)  /* from a change to its record */
#define RECORDS_SERVICES_USEC (10ull * 1000000ull) /* there may be thousands */

struct agent;
struct agent_records;

int records_new(struct agent *agent, struct agent_records **ret, struct error *err) _must_check_;
/* Writes what is not written yet. NULL is fine. */
void records_free(struct agent_records *r);
DEFINE_CLEANUP(struct agent_records *, records_free)
/* Something of these changed. r may be NULL. */
void records_pods_changed(struct agent_records *r);
void records_services_changed(struct agent_records *r);

#endif
