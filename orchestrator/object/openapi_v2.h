/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The OpenAPI v2 document: all group versions in one, made from their v3 documents, as JSON or as protobuf (gnostic's
 * openapi.v2.Document, which older clients and `kubectl create` of lists read). Pure; any thread; expensive, so clients
 * are given an ETag. One group version at a time is in memory as a document.
 */
#ifndef PODIUM_OBJECT_OPENAPI_V2_H
#define PODIUM_OBJECT_OPENAPI_V2_H

#include <stdbool.h>

#include "podium/base/json.h"
#include "podium/base/strbuf.h"

void openapi_v2_write(const char *version, bool protobuf, struct strbuf *out);

/* --- within this folder --- */

/* A path item and a definition of the v2 document as protobuf messages: NamedPathItem, NamedSchema. */
void openapi_v2_pack_path(const char *name, const struct json *item, struct strbuf *out);
void openapi_v2_pack_definition(const char *name, const struct json *schema, struct strbuf *out);

#endif
