/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Volumes of a pod. */
#include <string.h>

#include "orchestrator/object/kind_pod.h"
#include "orchestrator/object/object_meta.h"
#include "orchestrator/object/quantity.h"
#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"

#define CSI_DRIVER_BYTES_MAX 63u

static void check_mode(struct field_errors *e, const struct place *at, const struct json *object, const char *key) {
    struct place place = place_in(at, key);
    int64_t mode = json_int_or(json_get(object, key), 0);
    if (mode < 0 || mode > 0777)
        complain_invalid(e, &place, json_get(object, key),
                         "must be a number between 0 and 0777 (octal), both inclusive");
}

void rules_file_path(struct field_errors *e, const struct place *at, const char *path) {
    check_relative_path(e, at, path);
    if (strncmp(path, "..", 2) == 0 && path[2] && path[2] != '/')
        complain_invalid_text(e, at, path, "must not start with '..'");
}

static void check_items(struct field_errors *e, const struct place *at, const struct json *source) {
    struct place list = place_in(at, "items");
    const struct json *items = json_get(source, "items");
    for (size_t i = 0; i < json_len(items); i++) {
        const struct json *item = json_at(items, i);
        struct place place = place_at(&list, i), path = place_in(&place, "path");
        check_required_text(e, &place, item, "key");
        if (check_required_text(e, &place, item, "path"))
            rules_file_path(e, &path, json_str(json_get(item, "path")));
        check_mode(e, &place, item, "mode");
    }
}

/* Complaints are of the source: upstream does not say which item. */
static void check_downward(struct field_errors *e, const struct place *at, const struct json *source) {
    static const char *const paths[] = {"metadata.annotations", "metadata.labels", "metadata.name",
                                        "metadata.namespace",   "metadata.uid",    NULL};
    struct place path = place_in(at, "path"), field = place_in(at, "fieldRef"),
                 resource = place_in(at, "resourceFieldRef");
    const struct json *items = json_get(source, "items");
    for (size_t i = 0; i < json_len(items); i++) {
        const struct json *item = json_at(items, i), *field_ref = json_get(item, "fieldRef"),
                          *resource_ref = json_get(item, "resourceFieldRef");
        if (check_required_text(e, at, item, "path"))
            rules_file_path(e, &path, json_str(json_get(item, "path")));
        if (!json_is_null(field_ref))
            rules_field_ref(e, &field, field_ref, paths);
        if (!json_is_null(field_ref) && !json_is_null(resource_ref))
            complain_invalid_text(e, at, "resource",
                                  "fieldRef and resourceFieldRef can not be specified simultaneously");
        else if (json_is_null(field_ref) && !json_is_null(resource_ref))
            rules_resource_ref(e, &resource, resource_ref, true);
        else if (json_is_null(field_ref))
            complain_required(e, at, "one of fieldRef and resourceFieldRef is required");
        check_mode(e, at, item, "mode");
    }
}

/* The path's complaints are of the volume, as upstream's. */
static void check_token(struct field_errors *e, const struct place *projected, const struct place *at,
                        const struct json *token) {
    struct place path = place_in(projected, "path"), seconds = place_in(at, "expirationSeconds");
    int64_t v = json_int_or(json_get(token, "expirationSeconds"), 3600);
    if (v < 600)
        complain_invalid(e, &seconds, json_get(token, "expirationSeconds"),
                         "may not specify a duration less than 10 minutes");
    if (v > (int64_t) 1 << 32)
        complain_invalid(e, &seconds, json_get(token, "expirationSeconds"),
                         "may not specify a duration larger than 2^32 seconds");
    if (check_required_text(e, projected, token, "path"))
        rules_file_path(e, &path, json_str(json_get(token, "path")));
}

