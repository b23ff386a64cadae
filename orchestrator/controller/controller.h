/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one controller is to the registry: a start that gives a handle, and its free. */
#ifndef PODIUM_CONTROLLER_CONTROLLER_H
#define PODIUM_CONTROLLER_CONTROLLER_H

#include "orchestrator/client/client.h"
#include "orchestrator/client/informer.h"
#include "orchestrator/controller/registry.h"

/* Lent to each controller for its life. */
struct controller_env {
    sd_event *loop;
    struct client *client;
    struct informer_set *informers;
    struct controller_options options; /* defaults filled in */
};

struct controller_ops {
    const char *name; /* also the component of its events: "replicaset-controller" */
    int (*start)(const struct controller_env *env, void **ret, struct error *err);
    void (*free)(void *controller);
};

#endif
