/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The part of strategy.h that is about Services: address families, and values a client may leave out when it updates.
 * Private to this folder. */
#ifndef PODIUM_OBJECT_STRATEGY_SERVICE_H
#define PODIUM_OBJECT_STRATEGY_SERVICE_H

#include "podium/base/json.h"

void strategy_service_create(struct json **doc);
void strategy_service_update(struct json **doc, const struct json *old);

#endif
