/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a request to an upgraded connection: which protocol the client asked for (WebSocket with a subprotocol, or
 * SPDY/3.1 with X-Stream-Protocol-Version), and the answer to it. wire.md section 12.
 */
#ifndef PODIUM_APISERVER_UPGRADE_H
#define PODIUM_APISERVER_UPGRADE_H

#include <microhttpd.h>

#include "orchestrator/apiserver/subresources/stream.h"

/* Takes the stream. *taken_over: the connection is no longer MHD's (takeover.h); otherwise an error was queued. */
enum MHD_Result upgrade_queue(struct MHD_Connection *c, struct api_stream *take, bool *taken_over);
/* The same for a watch, which needs no subprotocol. False: the client asks for no WebSocket, or there is no loop to run
 * it on; nothing has been done. */
bool upgrade_watch(struct MHD_Connection *c, struct api_request *req);

#endif
