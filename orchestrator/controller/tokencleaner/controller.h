/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Removes bootstrap tokens whose time is over (upstream's tokencleaner). One timer, set for the first that ends. */
#ifndef PODIUM_CONTROLLER_TOKENCLEANER_CONTROLLER_H
#define PODIUM_CONTROLLER_TOKENCLEANER_CONTROLLER_H

#include "orchestrator/controller/controller.h"

extern const struct controller_ops token_cleaner_controller;

#endif
