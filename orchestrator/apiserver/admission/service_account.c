/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a new pod gets from its service account, as upstream's plugin of that name: the account's name, its pull
 * secrets, and the folder with token, authority and namespace that client libraries look for.
 *
 * One difference: upstream waits up to two seconds for the account "default" of a namespace just made. Nothing waits
 * here: the controller that makes these accounts makes it for certain, so the pod is taken as if it were there, and its
 * token is given when it is.
 */
#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "podium/base/alloc.h"
#include "podium/base/random.h"

#define DEFAULT_ACCOUNT "default"
#define VOLUME_PREFIX   "kube-api-access-"
#define MOUNT_PATH      "/var/run/secrets/kubernetes.io/serviceaccount"
#define TOKEN_SECONDS   3607 /* an hour and a little: tells tokens made by this plugin from others */
#define SUFFIX_CHARS    5

static bool is_mirror(const struct json *pod) {
    return json_path(pod, "metadata", "annotations", "kubernetes.io/config.mirror") != NULL;
}

/* The account's document, a new reference; NULL with *ret_ok false: refused. */
static struct json *find_account(struct api_request *req, const struct json *pod, const char *name, bool *ret_ok) {
    _cleanup_(store_item_unrefp) struct store_item *item = store_get(req->api->store, "serviceaccounts", req->ns, name);

    *ret_ok = item || strcmp(name, DEFAULT_ACCOUNT) == 0;
    if (!*ret_ok)
        (void) api_forbidden(req, json_str_or(json_path(pod, "metadata", "name"), ""),
                             "error looking up service account %s/%s: serviceaccount \"%s\" not found", req->ns, name,
                             name);
    return item ? json_ref(store_item_doc(item)) : NULL;
}

static bool wants_token(const struct json *account, const struct json *spec) {
    const struct json *of_pod = json_get(spec, "automountServiceAccountToken");
    const struct json *of_account = json_get(account, "automountServiceAccountToken");

    return json_bool_or(json_is_null(of_pod) ? of_account : of_pod, true);
}

/* A volume of this plugin's that is there already (a pod made from another's YAML), or NULL. */
static const char *find_volume(const struct json *spec) {
    const struct json *volumes = json_get(spec, "volumes");

    for (size_t i = 0; i < json_len(volumes); i++) {
        const char *name = json_str_or(json_get(json_at(volumes, i), "name"), "");
        if (strncmp(name, VOLUME_PREFIX, strlen(VOLUME_PREFIX)) == 0)
            return name;
    }
    return NULL;
}

static struct json *make_volume(const char *name) {
    struct json *token = json_object(), *map = json_object(), *item = json_object(), *downward = json_object();
    struct json *volume = json_object(), *projected = json_object(), *field = json_object();

    json_set_path(&token, json_int(TOKEN_SECONDS), "serviceAccountToken", "expirationSeconds");
    json_set_path(&token, json_string("token"), "serviceAccountToken", "path");
    json_set(&item, "key", json_string("ca.crt"));
    json_set(&item, "path", json_string("ca.crt"));
    json_append(json_edit(json_edit(&map, "configMap"), "items"), item);
    json_set_path(&map, json_string("kube-root-ca.crt"), "configMap", "name");
    json_set_path(&field, json_string("v1"), "fieldRef", "apiVersion");
    json_set_path(&field, json_string("metadata.namespace"), "fieldRef", "fieldPath");
    json_set(&field, "path", json_string("namespace"));
    json_append(json_edit(json_edit(&downward, "downwardAPI"), "items"), field);
    json_set(&projected, "defaultMode", json_int(0644));
    json_append(json_edit(&projected, "sources"), token);
    json_append(json_edit(&projected, "sources"), map);
    json_append(json_edit(&projected, "sources"), downward);
    json_set(&volume, "name", json_string(name));
    json_set(&volume, "projected", projected);
    return volume;
}

