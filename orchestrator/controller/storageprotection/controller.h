/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes the finalizers kubernetes.io/pvc-protection and pv-protection away from claims no running pod uses and volumes
 * no claim is bound to, once they are being deleted; gives them to those that were made without. */
#ifndef PODIUM_CONTROLLER_STORAGEPROTECTION_CONTROLLER_H
#define PODIUM_CONTROLLER_STORAGEPROTECTION_CONTROLLER_H

#include "orchestrator/controller/controller.h"

extern const struct controller_ops storage_protection_controller;

#endif
