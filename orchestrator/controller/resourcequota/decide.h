/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a ResourceQuota's status says, as upstream's pkg/controller/resourcequota. Pure. */
#ifndef PODIUM_CONTROLLER_RESOURCEQUOTA_DECIDE_H
#define PODIUM_CONTROLLER_RESOURCEQUOTA_DECIDE_H

#include <stddef.h>

#include "orchestrator/object/quota/amounts.h"
#include "orchestrator/object/resources.h"

/* The kinds of object the quota counts, each once, ended by NULL; the caller frees the array. */
const struct resource **resource_quota_kinds(const struct json *quota);
/* used: everything its objects use; what spec.hard does not name is left out, what it names and nobody uses is "0". A
 * new document. */
struct json *resource_quota_status(const struct json *quota, const struct amounts *used);

#endif
