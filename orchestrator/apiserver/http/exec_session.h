/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One exec or attach: a WebSocket of the subprotocols v5.channel.k8s.io or v4.channel.k8s.io (wire.md section 12) on
 * one side, a node's stream on the other. Lives on the loop of node_ops.
 */
#ifndef PODIUM_APISERVER_EXEC_SESSION_H
#define PODIUM_APISERVER_EXEC_SESSION_H

#include <microhttpd.h>

#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/subresources/stream.h"

/* Takes the stream and the upgraded connection; extra: bytes that came behind the request. Any thread. */
void exec_session_start(struct api_stream *take, struct MHD_UpgradeResponseHandle *urh, int sock, const char *extra,
                        size_t extra_len);
/* Ends all; on the loop's thread. */
void exec_sessions_abort(struct apiserver *api);

#endif
