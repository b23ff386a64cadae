/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who reaches whose pods where: each node's pod range and address, to all other nodes. A node gets all of it once
 * (SetNetwork), then what changed (UpdatePeers): of n nodes that join, n² routes must travel, but no text is made more
 * than a few times, and a round of updates to all waits until those before it cost little of the time since.
 * Private to the server's end. The loop's thread.
 */
#ifndef PODIUM_LINK_PUSH_NETWORK_H
#define PODIUM_LINK_PUSH_NETWORK_H

struct link_server;
struct link_peer;
struct network_routes;

struct network_routes *network_routes_new(struct link_server *s);
void network_routes_free(struct network_routes *r);
/* The node has this pod range and address now; one of them NULL: pods there cannot be reached (any more). All nodes
 * hear of it soon. */
void network_routes_put(struct network_routes *r, const char *node, const char *range, const char *address);
/* SetNetwork, if the peer's node has a range and was not told of it yet. */
void push_network(struct link_peer *p);

#endif
