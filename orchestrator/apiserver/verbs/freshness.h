/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client that names a resourceVersion wants a state no older than that. One that has not come yet may be on its way
 * (another server of the same store wrote it): it is waited for as long as upstream waits, and is then a 504 "Too large
 * resource version".
 */
#ifndef PODIUM_APISERVER_FRESHNESS_H
#define PODIUM_APISERVER_FRESHNESS_H

#include "orchestrator/apiserver/request.h"

#define FRESHNESS_SECONDS 3 /* upstream: blockTimeout of the watch cache */

/* The state is older than `wanted`: looks again later by `again`, which must begin from the beginning; or answers, when
 * it has taken too long or the transport cannot wait. */
enum api_progress freshness_wait(struct api_request *req, uint64_t wanted, api_step_fn again);

#endif
