/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the rules of a ClusterRole with an aggregationRule become. Pure. */
#ifndef PODIUM_CONTROLLER_CLUSTERROLEAGGREGATION_DECIDE_H
#define PODIUM_CONTROLLER_CLUSTERROLEAGGREGATION_DECIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "podium/base/json.h"

bool cluster_role_is_aggregated(const struct json *role);
/* The role with the rules its selectors choose among all ClusterRoles; NULL when it has them, goes, or is none that is
 * aggregated. New. */
struct json *cluster_role_aggregated(const struct json *role, const struct json *const *roles, size_t n);

#endif
