/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kinds that are served in two shapes but stored in one (resource.storage_version): Events (core and events.k8s.io) and
 * HorizontalPodAutoscalers (v1 and v2). For every other resource both functions do nothing. Pure; any thread.
 */
#ifndef PODIUM_OBJECT_STORAGE_VERSION_H
#define PODIUM_OBJECT_STORAGE_VERSION_H

#include "orchestrator/object/resources.h"
#include "podium/base/json.h"

/* From the shape of r to that of resource_storage(r), before a write; apiVersion changes as well. */
void storage_version_encode(const struct resource *r, struct json **doc);
/* From what is stored to the shape of r, after a read. */
void storage_version_decode(const struct resource *r, struct json **doc);

#endif
