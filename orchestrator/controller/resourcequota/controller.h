/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps status.hard and status.used of ResourceQuotas, by the changes of what they count: nothing is recounted by the
 * clock. Kinds nobody holds to a quota are not watched; in namespaces without quotas nothing is counted. Admission
 * (orchestrator/apiserver/admission/resource_quota.c) reckons by itself and does not read what is written here.
 */
#ifndef PODIUM_CONTROLLER_RESOURCEQUOTA_CONTROLLER_H
#define PODIUM_CONTROLLER_RESOURCEQUOTA_CONTROLLER_H

#include "orchestrator/controller/controller.h"

extern const struct controller_ops resource_quota_controller;

#endif