static void check_trust_bundle(struct field_errors *e, const struct place *at, const struct json *bundle) {
    struct place path = place_in(at, "path"), name = place_in(at, "name"), signer = place_in(at, "signerName");
    struct place selector = place_in(at, "labelSelector");
    bool named = !json_is_null(json_get(bundle, "name")), signed_by = !json_is_null(json_get(bundle, "signerName"));
    if (named && signed_by)
        complain_invalid(e, at, bundle, "only one of name and signerName may be used");
    else if (named && json_get_is(bundle, "name", ""))
        complain_required(e, &name, "must be a valid object name");
    else if (signed_by && json_get_is(bundle, "signerName", ""))
        complain_required(e, &signer, "must be a valid signer name");
    else if (!named && !signed_by)
        complain_required(e, at, "either name or signerName must be specified");
    if (named && !signed_by && !json_is_null(json_get(bundle, "labelSelector")))
        complain_invalid(e, &selector, json_get(bundle, "labelSelector"),
                         "labelSelector must be unset if name is specified");
    else
        check_label_selector(e, &selector, json_get(bundle, "labelSelector"));
    if (check_required_text(e, at, bundle, "path"))
        rules_file_path(e, &path, json_str(json_get(bundle, "path")));
}

/* Two files of one volume cannot have the same path. The value told is upstream's: the object's name, or the path. */
static void check_conflicts(struct field_errors *e, const struct place *at, const char *kind, const struct json *source,
                            struct hashmap *seen) {
    const struct json *items = json_get(source, "items");
    bool bundle = strcmp(kind, "clusterTrustBundle") == 0;
    for (size_t i = 0; i < (bundle ? 1 : json_len(items)); i++) {
        const char *path = json_get_str(bundle ? source : json_at(items, i), "path");
        if (*path && hashmap_has(seen, path))
            complain_invalid_text(e, at, json_str_or(json_get(source, "name"), path), "conflicting duplicate paths");
        else if (*path)
            hashmap_put(seen, path, NULL);
    }
}

static void check_projected_source(struct field_errors *e, const struct place *projected, const struct place *at,
                                   const char *kind, const struct json *source) {
    struct place place = place_in(at, kind);
    if (strcmp(kind, "secret") == 0 || strcmp(kind, "configMap") == 0) {
        check_required_text(e, &place, source, "name");
        check_items(e, &place, source);
    } else if (strcmp(kind, "downwardAPI") == 0) {
        check_downward(e, &place, source);
    } else if (strcmp(kind, "serviceAccountToken") == 0) {
        check_token(e, projected, &place, source);
    } else if (strcmp(kind, "clusterTrustBundle") == 0) {
        check_trust_bundle(e, &place, source);
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
        for (size_t k = 0; k < json_len(source); k++) {
            check_projected_source(e, at, &place, json_key_at(source, k), json_value_at(source, k));
            check_conflicts(e, at, json_key_at(source, k), json_value_at(source, k), seen);
        }
        if (json_len(source) > 1)
            complain_forbidden(e, &place, "may not specify more than 1 volume type per source");
    }
}

static void check_host_path(struct field_errors *e, const struct place *at, const struct json *source) {
    static const char *const types[] = {"",     "BlockDevice",  "CharDevice", "Directory", "DirectoryOrCreate",
                                        "File", "FileOrCreate", "Socket",     NULL};
    struct place path = place_in(at, "path");
    if (!check_required_text(e, at, source, "path"))
        return;
    check_no_back_steps(e, &path, json_str(json_get(source, "path")));
    check_one_of(e, at, source, "type", false, types);
}

static void check_local(struct field_errors *e, const struct place *at, const struct json *source) {
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
    check_items(e, at, source);
}

static void check_config_map(struct field_errors *e, const struct place *at, const struct json *source) {
    check_required_text(e, at, source, "name");
    check_mode(e, at, source, "defaultMode");
    check_items(e, at, source);
}

static void check_claim(struct field_errors *e, const struct place *at, const struct json *source) {
    check_required_text(e, at, source, "claimName");
}

static void check_nfs(struct field_errors *e, const struct place *at, const struct json *source) {
    struct place path = place_in(at, "path");
    check_required_text(e, at, source, "server");
    check_required_text(e, at, source, "path");
    if (*json_get_str(source, "path") != '/')
        complain_invalid_text(e, &path, json_get_str(source, "path"), "must be an absolute path");
}

static void check_downward_volume(struct field_errors *e, const struct place *at, const struct json *source) {
    check_mode(e, at, source, "defaultMode");
    check_downward(e, at, source);
}

