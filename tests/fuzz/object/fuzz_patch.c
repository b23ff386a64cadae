/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Patches. Input: "document NUL patch", both JSON; the patch is tried in every format. What client-side apply computes
 * must always apply, and leave nothing to do. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/apply_patch.h"
#include "orchestrator/object/patch.h"
#include "podium/base/alloc.h"
#include "podium/base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_dollar(const struct json *v) {
    for (size_t i = 0; i < json_len(v); i++) {
        const char *key = json_key_at(v, i);
        if ((key && *key == '$') || has_dollar(key ? json_value_at(v, i) : json_at(v, i)))
            return true;
    }
    return false;
}

/* What a merge patch cannot make. */
static bool has_null(const struct json *v) {
    for (size_t i = 0; i < json_len(v); i++) {
        const struct json *part = json_is_object(v) ? json_value_at(v, i) : json_at(v, i);
        if (json_is_null(part) || has_null(part))
            return true;
    }
    return false;
}

static void check_merge_diff(const struct json *from, const struct json *to) {
    _cleanup_json_ struct json *patch = patch_merge_diff(from, to), *got = NULL;
    if (patch_merge(from, patch, &got, NULL) < 0)
        abort();
    _cleanup_json_ struct json *rest = patch_merge_diff(got, to);
    if (json_len(rest) != 0)
        abort();
}

static void check_apply(const struct type_info *t, const struct json *live, const struct json *wanted) {
    _cleanup_json_ struct json *patch = apply_patch(t, live, live, wanted), *got = NULL;
    (void) patch_strategic(t, live, patch, &got, NULL); /* may fail: lists of mixed types */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *) data, *split = memchr(text, 0, size);
    _cleanup_json_ struct json *doc = NULL, *patch = NULL, *a = NULL, *b = NULL, *c = NULL;
    if (!split)
        return 0;
    size_t n = (size_t) (split - text);
    if (json_parse(text, n, NULL, &doc, NULL) < 0 || json_parse(split + 1, size - n - 1, NULL, &patch, NULL) < 0)
        return 0;
    const struct type_info *t = type_by_name("core.v1.Pod");
    if (patch_json(doc, patch, &a, NULL) == 0 && !json_within(a, SIZE_MAX, JSON_DEPTH_MAX))
        abort();
    (void) patch_merge(doc, patch, &b, NULL);
    (void) patch_strategic(t, doc, patch, &c, NULL);
    if (json_is_object(doc) && json_is_object(patch)) {
        if (!has_null(patch))
            check_merge_diff(doc, patch);
        if (!has_dollar(doc) && !has_dollar(patch))
            check_apply(t, doc, patch);
    }
    return 0;
}
