/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gives Services addresses and node ports (upstream's pkg/registry/core/service/storage/alloc.go): what they ask for if
 * it is free, else any free one. Dynamic choices prefer the upper part of both ranges, so that the lower part (256
 * addresses, 86 ports) remains for people who choose by hand. Who has what: service_ledger.h.
 */
#ifndef PODIUM_APISERVER_SERVICE_POOL_H
#define PODIUM_APISERVER_SERVICE_POOL_H

#include "orchestrator/apiserver/request.h"

struct service_pool;
/* cidr: IPv4, /8 to /29. -EINVAL when it is not one. */
int service_pool_new(struct store *store, const char *cidr, struct service_pool **ret, struct error *err) _must_check_;
void service_pool_free(struct service_pool *p);
/* Fills in clusterIP(s) and node ports a valid Service should have and has not; checks those it asks for. Does nothing
 * for other kinds. Problems go to errors; false: a range is full and the request is answered. A dry run is granted
 * nothing. Any thread. */
bool service_pool_fill(struct api_request *req, struct json **doc, struct field_errors *errors) _must_check_;
/* The request has ended, its write has, or it starts over: its grants end, too. */
void service_pool_settle(const struct api_request *req);

#endif
