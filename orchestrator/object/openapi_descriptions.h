/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `kubectl explain` says of types and fields: short texts of our own (tables/descriptions.tsv), else what the name
 * and the tables tell. Private to this folder. */
#ifndef PODIUM_OBJECT_OPENAPI_DESCRIPTIONS_H
#define PODIUM_OBJECT_OPENAPI_DESCRIPTIONS_H

#include "orchestrator/object/schema.h"
#include "podium/base/strbuf.h"

void openapi_describe_type(const struct type_info *t, struct strbuf *out); /* may add nothing */
void openapi_describe_field(const struct type_info *t, const struct field_info *f, struct strbuf *out);

#endif
