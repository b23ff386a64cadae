/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rolls Deployments out over ReplicaSets. */
#ifndef PODIUM_CONTROLLER_DEPLOYMENT_CONTROLLER_H
#define PODIUM_CONTROLLER_DEPLOYMENT_CONTROLLER_H

#include "orchestrator/controller/controller.h"

extern const struct controller_ops deployment_controller;

#endif
