/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON bodies of requests through everything a create does before it is stored. A second pass must change nothing. */
#include <stdint.h>
#include <stdlib.h>

#include "orchestrator/object/resources.h"
#include "orchestrator/object/schema.h"
#include "orchestrator/object/strategy.h"
#include "orchestrator/object/validation.h"
#include "podium/base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_json_ struct json *doc = NULL;
    if (json_parse((const char *) data, size, NULL, &doc, NULL) < 0)
        return 0;
    const struct resource *r =
        resource_by_api_version(json_str(json_get(doc, "apiVersion")), json_str(json_get(doc, "kind")));
    const struct type_info *t = r ? type_by_name(r->type) : NULL;
    _cleanup_strv_ char **unknown = NULL;
    if (!t || schema_decode(t, &doc, &unknown, NULL) < 0)
        return 0;
    schema_default(r->api_version, r->kind, &doc);
    strategy_prepare_create(r, &doc);
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    validate_create(r, doc, &errors);
    _cleanup_json_ struct json *again = json_ref(doc);
    if (schema_decode(t, &again, NULL, NULL) < 0)
        abort();
    schema_default(r->api_version, r->kind, &again);
    if (!json_equal(doc, again))
        abort();
    strategy_prepare_update(r, NULL, &again, doc);
    validate_update(r, NULL, again, doc, &errors);
    return 0;
}
