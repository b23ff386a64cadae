/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The request that pods/proxy, services/proxy and nodes/proxy pass on: rewritten for whom it goes to, the client's
 * credentials left out. */
#ifndef PODIUM_APISERVER_HTTP_PROXY_H
#define PODIUM_APISERVER_HTTP_PROXY_H

#include <microhttpd.h>

#include "orchestrator/apiserver/subresources/stream.h"

/* As upgrade_queue(). */
enum MHD_Result proxy_queue(struct MHD_Connection *c, const struct api_request *req, struct api_stream *take,
                            bool *taken_over);

#endif
