/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mirrors Endpoints of Services without selector into EndpointSlices. */
#ifndef PODIUM_CONTROLLER_SLICEMIRRORING_CONTROLLER_H
#define PODIUM_CONTROLLER_SLICEMIRRORING_CONTROLLER_H

#include "orchestrator/controller/controller.h"

extern const struct controller_ops slicemirroring_controller;

#endif
