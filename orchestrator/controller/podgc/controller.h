/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Removes pods nobody will ever finish: of Nodes that no longer exist, deleted before they were bound, and finished
 * ones beyond a number. */
#ifndef PODIUM_CONTROLLER_PODGC_CONTROLLER_H
#define PODIUM_CONTROLLER_PODGC_CONTROLLER_H

#include "orchestrator/controller/controller.h"

extern const struct controller_ops podgc_controller;

#endif
