/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Empties namespaces that are being deleted and lets go of them when nothing is left. Rounds of deletecollection over
 * all namespaced kinds, each followed by a live look at what remains; the end of a remaining object starts the next
 * round.
 */
#ifndef PODIUM_CONTROLLER_NAMESPACE_CONTROLLER_H
#define PODIUM_CONTROLLER_NAMESPACE_CONTROLLER_H

#include "orchestrator/controller/controller.h"

extern const struct controller_ops namespace_controller;

#endif
