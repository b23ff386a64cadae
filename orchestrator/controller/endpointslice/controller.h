/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeps the EndpointSlices of Services that have a selector. */
#ifndef PODIUM_CONTROLLER_ENDPOINTSLICE_CONTROLLER_H
#define PODIUM_CONTROLLER_ENDPOINTSLICE_CONTROLLER_H

#include "orchestrator/controller/controller.h"

extern const struct controller_ops endpointslice_controller;

#endif
