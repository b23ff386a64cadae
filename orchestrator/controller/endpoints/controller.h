/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeps the v1 Endpoints of Services that have a selector, and removes those whose Service went. */
#ifndef PODIUM_CONTROLLER_ENDPOINTS_CONTROLLER_H
#define PODIUM_CONTROLLER_ENDPOINTS_CONTROLLER_H

#include "orchestrator/controller/controller.h"

extern const struct controller_ops endpoints_controller;

#endif
