/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cells of volumes, claims and storage drivers. */
#include <string.h>

#include "orchestrator/object/field_path.h"
#include "orchestrator/object/table_cells.h"
#include "podium/base/alloc.h"

static struct json *modes_in_short(const struct json *modes) {
    static const char *const names[][2] = {
        {"ReadWriteOnce", "RWO"}, {"ReadOnlyMany", "ROX"}, {"ReadWriteMany", "RWX"}, {"ReadWriteOncePod", "RWOP"}};
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    for (size_t n = 0; n < ARRAY_LEN(names); n++)
        for (size_t i = 0; i < json_len(modes); i++)
            if (strcmp(json_str_or(json_at(modes, i), ""), names[n][0]) == 0) {
                table_join(&b, ",", names[n][1]);
                break;
            }
    return table_text(&b, "");
}

static struct json *pv_modes(const struct json *o, uint64_t now_usec) {
    return modes_in_short(json_path(o, "spec", "accessModes"));
}

static bool is_bound(const struct json *claim) {
    return *table_str(claim, "spec.volumeName") != '\0';
}

static struct json *pvc_modes(const struct json *o, uint64_t now_usec) {
    return modes_in_short(is_bound(o) ? json_path(o, "status", "accessModes") : NULL);
}

static struct json *pvc_capacity(const struct json *o, uint64_t now_usec) {
    return json_string(is_bound(o) ? table_str(o, "status.capacity.storage") : "");
}

static struct json *status(const struct json *o, uint64_t now_usec) {
    bool leaving = !json_is_null(json_path(o, "metadata", "deletionTimestamp"));
    return json_string(leaving ? "Terminating" : table_str(o, "status.phase"));
}

static struct json *pv_claim(const struct json *o, uint64_t now_usec) {
    const struct json *ref = json_path(o, "spec", "claimRef");
    return json_is_null(ref) ? json_string("")
                             : json_stringf("%s/%s", table_str(ref, "namespace"), table_str(ref, "name"));
}

static const char *annotation(const struct json *o, const char *name) {
    return json_str_or(json_path(o, "metadata", "annotations", name), "");
}

static struct json *storage_class(const struct json *o, uint64_t now_usec) {
    const char *old = annotation(o, "volume.beta.kubernetes.io/storage-class");
    return json_string(*old ? old : table_str(o, "spec.storageClassName"));
}

static struct json *storage_class_name(const struct json *o, uint64_t now_usec) {
    bool is_default = strcmp(annotation(o, "storageclass.kubernetes.io/is-default-class"), "true") == 0 ||
                      strcmp(annotation(o, "storageclass.beta.kubernetes.io/is-default-class"), "true") == 0;
    return json_stringf("%s%s", table_str(o, "metadata.name"), is_default ? " (default)" : "");
}

static struct json *class_expansion(const struct json *o, uint64_t now_usec) {
    return json_bool(json_bool_or(json_get(o, "allowVolumeExpansion"), false));
}

static struct json *driver_attach(const struct json *o, uint64_t now_usec) {
    return json_bool(json_bool_or(json_path(o, "spec", "attachRequired"), true));
}

static struct json *driver_pod_info(const struct json *o, uint64_t now_usec) {
    return json_bool(json_bool_or(json_path(o, "spec", "podInfoOnMount"), false));
}

static struct json *driver_capacity(const struct json *o, uint64_t now_usec) {
    return json_bool(json_bool_or(json_path(o, "spec", "storageCapacity"), false));
}

static struct json *driver_republish(const struct json *o, uint64_t now_usec) {
    return json_bool(json_bool_or(json_path(o, "spec", "requiresRepublish"), false));
}

static struct json *driver_tokens(const struct json *o, uint64_t now_usec) {
    const struct json *requests = json_path(o, "spec", "tokenRequests");
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    for (size_t i = 0; i < json_len(requests); i++)
        table_join(&b, ",", table_str(json_at(requests, i), "audience"));
    return table_text(&b, "<unset>");
}

static struct json *driver_modes(const struct json *o, uint64_t now_usec) {
    const struct json *modes = json_path(o, "spec", "volumeLifecycleModes");
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    for (size_t i = 0; i < json_len(modes); i++)
        table_join(&b, ",", json_str_or(json_at(modes, i), ""));
    return table_text(&b, "<none>");
}

const struct table_cell table_storage_cells[] = {
    {"PersistentVolume", "Access Modes", pv_modes},
    {"PersistentVolume", "Status", status},
    {"PersistentVolume", "Claim", pv_claim},
    {"PersistentVolume", "StorageClass", storage_class},
    {"PersistentVolumeClaim", "Access Modes", pvc_modes},
    {"PersistentVolumeClaim", "Capacity", pvc_capacity},
    {"PersistentVolumeClaim", "Status", status},
    {"PersistentVolumeClaim", "StorageClass", storage_class},
    {"StorageClass", "Name", storage_class_name},
    {"StorageClass", "AllowVolumeExpansion", class_expansion},
    {"CSIDriver", "AttachRequired", driver_attach},
    {"CSIDriver", "PodInfoOnMount", driver_pod_info},
    {"CSIDriver", "StorageCapacity", driver_capacity},
    {"CSIDriver", "RequiresRepublish", driver_republish},
    {"CSIDriver", "TokenRequests", driver_tokens},
    {"CSIDriver", "Modes", driver_modes},
    {NULL, NULL, NULL},
};
