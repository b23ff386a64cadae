/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses and node ports of Services. What is taken is what stored Services hold, looked up when something is to be
 * allocated, plus what was granted moments ago and may still be on its way to the store: so nothing can leak, and a
 * deleted Service gives back what it had without being asked.
 */
#ifndef PODIUM_APISERVER_SERVICE_POOL_H
#define PODIUM_APISERVER_SERVICE_POOL_H

#include "orchestrator/apiserver/request.h"

struct service_pool;
/* cidr: IPv4, /8 to /29. -EINVAL when it is not one. */
int service_pool_new(struct store *store, const char *cidr, struct service_pool **ret, struct error *err) _must_check_;
void service_pool_free(struct service_pool *p);
/* Fills in clusterIP(s) and node ports a Service should have and has not; checks those it asks for. Does nothing for
 * other kinds. Problems go to errors. Any thread. */
void service_pool_fill(struct api_request *req, struct json **doc, struct field_errors *errors);
/* The write a grant was made for has ended: if it went well the store shows what is taken, else nothing is. */
void service_pool_settle(const struct api_request *req);

#endif
