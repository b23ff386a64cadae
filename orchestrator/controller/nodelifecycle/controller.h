/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watches over the nodes' heartbeats (their Leases in kube-node-lease, and their status), marks silent ones and their
 * pods, keeps the taints in step with the conditions, and evicts pods from nodes tainted NoExecute.
 *
 * All times are measured on our own monotonic clock from when a change was seen: clocks of nodes do not matter, and
 * after a restart of the control plane every node has its whole grace period again.
 */
#ifndef PODIUM_CONTROLLER_NODELIFECYCLE_CONTROLLER_H
#define PODIUM_CONTROLLER_NODELIFECYCLE_CONTROLLER_H

#include "orchestrator/controller/controller.h"

extern const struct controller_ops node_lifecycle_controller;

#endif
