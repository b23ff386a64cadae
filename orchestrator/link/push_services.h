/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Services and EndpointSlices to all nodes: every node routes to and resolves every service. What a node has no use for
 * (managed fields, other labels, bookkeeping) stays here, so most changes of bookkeeping are no news to it.
 * Private to the server's end. The loop's thread.
 */
#ifndef PODIUM_LINK_PUSH_SERVICES_H
#define PODIUM_LINK_PUSH_SERVICES_H

#include "orchestrator/client/informer.h"

struct link_server;
struct link_peer;

/* synced: called when the first list of either is in. */
void push_services_register(struct link_server *s, struct informer_set *informers, void (*synced)(void *userdata));
void push_services_remove(struct link_server *s);
bool push_services_synced(const struct link_server *s);
/* All of them to one peer, inside its SyncBegin and SyncEnd. */
void push_services_full(struct link_peer *p);

/* The document as nodes get it: apiVersion, kind, metadata (name, namespace, uid and the labels that route), and of a
 * Service spec and status.loadBalancer, of a slice addressType, ports and endpoints. New. Pure. */
struct json *push_services_trim(const struct json *object);

#endif
