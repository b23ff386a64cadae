/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Protobuf bodies of requests: any bytes decode or are refused; what decodes survives a second round trip. */
#include <stdint.h>
#include <stdlib.h>

#include "orchestrator/object/protobuf.h"
#include "orchestrator/object/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_json_ struct json *doc = NULL, *again = NULL;
    _cleanup_strbuf_ struct strbuf bytes = STRBUF_INIT;
    if (protobuf_decode(data, size, &doc, NULL) < 0)
        return 0;
    const char *version = json_str(json_get(doc, "apiVersion")), *kind = json_str(json_get(doc, "kind"));
    const struct type_info *t = type_of_kind(version, kind);
    if (!t || schema_decode(t, &doc, NULL, NULL) < 0)
        return 0;
    schema_default(version, kind, &doc);
    if (protobuf_encode(doc, &bytes, NULL) < 0)
        return 0;
    if (protobuf_decode(bytes.data, bytes.len, &again, NULL) < 0)
        abort();
    return 0;
}
