/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeps the pods of ReplicaSets and of ReplicationControllers in number; the two differ in a row of a table. */
#ifndef PODIUM_CONTROLLER_REPLICASET_CONTROLLER_H
#define PODIUM_CONTROLLER_REPLICASET_CONTROLLER_H

#include "orchestrator/controller/controller.h"

extern const struct controller_ops replicaset_controller, replication_controller;

#endif
