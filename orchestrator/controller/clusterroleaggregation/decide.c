/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/clusterroleaggregation/decide.h"

#include "orchestrator/controller/ownership.h"
#include "orchestrator/object/access_rules.h"

bool cluster_role_is_aggregated(const struct json *role) {
    return !json_is_null(json_get(role, "aggregationRule"));
}

struct json *cluster_role_aggregated(const struct json *role, const struct json *const *roles, size_t n) {
    if (!cluster_role_is_aggregated(role) || meta_is_deleting(role))
        return NULL;
    _cleanup_json_ struct json *rules = access_rules_aggregate(role, roles, n);
    const struct json *have = json_get(role, "rules");
    if (json_len(rules) == json_len(have) && (json_len(rules) == 0 || json_equal(rules, have)))
        return NULL;
    struct json *out = json_ref(role);
    json_set(&out, "rules", json_ref(rules));
    return out;
}
