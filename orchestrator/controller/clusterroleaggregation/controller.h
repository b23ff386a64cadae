/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fills the rules of ClusterRoles with an aggregationRule from those their selectors choose. */
#ifndef PODIUM_CONTROLLER_CLUSTERROLEAGGREGATION_CONTROLLER_H
#define PODIUM_CONTROLLER_CLUSTERROLEAGGREGATION_CONTROLLER_H

#include "orchestrator/controller/controller.h"

extern const struct controller_ops cluster_role_aggregation_controller;

#endif
