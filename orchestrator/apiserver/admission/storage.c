/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * StorageObjectInUseProtection and PersistentVolumeClaimResize: claims and volumes in use do not go, and only some
 * claims may grow. The finalizers set here are taken away by orchestrator/controller/storageprotection/. Decisions and
 * texts are upstream's (the plugins of these names).
 */
#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/object/quantity.h"

#define CLAIMS          "persistentvolumeclaims"
#define VOLUMES         "persistentvolumes"
#define STORAGE_CLASSES "storageclasses.storage.k8s.io"
#define OLD_CLASS_NOTE  "volume.beta.kubernetes.io/storage-class"

static bool is_new(const struct api_request *req, const struct json *old, const char *key) {
    return !old && !req->sub && strcmp(req->resource->key, key) == 0;
}

bool storage_protection_mutate(struct api_request *req, const struct json *old, struct json **doc) {
    const char *name = is_new(req, old, CLAIMS)    ? "kubernetes.io/pvc-protection"
                       : is_new(req, old, VOLUMES) ? "kubernetes.io/pv-protection"
                                                   : NULL;
    const struct json *have = json_path(*doc, "metadata", "finalizers");
    if (!name)
        return true;
    for (size_t i = 0; i < json_len(have); i++)
        if (strcmp(json_str_or(json_at(have, i), ""), name) == 0)
            return true;
    json_append(json_edit(json_edit(doc, "metadata"), "finalizers"), json_string(name));
    return true;
}

static bool class_lets_grow(struct api_request *req, const struct json *claim) {
    const char *class = json_str_or(json_path(claim, "metadata", "annotations", OLD_CLASS_NOTE),
                                    json_str_or(json_path(claim, "spec", "storageClassName"), ""));
    _cleanup_(store_item_unrefp) struct store_item *item =
        *class ? store_get(req->api->store, STORAGE_CLASSES, "", class) : NULL;
    return item && json_bool_or(json_get(store_item_doc(item), "allowVolumeExpansion"), false);
}

bool claim_resize_validate(struct api_request *req, const struct json *old, const struct json *doc) {
    struct quantity had, wanted;
    if (!old || req->sub || strcmp(req->resource->key, CLAIMS) != 0)
        return true;
    (void) quantity_read(json_path(old, "spec", "resources", "requests", "storage"), &had);
    (void) quantity_read(json_path(doc, "spec", "resources", "requests", "storage"), &wanted);
    if (wanted.nano <= had.nano)
        return true;
    if (strcmp(json_str_or(json_path(old, "status", "phase"), ""), "Bound") != 0) {
        (void) api_forbidden(req, admission_name(doc), "Only bound persistent volume claims can be expanded");
        return false;
    }
    if (class_lets_grow(req, old))
        return true;
    (void) api_forbidden(req, admission_name(doc),
                         "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc "
                         "must support resize");
    return false;
}
