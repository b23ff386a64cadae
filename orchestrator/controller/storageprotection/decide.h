/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a claim or a volume must have its protecting finalizer, as upstream's pkg/controller/volume/pvcprotection and
 * pvprotection. Pure. */
#ifndef PODIUM_CONTROLLER_STORAGEPROTECTION_DECIDE_H
#define PODIUM_CONTROLLER_STORAGEPROTECTION_DECIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "podium/base/json.h"

#define CLAIM_FINALIZER  "kubernetes.io/pvc-protection"
#define VOLUME_FINALIZER "kubernetes.io/pv-protection"

/* For informer_add_index on pods: adds "ns/claim" of each claim the pod uses or would use. */
void pod_claim_keys(const struct json *pod, char ***keys);
/* A pod that may be running: only such keeps a claim. */
bool pod_holds_claims(const struct json *pod);

/* The object with its finalizer set or taken away; NULL when it is as it should be. A new document. users: pods that
 * name the claim. */
struct json *claim_protected(const struct json *claim, struct json *const *users, size_t n_users);
struct json *volume_protected(const struct json *volume);

#endif
