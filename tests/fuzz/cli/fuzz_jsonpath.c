/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The first half of the input is a template, the rest a document (a fixed one when it is none). */
#include <stdint.h>
#include <string.h>

#include "orchestrator/cli/jsonpath.h"
#include "podium/base/alloc.h"

#define OUTPUT_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char fixed[] =
        "{\"a\":{\"b\":[1,2.5,\"x\",{\"c\":null,\"t\":\"Ready\"}]},\"items\":[{\"a\":1},{\"a\":2}]}";
    _cleanup_free_ char *text = xstrndup((const char *) data, size / 2);
    _cleanup_(jsonpath_freep) struct jsonpath *p = NULL;
    _cleanup_json_ struct json *doc = NULL;
    if (jsonpath_parse_relaxed(text, &p, NULL) < 0)
        return 0;
    if (json_parse((const char *) data + size / 2, size - size / 2, NULL, &doc, NULL) < 0 &&
        json_parse(fixed, strlen(fixed), NULL, &doc, NULL) < 0)
        return 0;
    struct strbuf out = STRBUF_INIT_MAX(OUTPUT_MAX);
    jsonpath_print(p, doc, &out);
    strbuf_finish(&out);
    json_unref(jsonpath_find(p, doc));
    return 0;
}
