/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client interface in-process: the same verbs behind the same authorization, admission and validation as over HTTP,
 * without the HTTP. Requests run on a thread of the client's own (local_worker.h), in the order they were started;
 * answers come back to the loop's thread in batches, through an eventfd. Watches are opened on the loop's thread.
 *
 * All clients must be freed before the server, on the loop's thread. Freeing waits for requests that are under way
 * (their callbacks are not called); a request that was started happens, whether it is cancelled or not.
 */
#ifndef PODIUM_APISERVER_LOCAL_CLIENT_H
#define PODIUM_APISERVER_LOCAL_CLIENT_H

#include "orchestrator/apiserver/apiserver.h"
#include "orchestrator/client/client.h"

/* user and groups (NULL-terminated, may be NULL; system:authenticated is added) are copied. */
int local_client_new(sd_event *loop, struct apiserver *api, const char *user, char *const *groups, struct client **ret,
                     struct error *err) _must_check_;

#endif
