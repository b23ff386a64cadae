/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TaintNodesByCondition: no pod goes to a new node before it has said that it is ready. The node lifecycle controller
 * takes the taint away then. */
#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"

#define NOT_READY "node.kubernetes.io/not-ready"
#define EFFECT    "NoSchedule"

bool new_node_mutate(struct api_request *req, const struct json *old, struct json **doc) {
    const struct json *taints = json_path(*doc, "spec", "taints");
    if (old || req->sub || strcmp(req->resource->key, "nodes") != 0)
        return true;
    for (size_t i = 0; i < json_len(taints); i++)
        if (json_get_is(json_at(taints, i), "key", NOT_READY) && json_get_is(json_at(taints, i), "effect", EFFECT))
            return true;
    struct json *taint = json_object();
    json_set(&taint, "key", json_string(NOT_READY));
    json_set(&taint, "effect", json_string(EFFECT));
    json_append(json_edit(json_edit(doc, "spec"), "taints"), taint);
    return true;
}
