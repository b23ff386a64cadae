/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes the cluster follow a watched manifest folder: applies what is there, prunes what came from it and is gone, and
 * records an Event for each broken file. Uses the client like anybody else. */
#ifndef PODIUM_CMD_MANIFEST_APPLIER_H
#define PODIUM_CMD_MANIFEST_APPLIER_H

#include <systemd/sd-event.h>

#include "orchestrator/client/client.h"

struct manifest_applier;

int manifest_applier_new(sd_event *loop, struct client *client, const char *dir, struct manifest_applier **ret,
                         struct error *err) _must_check_;
void manifest_applier_free(struct manifest_applier *a);

#endif
