/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/serviceaccount/decide.h"

#include <string.h>

#include "orchestrator/controller/ownership.h"

static bool is_active(const struct json *ns) {
    return ns && !meta_is_deleting(ns) &&
           strcmp(json_str_or(json_path(ns, "status", "phase"), "Active"), "Terminating") != 0;
}

static struct json *named(const char *kind, const char *ns, const char *name) {
    struct json *o = json_object();
    json_set(&o, "apiVersion", json_string("v1"));
    json_set(&o, "kind", json_string(kind));
    json_set_path(&o, json_string(name), "metadata", "name");
    json_set_path(&o, json_string(ns), "metadata", "namespace");
    return o;
}

struct json *default_account_wanted(const struct json *ns, const struct json *have) {
    return is_active(ns) && !have ? named("ServiceAccount", meta_name(ns), DEFAULT_ACCOUNT) : NULL;
}

struct json *root_ca_wanted(const struct json *ns, const struct json *have, const char *ca_pem) {
    if (!is_active(ns) || !ca_pem)
        return NULL;
    if (have && json_len(json_get(have, "data")) == 1 &&
        strcmp(json_str_or(json_path(have, "data", ROOT_CA_KEY), ""), ca_pem) == 0)
        return NULL;
    struct json *o = have ? json_ref(have) : named("ConfigMap", meta_name(ns), ROOT_CA_CONFIGMAP);
    json_set_path(&o,
                  json_string("Contains a CA bundle that can be used to verify the API server when using internal "
                              "endpoints such as the internal service IP or kubernetes.default.svc."),
                  "metadata", "annotations", "kubernetes.io/description");
    struct json *data = json_object();
    json_set(&data, ROOT_CA_KEY, json_string(ca_pem));
    json_set(&o, "data", data);
    return o;
}
