/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers that are byte streams of a node: logs as a chunked body, exec, attach and port-forward as upgraded
 * connections. */
#ifndef PODIUM_APISERVER_STREAM_ANSWER_H
#define PODIUM_APISERVER_STREAM_ANSWER_H

#include "orchestrator/apiserver/http/internal.h"

/* *taken_over: the connection is suspended until its end, see takeover.h. */
enum MHD_Result stream_answer_queue(struct http_server *h, struct MHD_Connection *c, struct api_request *req,
                                    bool *taken_over);

#endif
