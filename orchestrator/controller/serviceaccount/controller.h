/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeps the ServiceAccount "default" and the ConfigMap "kube-root-ca.crt" in every active namespace. */
#ifndef PODIUM_CONTROLLER_SERVICEACCOUNT_CONTROLLER_H
#define PODIUM_CONTROLLER_SERVICEACCOUNT_CONTROLLER_H

#include "orchestrator/controller/controller.h"

extern const struct controller_ops serviceaccount_controller;

#endif
