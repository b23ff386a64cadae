/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeps default/kubernetes and kube-system/kube-dns, from the start on and whoever deletes them. */
#ifndef PODIUM_CONTROLLER_CLUSTERSERVICES_CONTROLLER_H
#define PODIUM_CONTROLLER_CLUSTERSERVICES_CONTROLLER_H

#include "orchestrator/controller/controller.h"

extern const struct controller_ops cluster_services_controller;

#endif
