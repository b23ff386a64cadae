/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a whole pod requests and is limited to, as upstream's component-helpers/resource: the sum of its containers and
 * sidecars, or what its init containers need while they run, whichever is more. Pure; any thread.
 */
#ifndef PODIUM_OBJECT_POD_AMOUNTS_H
#define PODIUM_OBJECT_POD_AMOUNTS_H

#include "orchestrator/object/quota/amounts.h"

enum pod_amounts_kind { POD_REQUESTS, POD_LIMITS };

/* spec: of a pod. overhead: with what its RuntimeClass adds. Adds to what is in ret. */
void pod_amounts(const struct json *spec, enum pod_amounts_kind kind, bool overhead, struct amounts *ret);

#endif
