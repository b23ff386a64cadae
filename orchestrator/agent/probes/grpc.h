/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two messages of grpc.health.v1.Health/Check, as bytes on HTTP/2. Pure. */
#ifndef PODIUM_AGENT_PROBES_GRPC_H
#define PODIUM_AGENT_PROBES_GRPC_H

#include <stddef.h>

#include "podium/base/strbuf.h"

#define GRPC_HEALTH_PATH "/grpc.health.v1.Health/Check"

/* The request's body: one message with its five bytes of prefix. */
void grpc_health_request(const char *service, struct strbuf *out);
/* The serving status in an answer's body: 0 UNKNOWN, 1 SERVING, 2 NOT_SERVING, 3 SERVICE_UNKNOWN; -EBADMSG when it is
 * no such answer. */
int grpc_health_answer(const void *p, size_t n) _must_check_;
/* "SERVING" …; a number outside the enum is "UNKNOWN". */
const char *grpc_health_name(int status);

#endif
