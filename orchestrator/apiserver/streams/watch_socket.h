/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A watch over WebSocket: a message for each event, JSON as text and protobuf as bytes; what browsers use. Pulled on
 * the loop of node_ops, as fast as the client reads.
 */
#ifndef PODIUM_APISERVER_WATCH_SOCKET_H
#define PODIUM_APISERVER_WATCH_SOCKET_H

#include "orchestrator/apiserver/request.h"

struct takeover;

/* Takes the request's watch. The server must have a loop (apiserver_set_node_ops). */
void watch_socket_start(struct api_request *req, struct takeover *socket_take, char *head_take);

#endif
