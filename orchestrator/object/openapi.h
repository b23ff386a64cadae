/* SPDX-License-Identifier: GPL-2.0-or-later */
/* OpenAPI v3 documents of a group version, built from the tables (wire.md section 2); what kubectl explain, apply and
 * create -f read. Pure; any thread; expensive: callers cache. */
#ifndef PODIUM_OBJECT_OPENAPI_H
#define PODIUM_OBJECT_OPENAPI_H

#include "podium/base/json.h"

/* group "" is core (paths under /api/v1). NULL when the group version does not exist. */
struct json *openapi_v3_document(const char *group, const char *version);

#endif
