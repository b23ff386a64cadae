/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each kind does to a write before it is validated (upstream's registry strategies; wire.md section 7,
 * defaults.tsv stage "strategy"): who may change status and spec, generation, first status of a pod.
 *
 * Invariants. Pure functions on decoded and defaulted documents; the result is defaulted again. Identity (uid,
 * creationTimestamp, resourceVersion, name from generateName) is the API server's business, and so are values that come
 * from a pool (cluster addresses, node ports). Any thread.
 */
#ifndef PODIUM_OBJECT_STRATEGY_H
#define PODIUM_OBJECT_STRATEGY_H

#include "orchestrator/object/resources.h"
#include "podium/base/json.h"

/* Call after metadata.uid is set (a Job's selector is made from it). Clears deletion fields and selfLink, sets
 * generation, resets status where the kind has a status subresource. */
void strategy_prepare_create(const struct resource *r, struct json **doc);
/* subresource: NULL for the object itself, "status", "finalize", "approval", "ephemeralcontainers", "resize". The part
 * of the object that this endpoint does not write is taken from `old`. */
void strategy_prepare_update(const struct resource *r, const char *subresource, struct json **doc,
                             const struct json *old);
/* "Guaranteed", "Burstable" or "BestEffort" (static), from the containers of a pod's spec. */
const char *pod_qos_class(const struct json *pod_spec);

#endif
