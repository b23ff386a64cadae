/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What new claims and ingresses get that name no class: the class an administrator marked as the default. Of several
 * the newest, and of those made in one second the first by name, as upstream's plugins DefaultStorageClass and
 * DefaultIngressClass. Classes are few: they are looked through at each such creation. */
#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/server.h"
#include "podium/base/alloc.h"

static bool has_annotation(const struct json *doc, const char *name) {
    return json_get(json_path(doc, "metadata", "annotations"), name) != NULL;
}

static bool is_marked(const struct json *class, const char *const *marks) {
    for (; *marks; marks++)
        if (json_get_is(json_path(class, "metadata", "annotations"), *marks, "true"))
            return true;
    return false;
}

/* The name of the default class among the objects of `key`; the caller frees. NULL: there is none. */
static char *default_class(struct api_request *req, const char *key, const char *const *marks) {
    _cleanup_(store_list_finish) struct store_list all = {0};
    char *found = NULL, *made = NULL;

    if (store_list(req->api->store, key, NULL, NULL, NULL, 0, 0, &all) < 0)
        return NULL;
    for (size_t i = 0; i < all.n; i++) { /* by name */
        const struct json *class = store_item_doc(all.items[i]);
        const char *time = json_str_or(json_path(class, "metadata", "creationTimestamp"), "");
        if (!is_marked(class, marks) || (made && strcmp(time, made) <= 0))
            continue;
        free(found);
        free(made);
        found = xstrdup(json_str_or(json_path(class, "metadata", "name"), ""));
        made = xstrdup(time);
    }
    free(made);
    return found;
}

bool default_storage_class_mutate(struct api_request *req, const struct json *old, struct json **doc) {
    static const char *const marks[] = {"storageclass.kubernetes.io/is-default-class",
                                        "storageclass.beta.kubernetes.io/is-default-class", NULL};
    if (old || strcmp(req->resource->key, "persistentvolumeclaims") != 0 ||
        !json_is_null(json_path(*doc, "spec", "storageClassName")) ||
        has_annotation(*doc, "volume.beta.kubernetes.io/storage-class"))
        return true;
    _cleanup_free_ char *name = default_class(req, "storageclasses.storage.k8s.io", marks);
    if (name)
        json_set_path(doc, json_string(name), "spec", "storageClassName");
    return true;
}

bool default_ingress_class_mutate(struct api_request *req, const struct json *old, struct json **doc) {
    static const char *const marks[] = {"ingressclass.kubernetes.io/is-default-class", NULL};
    if (old || strcmp(req->resource->key, "ingresses.networking.k8s.io") != 0 ||
        !json_is_null(json_path(*doc, "spec", "ingressClassName")) ||
        has_annotation(*doc, "kubernetes.io/ingress.class"))
        return true;
    _cleanup_free_ char *name = default_class(req, "ingressclasses.networking.k8s.io", marks);
    if (name)
        json_set_path(doc, json_string(name), "spec", "ingressClassName");
    return true;
}
