/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeps the two ConfigMaps in which the cluster tells who it is (decide.h): made when missing, put right when changed,
 * cluster-info signed anew when bootstrap tokens come and go. */
#ifndef PODIUM_CONTROLLER_CLUSTERINFO_CONTROLLER_H
#define PODIUM_CONTROLLER_CLUSTERINFO_CONTROLLER_H

#include "orchestrator/controller/controller.h"

extern const struct controller_ops cluster_info_controller;

#endif
