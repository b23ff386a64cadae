/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fills Secrets of type kubernetes.io/service-account-token with a token of the account they name, the authority and
 * the namespace, and removes them with the account. The token is a modern one, bound to the Secret: deleting the Secret
 * takes it back. */
#ifndef PODIUM_CONTROLLER_TOKENSECRET_CONTROLLER_H
#define PODIUM_CONTROLLER_TOKENSECRET_CONTROLLER_H

#include "orchestrator/controller/controller.h"

extern const struct controller_ops tokensecret_controller;

#endif
