/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mounts and block devices of a container. Some complaints are of the list, not of the mount: upstream's too. */
#include <string.h>

#include "orchestrator/object/kind_pod.h"
#include "podium/base/cleanup.h"

static const struct json *volume_of(const struct pod_context *pod, const char *name) {
    return pod->volumes ? hashmap_get(pod->volumes, name) : NULL;
}

static void check_recursive_read_only(struct field_errors *e, const struct place *list, const struct json *mount) {
    static const char *const modes[] = {"Disabled", "Enabled", "IfPossible", NULL};
    struct place place = place_in(list, "recursiveReadOnly");
    const char *mode = json_str(json_get(mount, "recursiveReadOnly"));
    const char *propagation = json_str_or(json_get(mount, "mountPropagation"), "None");
    if (!mode || strcmp(mode, "Disabled") == 0)
        return;
    if (strcmp(mode, "Enabled") != 0 && strcmp(mode, "IfPossible") != 0) {
        complain_not_supported(e, &place, mode, modes);
        return;
    }
    if (!json_bool_or(json_get(mount, "readOnly"), false))
        complain_forbidden(e, &place, "may only be specified when readOnly is true");
    if (strcmp(propagation, "None") != 0)
        complain_forbidden(e, &place, "may only be specified when mountPropagation is None or not specified");
}

static void check_sub_paths(struct field_errors *e, const struct place *list, const struct place *at,
                            const struct json *mount, bool image) {
    struct place path = place_in(at, "subPath"), expr = place_in(at, "subPathExpr");
    struct place list_path = place_in(list, "subPath"), list_expr = place_in(list, "subPathExpr");
    const char *sub_path = json_get_str(mount, "subPath"), *sub_expr = json_get_str(mount, "subPathExpr");
    if (image && *sub_path)
        complain_invalid_text(e, &path, sub_path, "not allowed in image volume sources");
    if (image && *sub_expr)
        complain_invalid_text(e, &expr, sub_expr, "not allowed in image volume sources");
    check_relative_path(e, &list_path, sub_path);
    if (*sub_path && *sub_expr)
        complain_invalid_text(e, &expr, sub_expr, "subPathExpr and subPath are mutually exclusive");
    check_relative_path(e, &list_expr, sub_expr);
}

static void check_propagation(struct field_errors *e, const struct place *list, const struct json *mount,
                              bool privileged) {
    static const char *const modes[] = {"Bidirectional", "HostToContainer", "None", NULL};
    struct place place = place_in(list, "mountPropagation");
    if (json_is_null(json_get(mount, "mountPropagation")))
        return;
    check_one_of(e, list, mount, "mountPropagation", false, modes);
    if (json_get_is(mount, "mountPropagation", "Bidirectional") && !privileged)
        complain_forbidden(e, &place, "Bidirectional mount propagation is available only to privileged containers");
}

/* Names and paths of a list, when the other list has members to compare with. */
static void gather(const struct json *list, const struct json *other, const char *path_key, struct hashmap **names,
                   struct hashmap **paths) {
    for (size_t i = 0; json_len(other) && i < json_len(list); i++) {
        (void) seen_before(names, json_get_str(json_at(list, i), "name"));
        (void) seen_before(paths, json_get_str(json_at(list, i), path_key));
    }
}

static void check_mounts(struct field_errors *e, const struct place *container, const struct json *object,
                         const struct pod_context *pod) {
    struct place list = place_in(container, "volumeMounts");
    const struct json *mounts = json_get(object, "volumeMounts"), *devices = json_get(object, "volumeDevices");
    bool privileged = json_bool_or(json_path(object, "securityContext", "privileged"), false);
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL, *names = NULL, *paths = NULL;
    gather(devices, mounts, "devicePath", &names, &paths);
    for (size_t i = 0; i < json_len(mounts); i++) {
        const struct json *mount = json_at(mounts, i);
        const char *path = json_get_str(mount, "mountPath"), *name = json_get_str(mount, "name");
        struct place at = place_at(&list, i), path_place = place_in(&at, "mountPath"),
                     name_place = place_in(&at, "name");
        const struct json *volume = volume_of(pod, name);
        check_required_text(e, &at, mount, "name");
        if (!volume)
            complain_not_found(e, &name_place, name);
        check_required_text(e, &at, mount, "mountPath");
        if (seen_before(&seen, path))
            complain_invalid_text(e, &path_place, path, "must be unique");
        if (names && hashmap_has(names, name))
            complain_invalid_text(e, &name_place, name, "must not already exist in volumeDevices");
        if (paths && hashmap_has(paths, path))
            complain_invalid_text(e, &path_place, path, "must not already exist as a path in volumeDevices");
        check_sub_paths(e, &list, &at, mount, !json_is_null(json_get(volume, "image")));
        check_propagation(e, &list, mount, privileged);
        check_recursive_read_only(e, &list, mount);
    }
}

static void check_device_name(struct field_errors *e, const struct place *at, const struct json *device,
                              const struct pod_context *pod, struct hashmap **seen) {
    struct place place = place_in(at, "name");
    const char *name = json_get_str(device, "name");
    const struct json *volume = volume_of(pod, name);
    if (check_required_text(e, at, device, "name") && seen_before(seen, name))
        complain_invalid_text(e, &place, name, "must be unique");
    if (!volume)
        complain_not_found(e, &place, name);
    else if (json_is_null(json_get(volume, "persistentVolumeClaim")) && json_is_null(json_get(volume, "ephemeral")))
        complain_invalid_text(e, &place, name,
                              "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode");
}

static void check_devices(struct field_errors *e, const struct place *container, const struct json *object,
                          const struct pod_context *pod) {
    struct place list = place_in(container, "volumeDevices");
    const struct json *mounts = json_get(object, "volumeMounts"), *devices = json_get(object, "volumeDevices");
    _cleanup_(hashmap_freep) struct hashmap *seen_names = NULL, *seen_paths = NULL, *names = NULL, *paths = NULL;
    gather(mounts, devices, "mountPath", &names, &paths);
    for (size_t i = 0; i < json_len(devices); i++) {
        const struct json *device = json_at(devices, i);
        const char *path = json_get_str(device, "devicePath"), *name = json_get_str(device, "name");
        struct place at = place_at(&list, i), path_place = place_in(&at, "devicePath"),
                     name_place = place_in(&at, "name");
        check_device_name(e, &at, device, pod, &seen_names);
        if (!check_required_text(e, &at, device, "devicePath"))
            continue;
        if (has_back_steps(path))
            complain_invalid_text(e, &path_place, path, "can not contain backsteps ('..')");
        else if (seen_before(&seen_paths, path))
            complain_invalid_text(e, &path_place, path, "must be unique");
        if (names && hashmap_has(names, name))
            complain_invalid_text(e, &name_place, name, "must not already exist in volumeMounts");
        if (paths && hashmap_has(paths, path))
            complain_invalid_text(e, &path_place, path, "must not already exist as a path in volumeMounts");
    }
}

void rules_container_mounts(struct field_errors *e, const struct place *container, const struct json *object,
                            const struct pod_context *pod) {
    check_mounts(e, container, object, pod);
    check_devices(e, container, object, pod);
}
