/* SPDX-License-Identifier: GPL-2.0-or-later */
/* components.schemas of an OpenAPI v3 document, from the type tables. Private to this folder. */
#ifndef PODIUM_OBJECT_OPENAPI_SCHEMAS_H
#define PODIUM_OBJECT_OPENAPI_SCHEMAS_H

#include "orchestrator/object/schema.h"
#include "podium/base/strbuf.h"

/* "core.v1.Pod" -> "io.k8s.api.core.v1.Pod". */
void openapi_type_name(const char *type, struct strbuf *out);
/* {"$ref": "#/components/schemas/…"} and adds the type, with all it refers to, to *schemas. */
struct json *openapi_reference(struct json **schemas, const struct type_info *t);

#endif
