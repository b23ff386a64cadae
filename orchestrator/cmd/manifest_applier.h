/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Makes the cluster follow a watched manifest folder: applies what is there, prunes what came from it and is gone.
 *
 * A pass plans (manifest/apply_plan.h) and performs one action after the other through the client, like anybody else. A
 * file's objects are applied when the file changes and when one of them is missing; what others change in the live
 * object meanwhile (a person scaling, an autoscaler) stays. Failed actions are tried again with back-off; broken files
 * and failures are recorded as Events (object: kind Manifest, the file's name) and kept in the ConfigMap
 * kube-system/podium-manifests for `podium status`, while everything else goes on.
 */
#ifndef PODIUM_CMD_MANIFEST_APPLIER_H
#define PODIUM_CMD_MANIFEST_APPLIER_H

#include <systemd/sd-event.h>

#include "orchestrator/client/client.h"
#include "orchestrator/client/informer.h"

struct manifest_applier;

/* Call before the loop runs for the first time (it adds indexes to the shared informers). */
int manifest_applier_new(sd_event *loop, struct client *client, struct informer_set *informers, const char *dir,
                         struct manifest_applier **ret, struct error *err) _must_check_;
void manifest_applier_free(struct manifest_applier *a);

#endif
