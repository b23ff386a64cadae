/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/subresources/subresources.h"

#include <string.h>

/* plural "*": any resource with a subresource of that name */
static const struct {
    const char *plural, *name;
    api_step_fn serve;
} subresources[] = {
    {"*", "scale", scale_serve},
    {"pods", "binding", binding_serve},
    {"pods", "eviction", eviction_serve},
    {"pods", "log", logs_serve},
    {"pods", "exec", exec_serve},
    {"pods", "attach", attach_serve},
    {"pods", "portforward", portforward_serve},
    {"pods", "proxy", pod_proxy_serve},
    {"services", "proxy", service_proxy_serve},
    {"nodes", "proxy", node_proxy_serve},
    {"serviceaccounts", "token", token_request_serve},
};

static const struct {
    const char *plural;
    api_step_fn serve;
} reviews[] = {
    {"bindings", bindings_serve},
    {"selfsubjectreviews", self_review_serve},
    {"selfsubjectaccessreviews", access_review_serve},
    {"subjectaccessreviews", access_review_serve},
    {"localsubjectaccessreviews", access_review_serve},
    {"selfsubjectrulesreviews", rules_review_serve},
    {"tokenreviews", token_review_serve},
};

api_step_fn subresource_handler(const struct api_request *req) {
    for (size_t i = 0; i < ARRAY_LEN(subresources); i++)
        if (strcmp(subresources[i].name, req->sub->name) == 0 &&
            (*subresources[i].plural == '*' || strcmp(subresources[i].plural, req->resource->plural) == 0))
            return subresources[i].serve;
    return NULL;
}

api_step_fn review_handler(const struct api_request *req) {
    for (size_t i = 0; i < ARRAY_LEN(reviews); i++)
        if (strcmp(reviews[i].plural, req->resource->plural) == 0)
            return reviews[i].serve;
    return NULL;
}
