/* SPDX-License-Identifier: GPL-2.0-or-later */
/* PersistentVolumes, claims, storage classes. */
#include <string.h>

#include "orchestrator/object/difference.h"
#include "orchestrator/object/kind_rules.h"
#include "orchestrator/object/quantity.h"
#include "podium/base/alloc.h"

static const struct place spec_place = {.name = "spec"};

/* detail: how upstream says that there is none. */
static void check_access_modes(struct field_errors *e, const struct place *spec, const struct json *modes,
                               const char *detail) {
    static const char *const known[] = {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod", NULL};
    struct place at = place_in(spec, "accessModes");
    bool alone = false, others = false;
    if (!json_len(modes))
        complain_required(e, &at, detail);
    for (size_t i = 0; i < json_len(modes); i++) {
        const char *mode = json_str_or(json_at(modes, i), "");
        bool supported = false;
        for (size_t k = 0; known[k]; k++)
            supported = supported || strcmp(known[k], mode) == 0;
        if (!supported)
            complain_not_supported(e, &at, mode, known);
        else if (strcmp(mode, "ReadWriteOncePod") == 0)
            alone = true;
        else
            others = true;
    }
    if (alone && others)
        complain_forbidden(e, &at, "may not use ReadWriteOncePod with other access modes");
}

static bool is_volume_setting(const char *key) {
    static const char *const settings[] = {
        "capacity",     "accessModes", "claimRef",     "persistentVolumeReclaimPolicy", "storageClassName",
        "mountOptions", "volumeMode",  "nodeAffinity", "volumeAttributesClassName"};
    for (size_t i = 0; i < ARRAY_LEN(settings); i++)
        if (strcmp(settings[i], key) == 0)
            return true;
    return false;
}

static void check_capacity(struct field_errors *e, const struct json *capacity) {
    struct place at = place_in(&spec_place, "capacity");
    if (!json_len(capacity))
        complain_required(e, &at, "");
    if (json_len(capacity) != 1 || !json_get(capacity, "storage")) {
        _cleanup_free_ char *field = place_text(&at);
        _cleanup_json_ struct json *shown = capacity ? json_ref(capacity) : json_null();
        field_errors_add(e, "FieldValueNotSupported", field, shown, "supported values: \"storage\"");
    }
    for (size_t i = 0; i < json_len(capacity); i++) {
        struct place one = place_key(&at, json_key_at(capacity, i));
        if (quantity_json_milli(json_value_at(capacity, i), 0) <= 0)
            complain_invalid(e, &one, json_value_at(capacity, i), "must be greater than zero");
    }
}

static bool is_root(const char *path) {
    return *path == '/' && strspn(path, "/.") == strlen(path) && !has_back_steps(path);
}

void rules_persistent_volume(struct field_errors *e, const struct json *object) {
    const struct json *spec = json_get(object, "spec"), *where = json_get(spec, "nodeAffinity");
    struct place affinity = place_in(&spec_place, "nodeAffinity"), required = place_in(&affinity, "required");
    struct place policy = place_in(&spec_place, "persistentVolumeReclaimPolicy");
    size_t sources = 0;
    check_access_modes(e, &spec_place, json_get(spec, "accessModes"), "");
    check_capacity(e, json_get(spec, "capacity"));
    if (!json_is_null(where) && json_is_null(json_get(where, "required")))
        complain_required(e, &required, "must specify required node constraints");
    else if (!json_is_null(where))
        rules_node_selector(e, &required, json_get(where, "required"));
    for (size_t i = 0; i < json_len(spec); i++) {
        struct place at = place_in(&spec_place, json_key_at(spec, i));
        if (is_volume_setting(at.name) || json_is_null(json_value_at(spec, i)))
            continue;
        if (sources++)
            complain_forbidden(e, &at, "may not specify more than 1 volume type");
        else
            rules_volume_source(e, &spec_place, at.name, json_value_at(spec, i));
    }
    if (!sources)
        complain_required(e, &spec_place, "must specify a volume type");
    if (!json_is_null(json_get(spec, "local")) && json_is_null(where))
        complain_required(e, &affinity, "Local volume requires node affinity");
    if (json_get_is(spec, "persistentVolumeReclaimPolicy", "Recycle") &&
        is_root(json_get_str(json_get(spec, "hostPath"), "path")))
        complain_forbidden(e, &policy, "may not be 'recycle' for a hostPath mount of '/'");
    check_member_name(e, &spec_place, spec, "storageClassName", false, name_form_dns1123_subdomain);
    check_member_name(e, &spec_place, spec, "volumeAttributesClassName", false, name_form_dns1123_subdomain);
}

/* --- update of a volume --- */

/* What the volume is: the sources, without how it is used. */
static struct json *source_of(const struct json *spec) {
    struct json *source = json_object();
    for (size_t i = 0; i < json_len(spec); i++)
        if (!is_volume_setting(json_key_at(spec, i)))
            json_set(&source, json_key_at(spec, i), json_ref(json_value_at(spec, i)));
    return source;
}

/* The affinity with labels of old under the names they have now. */
static struct json *with_present_labels(const struct json *affinity, const struct json *now) {
    static const char *const renamed[][2] = {
        {"failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"},
        {"failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"},
        {"beta.kubernetes.io/os", "kubernetes.io/os"},
        {"beta.kubernetes.io/arch", "kubernetes.io/arch"},
        {"beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"}};
    struct json *out = json_ref(affinity);
    const struct json *terms = json_path(affinity, "required", "nodeSelectorTerms");
    for (size_t t = 0; t < json_len(terms); t++) {
        const struct json *requirements = json_get(json_at(terms, t), "matchExpressions");
        for (size_t i = 0; i < json_len(requirements); i++) {
            const struct json *same =
                json_at(json_get(json_at(json_path(now, "required", "nodeSelectorTerms"), t), "matchExpressions"), i);
            for (size_t k = 0; k < ARRAY_LEN(renamed); k++)
                if (json_get_is(json_at(requirements, i), "key", renamed[k][0]) &&
                    json_get_is(same, "key", renamed[k][1]))
                    json_set(json_edit_at(
                                 json_edit(json_edit_at(json_edit(json_edit(&out, "required"), "nodeSelectorTerms"), t),
                                           "matchExpressions"),
                                 i),
                             "key", json_string(renamed[k][1]));
        }
    }
    return out;
}

void rules_persistent_volume_update(struct field_errors *e, const struct json *object, const struct json *old) {
    static const struct place mode = {.name = "volumeMode"}, affinity = {.name = "nodeAffinity"};
    struct place source_place = place_in(&spec_place, "persistentvolumesource");
    const struct json *spec = json_get(object, "spec"), *before = json_get(old, "spec");
    _cleanup_json_ struct json *source = source_of(spec), *was = source_of(before);
    if (!json_equal(source, was)) {
        _cleanup_free_ char *difference = difference_text("core.PersistentVolumeSource", was, source);
        complain_forbidden(e, &source_place, "spec.persistentvolumesource is immutable after creation\n%s", difference);
    }
    check_immutable(e, &mode, json_get(spec, "volumeMode"), json_get(before, "volumeMode"));
    if (json_is_null(json_get(before, "nodeAffinity")))
        return;
    _cleanup_json_ struct json *present =
        with_present_labels(json_get(before, "nodeAffinity"), json_get(spec, "nodeAffinity"));
    if (!json_equal(present, json_get(spec, "nodeAffinity")))
        complain_invalid(e, &affinity, json_get(spec, "nodeAffinity"),
                         "field is immutable, except for updating from beta label to GA");
}

/* --- claims --- */

static void check_data_source(struct field_errors *e, const struct place *spec, const struct json *object,
                              const char *key) {
    struct place at = place_in(spec, key), group_place = place_in(&at, "apiGroup");
    const struct json *source = json_get(object, key);
    const char *kind = json_get_str(source, "kind"), *group = json_get_str(source, "apiGroup");
    if (json_is_null(source))
        return;
    check_required_text(e, &at, source, "name");
    check_required_text(e, &at, source, "kind");
    if (!*group && strcmp(kind, "PersistentVolumeClaim") != 0)
        complain_invalid_text(e, &at, kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup");
    if (*group)
        check_name(e, &group_place, group, name_form_dns1123_subdomain);
    check_member_name(e, &at, source, "namespace", false, name_form_dns1123_label);
}

static void check_data_sources(struct field_errors *e, const struct place *at, const struct json *spec) {
    const struct json *source = json_get(spec, "dataSource"), *ref = json_get(spec, "dataSourceRef");
    struct place place = place_in(at, "dataSource");
    check_data_source(e, at, spec, "dataSource");
    check_data_source(e, at, spec, "dataSourceRef");
    if (json_is_null(source) || json_is_null(ref))
        return;
    _cleanup_free_ char *text = place_text(&place);
    if (json_str_len(json_get(ref, "namespace")))
        complain_invalid_text(e, at, text, "may not be specified when dataSourceRef.namespace is specified");
    else if (strcmp(json_get_str(source, "kind"), json_get_str(ref, "kind")) != 0 ||
             strcmp(json_get_str(source, "name"), json_get_str(ref, "name")) != 0 ||
             strcmp(json_get_str(source, "apiGroup"), json_get_str(ref, "apiGroup")) != 0)
        complain_invalid_text(e, at, text, "must match dataSourceRef");
}

void rules_claim_spec(struct field_errors *e, const struct place *at, const struct json *spec) {
    const struct json *size = json_path(spec, "resources", "requests", "storage");
    struct place resources = place_in(at, "resources"), storage = place_key(&resources, "storage");
    struct place selector = place_in(at, "selector");
    check_access_modes(e, at, json_get(spec, "accessModes"), "at least 1 access mode is required");
    check_label_selector(e, &selector, json_get(spec, "selector"));
    if (json_is_null(size))
        complain_required(e, &storage, "");
    else if (quantity_json_milli(size, 0) <= 0)
        complain_invalid(e, &storage, size, "must be greater than zero");
    check_member_name(e, at, spec, "storageClassName", false, name_form_dns1123_subdomain);
    check_data_sources(e, at, spec);
    check_member_name(e, at, spec, "volumeAttributesClassName", false, name_form_dns1123_subdomain);
}

void rules_persistent_volume_claim(struct field_errors *e, const struct json *object) {
    rules_claim_spec(e, &spec_place, json_get(object, "spec"));
}

/* The new spec with everything that may change put back to what it was. */
static struct json *claim_with_changes_undone(const struct json *object, const struct json *old) {
    static const char *const once[] = {"volumeName", "storageClassName"};
    const struct json *before = json_get(old, "spec");
    struct json *undone = json_ref(json_get(object, "spec"));
    bool bound = json_get_is(json_get(object, "status"), "phase", "Bound");
    for (size_t i = 0; i < ARRAY_LEN(once); i++)
        if (!json_str_len(json_get(before, once[i])) && json_is_null(json_get(before, once[i])))
            json_del(&undone, once[i]);
    if (bound && json_path(undone, "resources", "requests", "storage"))
        json_set_path(&undone, json_ref(json_path(before, "resources", "requests", "storage")), "resources", "requests",
                      "storage");
    if (bound && json_get(undone, "volumeAttributesClassName") && json_get(before, "volumeAttributesClassName"))
        json_set(&undone, "volumeAttributesClassName", json_ref(json_get(before, "volumeAttributesClassName")));
    return undone;
}

void rules_persistent_volume_claim_update(struct field_errors *e, const struct json *object, const struct json *old) {
    static const struct place mode = {.name = "volumeMode"};
    const struct json *spec = json_get(object, "spec"), *before = json_get(old, "spec");
    struct place resources = place_in(&spec_place, "resources"), requests = place_in(&resources, "requests");
    struct place storage = place_in(&requests, "storage");
    _cleanup_json_ struct json *undone = claim_with_changes_undone(object, old);
    const char *size = json_str_or(json_path(spec, "resources", "requests", "storage"), "0");
    const char *was = json_str_or(json_path(before, "resources", "requests", "storage"), "0");
    if (!json_equal(undone, before)) {
        _cleanup_free_ char *difference = difference_text("core.PersistentVolumeClaimSpec", before, undone);
        complain_forbidden(e, &spec_place,
                           "spec is immutable after creation except resources.requests and volumeAttributesClassName "
                           "for bound claims\n%s",
                           difference);
    }
    /* A growth that failed may be taken back, to what is there. */
    if (quantity_compare(size, was) < 0 &&
        quantity_compare(size, json_str_or(json_path(old, "status", "capacity", "storage"), "0")) <= 0)
        complain_forbidden(e, &storage, "field can not be less than status.capacity");
    check_immutable(e, &mode, json_get(spec, "volumeMode"), json_get(before, "volumeMode"));
}

static void check_provisioner(struct field_errors *e, const struct place *at, const char *value) {
    const char *problems[NAME_PROBLEMS_MAX];
    _cleanup_free_ char *lower = xstrdup(value);
    for (char *p = lower; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char) (*p - 'A' + 'a') : *p;
    size_t n = name_form_qualified(lower, problems);
    for (size_t i = 0; i < n; i++)
        complain_invalid_text(e, at, value, "%s", problems[i]);
}

static void check_topology_requirement(struct field_errors *e, const struct place *at, const struct json *requirement) {
    struct place values = place_in(at, "values"), key = place_in(at, "key");
    const struct json *list = json_get(requirement, "values");
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    if (!json_len(list))
        complain_required(e, &values, "");
    for (size_t i = 0; i < json_len(list); i++) {
        struct place one = place_at(&values, i);
        if (seen_before(&seen, json_str_or(json_at(list, i), "")))
            complain_duplicate(e, &one, json_str_or(json_at(list, i), ""));
    }
    check_name(e, &key, json_get_str(requirement, "key"), name_form_qualified);
}

static void check_topologies(struct field_errors *e, const struct json *terms) {
    static const struct place at = {.name = "allowedTopologies"};
    for (size_t i = 0; i < json_len(terms); i++) {
        const struct json *list = json_get(json_at(terms, i), "matchLabelExpressions");
        struct place term = place_at(&at, i), expressions = place_in(&term, "matchLabelExpressions");
        _cleanup_(hashmap_freep) struct hashmap *keys = NULL;
        for (size_t k = 0; k < json_len(list); k++) {
            struct place one = place_at(&expressions, k), key = place_in(&one, "key");
            check_topology_requirement(e, &one, json_at(list, k));
            if (seen_before(&keys, json_get_str(json_at(list, k), "key")))
                complain_duplicate(e, &key, json_get_str(json_at(list, k), "key"));
        }
        for (size_t k = 0; k < i; k++)
            if (json_equal(json_at(terms, i), json_at(terms, k))) {
                complain_duplicate(e, &expressions, "");
                break;
            }
    }
}

void rules_storage_class(struct field_errors *e, const struct json *object) {
    static const struct place provisioner = {.name = "provisioner"}, parameters = {.name = "parameters"};
    static const char *const reclaim[] = {"Delete", "Retain", NULL};
    static const char *const binding[] = {"Immediate", "WaitForFirstConsumer", NULL};
    const struct json *map = json_get(object, "parameters");
    size_t total = 0;
    if (check_required_text(e, NULL, object, "provisioner"))
        check_provisioner(e, &provisioner, json_str(json_get(object, "provisioner")));
    for (size_t i = 0; i < json_len(map); i++) {
        if (!*json_key_at(map, i))
            complain_invalid_text(e, &parameters, "", "field can not be empty.");
        total += strlen(json_key_at(map, i)) + json_str_len(json_value_at(map, i));
    }
    if (json_len(map) > 512)
        complain_too_long(e, &parameters, 512);
    else if (total > 256u * 1024u)
        complain_too_long(e, &parameters, 256u * 1024u);
    check_one_of(e, NULL, object, "reclaimPolicy", false, reclaim);
    check_one_of(e, NULL, object, "volumeBindingMode", true, binding);
    check_topologies(e, json_get(object, "allowedTopologies"));
}

void rules_storage_class_update(struct field_errors *e, const struct json *object, const struct json *old) {
    static const char *const fixed[] = {"parameters", "provisioner", "reclaimPolicy"};
    static const struct place mode = {.name = "volumeBindingMode"};
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        struct place at = place_in(NULL, fixed[i]);
        const struct json *a = json_get(object, fixed[i]), *b = json_get(old, fixed[i]);
        if ((a || b) && !json_equal(a, b))
            complain_forbidden(e, &at, "updates to %s are forbidden.", fixed[i]);
    }
    check_immutable(e, &mode, json_get(object, "volumeBindingMode"), json_get(old, "volumeBindingMode"));
}
