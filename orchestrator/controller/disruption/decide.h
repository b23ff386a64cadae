/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PodDisruptionBudgets: how many of the pods a budget covers may be evicted now. Pure; the clock comes in.
 *
 * Source of the behaviour: upstream's pkg/controller/disruption, policy/v1.
 */
#ifndef PODIUM_CONTROLLER_DISRUPTION_DECIDE_H
#define PODIUM_CONTROLLER_DISRUPTION_DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/json.h"

/* An eviction that was allowed and of which nothing was seen is forgotten after this time. */
#define DISRUPTION_FORGOTTEN_USEC (120ull * 1000000ull)

/* The budget is a share of what the pods' controllers want (maxUnavailable, or a percentage), not of the pods there. */
bool disruption_wants_scale(const struct json *pdb);
/* The new status. pods: those the selector matches. scale: what their controllers want together, when
 * disruption_wants_scale(). *ret_wait: look again after this time, UINT64_MAX: no need. */
struct json *disruption_status(const struct json *pdb, struct json *const *pods, size_t n, int64_t scale, uint64_t now,
                               uint64_t *ret_wait);

#endif
