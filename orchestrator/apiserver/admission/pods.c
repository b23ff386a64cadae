/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What new pods get: how long they stand an ailing node. */
#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/server.h"

static bool is_new_pod(const struct api_request *req, const struct json *old) {
    return !old && strcmp(req->resource->key, "pods") == 0;
}

static bool tolerates(const struct json *tolerations, const char *key) {
    for (size_t i = 0; i < json_len(tolerations); i++) {
        const struct json *t = json_at(tolerations, i);
        const char *k = json_str_or(json_get(t, "key"), ""), *effect = json_str_or(json_get(t, "effect"), "");
        if ((!*k || strcmp(k, key) == 0) && (!*effect || strcmp(effect, "NoExecute") == 0))
            return true;
    }
    return false;
}

bool default_tolerations_mutate(struct api_request *req, const struct json *old, struct json **doc) {
    static const char *const keys[] = {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"};
    if (!is_new_pod(req, old))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (tolerates(json_path(*doc, "spec", "tolerations"), keys[i]))
            continue;
        struct json *t = json_object();
        json_set(&t, "key", json_string(keys[i]));
        json_set(&t, "operator", json_string("Exists"));
        json_set(&t, "effect", json_string("NoExecute"));
        json_set(&t, "tolerationSeconds", json_int(req->api->toleration_seconds));
        json_append(json_edit(json_edit(doc, "spec"), "tolerations"), t);
    }
    return true;
}
