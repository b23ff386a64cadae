/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Deletes what its owners leave behind (background), before its owners go (foreground), or cuts it loose (orphan), for
 * every stored kind. An owner missing in our copies is read live before anything is deleted; an owner of an unknown
 * kind, or of another namespace, is taken as present.
 */
#ifndef PODIUM_CONTROLLER_GARBAGE_CONTROLLER_H
#define PODIUM_CONTROLLER_GARBAGE_CONTROLLER_H

#include "orchestrator/controller/controller.h"

extern const struct controller_ops garbage_controller;

#endif
