/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Volumes of a pod. */
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "orchestrator/object/quantity.h"
#include "podium/base/cleanup.h"
#include "podium/base/hashmap.h"

static void check_mode(struct field_errors *e, const struct place *at, const struct json *object, const char *key) {
    struct place place = place_in(at, key);
    int64_t mode = json_int_or(json_get(object, key), 0);
    if (mode < 0 || mode > 0777)
        complain_invalid(e, &place, json_get(object, key),
                         "must be a number between 0 and 0777 (octal), both inclusive");
}

static void check_items(struct field_errors *e, const struct place *at, const struct json *source, bool keyed) {
    struct place list = place_in(at, "items");
    const struct json *items = json_get(source, "items");
    for (size_t i = 0; i < json_len(items); i++) {
        const struct json *item = json_at(items, i);
        struct place place = place_at(&list, i), path = place_in(&place, "path");
        if (keyed)
            check_required_text(e, &place, item, "key");
        if (check_required_text(e, &place, item, "path"))
            check_relative_path(e, &path, json_str(json_get(item, "path")));
        check_mode(e, &place, item, "mode");
    }
}

void rules_field_ref(struct field_errors *e, const struct place *at, const struct json *ref,
                     const char *const *sorted) {
    struct place path_place = place_in(at, "fieldPath");
    const char *path = json_str_or(json_get(ref, "fieldPath"), "");
    check_required_text(e, at, ref, "apiVersion");
    if (!*path) {
        complain_required(e, &path_place, "");
        return;
    }
    const char *bracket = strchr(path, '[');
    size_t n = bracket ? (size_t) (bracket - path) : 0, len = strlen(path);
    if (bracket &&
        ((n == 15 && strncmp(path, "metadata.labels", n) == 0) ||
         (n == 20 && strncmp(path, "metadata.annotations", n) == 0)) &&
        len > n + 4 && path[n + 1] == '\'' && strcmp(path + len - 2, "']") == 0)
        return;
    for (size_t i = 0; sorted[i]; i++)
        if (strcmp(sorted[i], path) == 0)
            return;
    complain_not_supported(e, &path_place, path, sorted);
}

static void check_downward(struct field_errors *e, const struct place *at, const struct json *source) {
    static const char *const paths[] = {"metadata.annotations", "metadata.labels", "metadata.name",
                                        "metadata.namespace",   "metadata.uid",    NULL};
    struct place list = place_in(at, "items");
    const struct json *items = json_get(source, "items");
    check_items(e, at, source, false);
    for (size_t i = 0; i < json_len(items); i++) {
        struct place place = place_at(&list, i), field = place_in(&place, "fieldRef");
        const struct json *field_ref = json_get(json_at(items, i), "fieldRef");
        const struct json *resource_ref = json_get(json_at(items, i), "resourceFieldRef");
        if (field_ref && resource_ref)
            complain_invalid_text(e, &place, "resource",
                                  "fieldRef and resourceFieldRef can not be specified simultaneously");
        else if (field_ref)
            rules_field_ref(e, &field, field_ref, paths);
        else if (!resource_ref)
            complain_required(e, &place, "one of fieldRef and resourceFieldRef is required");
    }
}

static void check_token(struct field_errors *e, const struct place *at, const struct json *token) {
    struct place seconds = place_in(at, "expirationSeconds");
    int64_t v = json_int_or(json_get(token, "expirationSeconds"), 3600);
    if (v < 600)
        complain_invalid(e, &seconds, json_get(token, "expirationSeconds"),
                         "may not specify a duration less than 10 minutes");
    if (v > (int64_t) 1 << 32)
        complain_invalid(e, &seconds, json_get(token, "expirationSeconds"),
                         "may not specify a duration larger than 2^32 seconds");
    check_required_text(e, at, token, "path");
}

/* Two files of one volume cannot have the same path. The value told is upstream's: the object's name, or the path. */
static void check_conflicts(struct field_errors *e, const struct place *at, const char *kind, const struct json *source,
                            struct hashmap *seen) {
    const struct json *items = json_get(source, "items");
    bool token = strcmp(kind, "serviceAccountToken") == 0;
    for (size_t i = 0; i < (token ? 1 : json_len(items)); i++) {
        const char *path = json_str_or(json_get(token ? source : json_at(items, i), "path"), "");
        if (*path && hashmap_has(seen, path))
            complain_invalid_text(e, at, json_str_or(json_get(source, "name"), path), "conflicting duplicate paths");
        else if (*path)
            hashmap_put(seen, path, NULL);
    }
}

static void check_projected(struct field_errors *e, const struct place *at, const struct json *projected) {
    struct place list = place_in(at, "sources");
    const struct json *sources = json_get(projected, "sources");
    _cleanup_(hashmap_freep) struct hashmap *seen = hashmap_new(NULL);
    check_mode(e, at, projected, "defaultMode");
    for (size_t i = 0; i < json_len(sources); i++) {
        const struct json *source = json_at(sources, i);
        struct place place = place_at(&list, i);
        for (size_t k = 0; k < json_len(source); k++)
            check_conflicts(e, at, json_key_at(source, k), json_value_at(source, k), seen);
        for (size_t k = 0; k < json_len(source); k++) {
            const char *kind = json_key_at(source, k);
            const struct json *v = json_value_at(source, k);
            struct place inner = place_in(&place, kind);
            if (k > 0)
                complain_forbidden(e, &inner, "may not specify more than 1 volume type per source");
            else if (strcmp(kind, "secret") == 0 || strcmp(kind, "configMap") == 0) {
                check_required_text(e, &inner, v, "name");
                check_items(e, &inner, v, true);
            } else if (strcmp(kind, "downwardAPI") == 0)
                check_downward(e, &inner, v);
            else if (strcmp(kind, "serviceAccountToken") == 0)
                check_token(e, &inner, v);
        }
        if (!json_len(source))
            complain_required(e, &place, "must specify one of: secret, downwardAPI, configMap, serviceAccountToken");
    }
}