/* A driver's name is a domain, in capitals too. */
void rules_csi_driver(struct field_errors *e, const struct place *at, const char *name) {
    const char *problems[NAME_PROBLEMS_MAX];
    _cleanup_free_ char *lower = xstrdup(name);
    for (char *p = lower; *p; p++)
        *p = (char) (*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
    if (!*name)
        complain_required(e, at, "");
    if (strlen(name) > CSI_DRIVER_BYTES_MAX)
        complain_too_long(e, at, CSI_DRIVER_BYTES_MAX);
    size_t n = name_form_dns1123_subdomain(lower, problems);
    for (size_t i = 0; i < n; i++)
        complain_invalid_text(e, at, name, "%s", problems[i]);
}

static void check_csi(struct field_errors *e, const struct place *at, const struct json *source) {
    struct place driver = place_in(at, "driver"), secret = place_in(at, "nodePublishSecretRef");
    const struct json *ref = json_get(source, "nodePublishSecretRef");
    rules_csi_driver(e, &driver, json_get_str(source, "driver"));
    if (!json_is_null(ref))
        check_member_name(e, &secret, ref, "name", true, name_form_dns1123_subdomain);
}

static void check_ephemeral(struct field_errors *e, const struct place *at, const struct json *source) {
    struct place template = place_in(at, "volumeClaimTemplate"), metadata = place_in(&template, "metadata");
    struct place labels = place_in(&metadata, "labels"), annotations = place_in(&metadata, "annotations");
    struct place spec = place_in(&template, "spec");
    const struct json *claim = json_get(source, "volumeClaimTemplate"), *meta = json_get(claim, "metadata");
    if (json_is_null(claim)) {
        complain_required(e, &template, "");
        return;
    }
    object_meta_annotations(e, &annotations, json_get(meta, "annotations"));
    check_labels(e, &labels, json_get(meta, "labels"));
    for (size_t i = 0; i < json_len(meta); i++) {
        struct place at_member = place_in(&metadata, json_key_at(meta, i));
        if (!json_is_null(json_value_at(meta, i)) && strcmp(at_member.name, "labels") != 0 &&
            strcmp(at_member.name, "annotations") != 0)
            complain_forbidden(e, &at_member, "cannot be set");
    }
    rules_claim_spec(e, &spec, json_get(claim, "spec"));
}

static void check_image(struct field_errors *e, const struct place *at, const struct json *source) {
    check_required_text(e, at, source, "reference");
}

void rules_volume_source(struct field_errors *e, const struct place *at, const char *kind, const struct json *source) {
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
        {"local", check_local},
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
            rules_volume_source(e, at, kind, json_value_at(volume, i));
        found = true;
    }
    if (!found)
        complain_required(e, at, "must specify a volume type");
}

/* The claim made for an ephemeral volume has the pod's name in its own. */
static void check_claim_name(struct field_errors *e, const struct place *at, const struct json *volume,
                             const char *pod_name) {
    const char *name = json_get_str(volume, "name"), *problems[NAME_PROBLEMS_MAX];
    struct place place = place_in(at, "name");
    if (!pod_name || !*pod_name || !*name || json_is_null(json_get(volume, "ephemeral")))
        return;
    _cleanup_free_ char *claim = xasprintf("%s-%s", pod_name, name);
    size_t n = name_form_dns1123_subdomain(claim, problems);
    for (size_t i = 0; i < n; i++)
        complain_invalid_text(e, &place, name, "PVC name \"%s\": %s", claim, problems[i]);
}

void rules_volumes(struct field_errors *e, const struct place *at, const struct json *spec, const char *pod_name,
                   struct hashmap **ret_good) {
    struct place list = place_in(at, "volumes");
    const struct json *volumes = json_get(spec, "volumes");
    *ret_good = json_len(volumes) ? hashmap_new(NULL) : NULL;
    for (size_t i = 0; i < json_len(volumes); i++) {
        struct json *volume = json_at(volumes, i);
        const char *s = json_get_str(volume, "name");
        struct place place = place_at(&list, i), name = place_in(&place, "name");
        size_t before = e->n;
        check_volume(e, &place, volume);
        check_claim_name(e, &place, volume, pod_name);
        check_member_name(e, &place, volume, "name", true, name_form_dns1123_label);
        if (*s && hashmap_has(*ret_good, s))
            complain_duplicate(e, &name, s);
        if (e->n == before)
            hashmap_put(*ret_good, s, volume);
    }
}
