/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The YAML reader never crashes, and what it reads survives being written and read again. */
#include <stdint.h>
#include <stdlib.h>

#include "orchestrator/manifest/expand.h"
#include "orchestrator/manifest/yaml.h"
#include "podium/base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count(void *userdata, unsigned line, const char *key) {
    ++*(size_t *) userdata;
}

/* Only keys that come twice make a difference between the two ways to read one document. */
static void both_ways(const char *p, size_t size) {
    _cleanup_json_ struct json *strict = NULL, *lenient = NULL;
    size_t twice = 0;
    int a = yaml_parse_one("fuzz", p, size, &strict, NULL);
    int b = yaml_parse_one_noting("fuzz", p, size, count, &twice, &lenient, NULL);
    if (twice == 0 && (a < 0) != (b < 0))
        abort();
    if (a == 0 && (twice != 0 || (json_within(strict, 10000, JSON_DEPTH_MAX) && !json_equal(strict, lenient))))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    both_ways((const char *) data, size);
    struct json **docs = NULL, **objects = NULL;
    size_t n = 0, n_objects = 0;
    if (yaml_parse_documents("fuzz", (const char *) data, size, &docs, &n, NULL) < 0)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (!json_within(docs[i], 10000, JSON_DEPTH_MAX))
            continue;
        _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
        _cleanup_json_ struct json *back = NULL;
        yaml_write(docs[i], &b);
        if (yaml_parse_one("back", b.data, b.len, &back, NULL) < 0 || !json_equal(docs[i], back))
            abort();
    }
    if (manifest_expand("fuzz", docs, n, &objects, &n_objects, NULL) == 0)
        yaml_documents_free(objects, n_objects);
    yaml_documents_free(docs, n);
    return 0;
}
