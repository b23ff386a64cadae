/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/object/quota/pod_amounts.h"

static void add_inits(const struct json *containers, const char *part, struct amounts *sum, struct amounts *peak) {
    _cleanup_amounts_ struct amounts sidecars = {0};
    for (size_t i = 0; i < json_len(containers); i++) {
        const struct json *container = json_at(containers, i), *map = json_path(container, "resources", part);
        if (json_get_is(container, "restartPolicy", "Always")) {
            amounts_read(sum, map);
            amounts_read(&sidecars, map);
            amounts_raise(peak, &sidecars);
        } else {
            _cleanup_amounts_ struct amounts at_once = amounts_copy(&sidecars);
            amounts_read(&at_once, map);
            amounts_raise(peak, &at_once);
        }
    }
}

void pod_amounts(const struct json *spec, enum pod_amounts_kind kind, bool overhead, struct amounts *ret) {
    const char *part = kind == POD_REQUESTS ? "requests" : "limits";
    const struct json *containers = json_get(spec, "containers"), *more = json_get(spec, "overhead");
    _cleanup_amounts_ struct amounts sum = {0}, peak = {0};
    for (size_t i = 0; i < json_len(containers); i++)
        amounts_read(&sum, json_path(json_at(containers, i), "resources", part));
    add_inits(json_get(spec, "initContainers"), part, &sum, &peak);
    amounts_raise(&sum, &peak);
    for (size_t i = 0; overhead && i < json_len(more); i++) {
        struct quantity q;
        /* of limits only those there are: an overhead limits nothing by itself */
        if (quantity_read(json_value_at(more, i), &q) &&
            (kind == POD_REQUESTS || amounts_get(&sum, json_key_at(more, i))))
            amounts_add_to(&sum, json_key_at(more, i), &q);
    }
    amounts_add(ret, &sum);
}
