/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/resourcequota/decide.h"

#include "orchestrator/object/quota/usage.h"
#include "podium/base/alloc.h"

const struct resource **resource_quota_kinds(const struct json *quota) {
    const struct json *hard = json_path(quota, "spec", "hard");
    const struct resource **kinds = xcalloc(json_len(hard) + 1, sizeof(*kinds));
    size_t n = 0;
    for (size_t i = 0; i < json_len(hard); i++) {
        const struct resource *r = quota_name_resource(json_key_at(hard, i));
        size_t k = 0;
        while (k < n && kinds[k] != r)
            k++;
        if (r && k == n)
            kinds[n++] = r;
    }
    return kinds;
}

struct json *resource_quota_status(const struct json *quota, const struct amounts *used) {
    const struct json *hard = json_path(quota, "spec", "hard");
    struct json *status = json_object(), *sums = json_object();
    for (size_t i = 0; i < json_len(hard); i++) {
        const struct quantity *q = amounts_get(used, json_key_at(hard, i));
        _cleanup_free_ char *text = q ? quantity_text(q) : xstrdup("0");
        json_set(&sums, json_key_at(hard, i), json_string(text));
    }
    if (json_len(hard) > 0) {
        json_set(&status, "hard", json_ref(hard));
        json_set(&status, "used", sums);
    } else {
        json_unref(sums);
    }
    return status;
}
