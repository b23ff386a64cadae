/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeps the status of PodDisruptionBudgets, which the eviction subresource asks. */
#ifndef PODIUM_CONTROLLER_DISRUPTION_CONTROLLER_H
#define PODIUM_CONTROLLER_DISRUPTION_CONTROLLER_H

#include "orchestrator/controller/controller.h"

extern const struct controller_ops disruption_controller;

#endif
