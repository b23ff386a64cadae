/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which Service holds which address and node port.
 *
 * What it is. The committed Services, followed by a watch that is read whenever somebody asks, so that the ledger shows
 * exactly what the store shows: nothing can leak, and a deleted Service gives back what it had without being asked.
 * Beside them stand grants: what requests under way were promised and the store may not show yet.
 *
 * Invariants. A key is held by one Service or granted to one request, never both, except that a Service may be granted
 * nothing it holds already. A grant ends with the write it is for (which is visible in the store by then), or with
 * its request when it never came to one.
 *
 * Threads. ledger_begin() locks and catches up, ledger_end() unlocks; what is between is the thread's own.
 */
#ifndef PODIUM_APISERVER_SERVICE_LEDGER_H
#define PODIUM_APISERVER_SERVICE_LEDGER_H

#include <stdbool.h>

#include "orchestrator/store/store.h"

struct service_ledger;

enum ledger_state { LEDGER_FREE, LEDGER_OWN, LEDGER_TAKEN };

struct service_ledger *service_ledger_new(struct store *store);
void service_ledger_free(struct service_ledger *l);

void service_ledger_begin(struct service_ledger *l);
void service_ledger_end(struct service_ledger *l);
/* key: "10.96.0.7" or "30080" (node ports are one space for all protocols). owner: "ns/name". request: who asks; what
 * it was granted is LEDGER_OWN, too. Between begin and end. */
enum ledger_state service_ledger_state(const struct service_ledger *l, const char *key, const char *owner,
                                       const void *request);
/* The key must not be LEDGER_TAKEN. */
void service_ledger_grant(struct service_ledger *l, const char *key, const void *request);
/* Ends all grants of the request. Not between begin and end. */
void service_ledger_settle(struct service_ledger *l, const void *request);

#endif