static void check_host_path(struct field_errors *e, const struct place *at, const struct json *source) {
    struct place path = place_in(at, "path");
    if (check_required_text(e, at, source, "path"))
        check_no_back_steps(e, &path, json_str(json_get(source, "path")));
}

static void check_empty_dir(struct field_errors *e, const struct place *at, const struct json *source) {
    struct place limit = place_in(at, "sizeLimit");
    if (quantity_json(json_get(source, "sizeLimit"), 0) < 0)
        complain_forbidden(e, &limit, "SizeLimit field must be a valid resource quantity");
}

static void check_secret(struct field_errors *e, const struct place *at, const struct json *source) {
    check_required_text(e, at, source, "secretName");
    check_mode(e, at, source, "defaultMode");
    check_items(e, at, source, true);
}

static void check_config_map(struct field_errors *e, const struct place *at, const struct json *source) {
    check_required_text(e, at, source, "name");
    check_mode(e, at, source, "defaultMode");
    check_items(e, at, source, true);
}

static void check_claim(struct field_errors *e, const struct place *at, const struct json *source) {
    check_required_text(e, at, source, "claimName");
}

static void check_nfs(struct field_errors *e, const struct place *at, const struct json *source) {
    struct place path = place_in(at, "path");
    check_required_text(e, at, source, "server");
    if (check_required_text(e, at, source, "path") && *json_str(json_get(source, "path")) != '/')
        complain_invalid(e, &path, json_get(source, "path"), "must be an absolute path");
}

static void check_downward_volume(struct field_errors *e, const struct place *at, const struct json *source) {
    check_mode(e, at, source, "defaultMode");
    check_downward(e, at, source);
}

static void check_csi(struct field_errors *e, const struct place *at, const struct json *source) {
    struct place driver = place_in(at, "driver");
    if (!check_required_text(e, at, source, "driver"))
        return;
    if (json_str_len(json_get(source, "driver")) > 63)
        complain_too_long(e, &driver, 63);
    check_name(e, &driver, json_str(json_get(source, "driver")), name_form_dns1123_subdomain);
}

static void check_ephemeral(struct field_errors *e, const struct place *at, const struct json *source) {
    struct place template = place_in(at, "volumeClaimTemplate");
    if (json_is_null(json_get(source, "volumeClaimTemplate")))
        complain_required(e, &template, "");
}

static void check_image(struct field_errors *e, const struct place *at, const struct json *source) {
    check_required_text(e, at, source, "reference");
}

static void check_source(struct field_errors *e, const struct place *at, const char *kind, const struct json *source) {
    static const struct {
        const char *kind;
        void (*check)(struct field_errors *e, const struct place *at, const struct json *source);
    } checks[] = {
        {"hostPath", check_host_path},
        {"emptyDir", check_empty_dir},
        {"secret", check_secret},
        {"configMap", check_config_map},
        {"persistentVolumeClaim", check_claim},
        {"nfs", check_nfs},
        {"downwardAPI", check_downward_volume},
        {"projected", check_projected},
        {"csi", check_csi},
        {"ephemeral", check_ephemeral},
        {"image", check_image},
    };
    struct place place = place_in(at, kind);
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        if (strcmp(checks[i].kind, kind) == 0)
            checks[i].check(e, &place, source);
}

static void check_volume(struct field_errors *e, const struct place *at, const struct json *volume) {
    bool found = false;
    for (size_t i = 0; i < json_len(volume); i++) {
        const char *kind = json_key_at(volume, i);
        if (strcmp(kind, "name") == 0 || json_is_null(json_value_at(volume, i)))
            continue;
        struct place place = place_in(at, kind);
        if (found)
            complain_forbidden(e, &place, "may not specify more than 1 volume type");
        else
            check_source(e, at, kind, json_value_at(volume, i));
        found = true;
    }
    if (!found)
        complain_required(e, at, "must specify a volume type");
}

void rules_volumes(struct field_errors *e, const struct place *at, const struct json *spec) {
    struct place list = place_in(at, "volumes");
    const struct json *volumes = json_get(spec, "volumes");
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    for (size_t i = 0; i < json_len(volumes); i++) {
        const struct json *volume = json_at(volumes, i);
        struct place place = place_at(&list, i), name = place_in(&place, "name");
        check_volume(e, &place, volume);
        if (check_member_name(e, &place, volume, "name", true, name_form_dns1123_label) &&
            seen_before(&seen, json_str(json_get(volume, "name"))))
            complain_duplicate(e, &name, json_str(json_get(volume, "name")));
    }
}