static bool mounts_at(const struct json *container, const char *path) {
    const struct json *mounts = json_get(container, "volumeMounts");

    for (size_t i = 0; i < json_len(mounts); i++)
        if (strcmp(json_str_or(json_get(json_at(mounts, i), "mountPath"), ""), path) == 0)
            return true;
    return false;
}

static struct json *make_mount(const char *volume) {
    struct json *mount = json_object();

    json_set(&mount, "name", json_string(volume));
    json_set(&mount, "readOnly", json_bool(true));
    json_set(&mount, "mountPath", json_string(MOUNT_PATH));
    return mount;
}

static void mount_token(struct json **spec) {
    static const char *const lists[] = {"initContainers", "containers"};
    const char *have = find_volume(*spec);
    char suffix[SUFFIX_CHARS + 1];
    bool used = false;

    random_name_suffix(suffix, SUFFIX_CHARS);
    _cleanup_free_ char *volume = have ? xstrdup(have) : xasprintf(VOLUME_PREFIX "%s", suffix);
    for (size_t l = 0; l < ARRAY_LEN(lists); l++)
        for (size_t i = 0; i < json_len(json_get(*spec, lists[l])); i++) {
            if (mounts_at(json_at(json_get(*spec, lists[l]), i), MOUNT_PATH))
                continue;
            json_append(json_edit(json_edit_at(json_edit(spec, lists[l]), i), "volumeMounts"), make_mount(volume));
            used = true;
        }
    if (used && !have)
        json_append(json_edit(spec, "volumes"), make_volume(volume));
}

bool service_account_mutate(struct api_request *req, const struct json *old, struct json **doc) {
    if (old || strcmp(req->resource->key, "pods") != 0 || is_mirror(*doc))
        return true;
    struct json **spec = json_edit(doc, "spec");
    if (!*json_str_or(json_get(*spec, "serviceAccountName"), ""))
        json_set(spec, "serviceAccountName", json_string(DEFAULT_ACCOUNT));
    _cleanup_free_ char *name = xstrdup(json_str_or(json_get(*spec, "serviceAccountName"), ""));
    json_set(spec, "serviceAccount", json_string(name)); /* the old name of the field, always its equal */
    bool ok;
    _cleanup_json_ struct json *account = find_account(req, *doc, name, &ok);
    if (!ok)
        return false;
    if (req->api->accounts && wants_token(account, *spec))
        mount_token(spec);
    const struct json *pulls = json_get(account, "imagePullSecrets");
    if (json_len(json_get(*spec, "imagePullSecrets")) == 0 && json_len(pulls) > 0)
        json_set(spec, "imagePullSecrets", json_ref(pulls));
    return true;
}

/* A mirror pod stands for one its node made by itself: it may not claim what only the API can give. */
bool service_account_validate(struct api_request *req, const struct json *old, const struct json *doc) {
    const struct json *spec = json_get(doc, "spec"), *volumes = json_get(spec, "volumes");
    const char *pod = json_str_or(json_path(doc, "metadata", "name"), "");

    if (old || strcmp(req->resource->key, "pods") != 0 || !is_mirror(doc))
        return true;
    if (*json_str_or(json_get(spec, "serviceAccountName"), "")) {
        (void) api_forbidden(req, pod, "a mirror pod may not reference service accounts");
        return false;
    }
    for (size_t i = 0; i < json_len(volumes); i++) {
        const struct json *sources = json_path(json_at(volumes, i), "projected", "sources");
        bool token = false;
        for (size_t k = 0; k < json_len(sources); k++)
            token |= json_get(json_at(sources, k), "serviceAccountToken") != NULL;
        if (json_get(json_at(volumes, i), "secret") || token) {
            (void) api_forbidden(req, pod, "a mirror pod may not reference %s",
                                 token ? "a ServiceAccountToken volume projection" : "secrets");
            return false;
        }
    }
    return true;
}
