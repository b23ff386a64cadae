/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Services of the table as documents again, for the node's records. Pure; any thread. */
#ifndef PODIUM_AGENT_SERVICES_RECORD_H
#define PODIUM_AGENT_SERVICES_RECORD_H

#include "orchestrator/agent/services/table.h"
#include "podium/base/json.h"

/* Appends a Service and one EndpointSlice for each set of ports its backends serve: applied to an empty table they make
 * an equal service. */
void service_record(const struct service *s, struct json **list);

#endif
