/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Server-side apply. Input: "document NUL configuration", both JSON, taken for Pods. What is applied with force must
 * not conflict, and applied once more must leave the same owners. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/managed/managed.h"
#include "orchestrator/object/schema.h"
#include "podium/base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct json *pod_from(const char *text, size_t n) {
    struct json *doc = NULL;
    if (json_parse(text, n, NULL, &doc, NULL) < 0)
        return NULL;
    if (!json_is_object(doc) || (json_get(doc, "metadata") && !json_is_object(json_get(doc, "metadata")))) {
        json_unref(doc);
        return NULL;
    }
    json_set(&doc, "apiVersion", json_string("v1"));
    json_set(&doc, "kind", json_string("Pod"));
    return doc;
}

static bool settle(const struct type_info *t, struct json **doc) {
    if (schema_decode(t, doc, NULL, NULL) < 0 || !json_within(*doc, 100000, JSON_DEPTH_MAX))
        return false;
    schema_default("v1", "Pod", doc);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *) data, *split = memchr(text, 0, size);
    const struct type_info *t = type_of_kind("v1", "Pod");
    struct managed_writer w = {
        .resource = resource_by_api_version("v1", "Pod"), .manager = "a", .now_usec = 1000000000000000ull};
    struct managed_conflicts conflicts = {0};
    if (!split)
        return 0;
    _cleanup_json_ struct json *live = pod_from(text, (size_t) (split - text)),
                               *config = pod_from(split + 1, size - (size_t) (split - text) - 1), *once = NULL,
                               *twice = NULL;
    if (!live || !config || !settle(t, &live))
        return 0;
    managed_record(&w, NULL, &live);
    int r = managed_apply(&w, live, config, false, &once, &conflicts, NULL);
    if (r == -EBUSY)
        r = managed_apply(&w, live, config, true, &once, &conflicts, NULL);
    managed_conflicts_finish(&conflicts);
    if (r == -EBUSY)
        abort();
    if (r < 0 || !settle(t, &once))
        return 0;
    w.manager = "b";
    managed_record(&w, live, &once);
    r = managed_apply(&w, once, config, true, &twice, &conflicts, NULL);
    managed_conflicts_finish(&conflicts);
    if (r < 0)
        abort();
    return 0;
}
