/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Objects served in more than one version (Events, HorizontalPodAutoscalers) are stored in one. Requests work on the
 * version they name; these convert at the border to the store. For nearly all resources they do nothing but take a
 * reference.
 */
#ifndef PODIUM_APISERVER_VERSIONS_H
#define PODIUM_APISERVER_VERSIONS_H

#include "orchestrator/object/resources.h"
#include "orchestrator/store/store.h"

/* A new reference to the item's document as clients of r see it. */
struct json *version_shown(const struct resource *r, struct store_item *item);
/* A new reference to the document as it is stored. */
struct json *version_stored(const struct resource *r, struct json *doc);

#endif
