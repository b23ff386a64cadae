/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CustomResourceDefinitions: all but what their schemas say inside. Source of the behaviour: upstream's
 * apiextensions/validation. */
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "podium/base/alloc.h"

#define APPROVED     "api-approved.kubernetes.io"
#define COLUMN_TYPES "boolean,date,integer,number,string"
#define FORMATS      "byte,date,date-time,double,float,int32,int64,password"

static const struct place spec_place = {.name = "spec"}, metadata_place = {.name = "metadata"};

/* --- names --- */

static char *lower_case(const char *s) {
    char *copy = xstrdup(s);
    for (char *p = copy; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char) (*p - 'A' + 'a') : *p;
    return copy;
}

static void check_kind_name(struct field_errors *e, const struct place *at, const char *kind) {
    const char *problems[NAME_PROBLEMS_MAX];
    _cleanup_free_ char *lower = lower_case(kind);
    if (!*kind) {
        complain_required(e, at, "");
        return;
    }
    size_t n = name_form_dns1035_label(lower, problems);
    for (size_t i = 0; i < n; i++)
        complain_invalid_text(e, at, kind, "may have mixed case, but should otherwise match: %s", problems[i]);
}

static void check_names(struct field_errors *e, const struct json *names) {
    static const char *const lists[] = {"shortNames", "categories"}, *const singles[] = {"plural", "singular"},
                             *const kinds[] = {"kind", "listKind"};
    struct place at = place_in(&spec_place, "names"), list_kind = place_in(&at, "listKind");
    for (size_t i = 0; i < ARRAY_LEN(singles); i++)
        check_member_name(e, &at, names, singles[i], true, name_form_dns1035_label);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct place place = place_in(&at, kinds[i]);
        check_kind_name(e, &place, json_get_str(names, kinds[i]));
    }
    if (*json_get_str(names, "kind") && json_get_is(names, "listKind", json_get_str(names, "kind")))
        complain_invalid(e, &list_kind, json_get(names, "listKind"), "kind and listKind may not be the same");
    for (size_t l = 0; l < ARRAY_LEN(lists); l++)
        for (size_t i = 0; i < json_len(json_get(names, lists[l])); i++) {
            struct place list = place_in(&at, lists[l]), one = place_at(&list, i);
            check_name(e, &one, json_str_or(json_at(json_get(names, lists[l]), i), ""), name_form_dns1035_label);
        }
}

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

/* Groups of the community need the word of the community. */
static void check_approval(struct field_errors *e, const struct json *object, const char *group) {
    struct place annotations = place_in(&metadata_place, "annotations"), at = place_key(&annotations, APPROVED);
    const char *word = json_str_or(json_path(object, "metadata", "annotations", APPROVED), "");
    bool guarded = strcmp(group, "k8s.io") == 0 || strcmp(group, "kubernetes.io") == 0 || ends_with(group, ".k8s.io") ||
                   ends_with(group, ".kubernetes.io");
    if (!guarded)
        return;
    if (!*word)
        complain_required(e, &at,
                          "protected groups must have approval annotation \"" APPROVED
                          "\", see https://github.com/kubernetes/enhancements/pull/1111");
    else if (strncmp(word, "https://", 8) != 0 && strncmp(word, "unapproved", 10) != 0)
        complain_invalid_text(e, &at, word,
                              "protected groups must have approval annotation \"" APPROVED
                              "\" with either a URL or a reason starting with \"unapproved\", see "
                              "https://github.com/kubernetes/enhancements/pull/1111");
}

static void check_group(struct field_errors *e, const struct json *object, const char *group) {
    struct place at = place_in(&spec_place, "group");
    if (!*group)
        complain_required(e, &at, "");
    else if (check_name(e, &at, group, name_form_dns1123_subdomain) && !strchr(group, '.'))
        complain_invalid_text(e, &at, group, "should be a domain with at least one dot");
    check_approval(e, object, group);
}

/* --- versions --- */

static void check_json_path(struct field_errors *e, const struct place *at, const struct json *scale, const char *key,
                            const char *parent) {
    struct place place = place_in(at, key);
    const char *path = json_get_str(scale, key);
    if (!*path)
        complain_required(e, &place, "");
    else if (strncmp(path, parent, strlen(parent)) != 0 || path[strlen(parent)] != '.')
        complain_invalid_text(e, &place, path, "should be a json path under %s", parent);
}

static void check_scale(struct field_errors *e, const struct place *at, const struct json *scale) {
    struct place selector = place_in(at, "labelSelectorPath");
    const char *path = json_get_str(scale, "labelSelectorPath");
    if (json_is_null(scale))
        return;
    check_json_path(e, at, scale, "specReplicasPath", ".spec");
    check_json_path(e, at, scale, "statusReplicasPath", ".status");
    if (*path && strncmp(path, ".spec.", 6) != 0 && strncmp(path, ".status.", 8) != 0)
        complain_invalid_text(e, &selector, path, "should be a json path under either .spec or .status");
}

/* Whether a comma separated list has the word. */
static bool listed(const char *list, const char *word) {
    size_t n = strlen(word);
    for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strncmp(p, word, n) == 0 && (!p[n] || p[n] == ','))
            return true;
    return false;
}

static void check_column(struct field_errors *e, const struct place *at, const struct json *column) {
    struct place type = place_in(at, "type"), format = place_in(at, "format");
    const char *said = json_get_str(column, "type"), *form = json_get_str(column, "format");
    check_required_text(e, at, column, "name");
    if (!*said)
        complain_required(e, &type, "must be one of " COLUMN_TYPES);
    else if (!listed(COLUMN_TYPES, said))
        complain_invalid_text(e, &type, said, "must be one of " COLUMN_TYPES);
    if (*form && !listed(FORMATS, form))
        complain_invalid_text(e, &format, form, "must be one of " FORMATS);
    check_required_text(e, at, column, "jsonPath");
}

static void check_version(struct field_errors *e, const struct place *at, const struct json *version) {
    struct place name = place_in(at, "name"), schema = place_in(at, "schema"),
                 v3 = place_in(&schema, "openAPIV3Schema");
    struct place type = place_in(&v3, "type"), columns = place_in(at, "additionalPrinterColumns");
    struct place subresources = place_in(at, "subresources"), scale = place_in(&subresources, "scale");
    const struct json *root = json_path(version, "schema", "openAPIV3Schema"),
                      *list = json_get(version, "additionalPrinterColumns");
    check_name(e, &name, json_get_str(version, "name"), name_form_dns1035_label);
    if (json_is_null(root))
        complain_required(e, &v3, "schemas are required");
    else if (!*json_get_str(root, "type"))
        complain_required(e, &type, "must not be empty at the root");
    else if (!json_get_is(root, "type", "object"))
        complain_invalid(e, &type, json_get(root, "type"), "must be object at the root");
    for (size_t i = 0; i < json_len(list); i++) {
        struct place one = place_at(&columns, i);
        check_column(e, &one, json_at(list, i));
    }
    check_scale(e, &scale, json_path(version, "subresources", "scale"));
}

static void check_versions(struct field_errors *e, const struct json *list) {
    struct place at = place_in(&spec_place, "versions");
    _cleanup_(hashmap_freep) struct hashmap *names = NULL;
    bool unique = true;
    size_t stored = 0;
    for (size_t i = 0; i < json_len(list); i++) {
        struct place one = place_at(&at, i);
        check_version(e, &one, json_at(list, i));
        unique = !seen_before(&names, json_get_str(json_at(list, i), "name")) && unique;
        stored += json_bool_or(json_get(json_at(list, i), "storage"), false);
    }
    if (!unique)
        complain_invalid(e, &at, list, "must contain unique version names");
    if (stored != 1)
        complain_invalid(e, &at, list, "must have exactly one version marked as storage version");
}

static void check_stored_versions(struct field_errors *e, const struct json *object) {
    static const struct place status = {.name = "status"};
    struct place at = place_in(&status, "storedVersions");
    const struct json *stored = json_path(object, "status", "storedVersions"),
                      *versions = json_path(object, "spec", "versions");
    if (!json_len(stored)) {
        complain_invalid(e, &at, stored, "must have at least one stored version");
        return;
    }
    for (size_t i = 0; i < json_len(stored); i++) {
        struct place one = place_at(&at, i);
        const char *name = json_str_or(json_at(stored, i), "");
        bool there = false;
        for (size_t k = 0; k < json_len(versions); k++)
            there = there || json_get_is(json_at(versions, k), "name", name);
        if (!there)
            complain_invalid_text(
                e, &one, name,
                "missing from spec.versions; %s was previously a storage version, and must remain in spec.versions "
                "until "
                "a storage migration ensures no data remains persisted in %s and removes %s from status.storedVersions",
                name, name, name);
    }
    for (size_t k = 0; k < json_len(versions); k++) {
        const char *name = json_get_str(json_at(versions, k), "name");
        bool there = !json_bool_or(json_get(json_at(versions, k), "storage"), false);
        for (size_t i = 0; i < json_len(stored); i++)
            there = there || strcmp(json_str_or(json_at(stored, i), ""), name) == 0;
        if (!there)
            complain_invalid(e, &at, stored, "must have the storage version %s", name);
    }
}

/* --- the whole --- */

static void check_conversion(struct field_errors *e, const struct json *conversion) {
    static const char *const strategies[] = {"None", "Webhook", NULL};
    struct place at = place_in(&spec_place, "conversion"), hook = place_in(&at, "webhook");
    struct place client = place_in(&hook, "clientConfig"), versions = place_in(&hook, "conversionReviewVersions");
    const struct json *config = json_path(conversion, "webhook", "clientConfig"),
                      *reviews = json_path(conversion, "webhook", "conversionReviewVersions");
    if (json_is_null(conversion))
        return;
    check_one_of(e, &at, conversion, "strategy", true, strategies);
    bool by_hook = json_get_is(conversion, "strategy", "Webhook");
    if (by_hook && json_is_null(config))
        complain_required(e, &client, "required when strategy is set to Webhook");
    else if (by_hook && json_is_null(json_get(config, "url")) == json_is_null(json_get(config, "service")))
        complain_required(e, &client, "exactly one of url or service is required");
    if (by_hook && !json_len(reviews))
        complain_required(e, &versions, "");
    if (!by_hook && !json_is_null(config))
        complain_forbidden(e, &client, "should not be set when strategy is not set to Webhook");
    if (!by_hook && json_len(reviews))
        complain_forbidden(e, &versions, "should not be set when strategy is not set to Webhook");
}

void rules_resource_definition(struct field_errors *e, const struct json *object) {
    static const char *const scopes[] = {"Cluster", "Namespaced", NULL};
    struct place name = place_in(&metadata_place, "name"), preserve = place_in(&spec_place, "preserveUnknownFields");
    const struct json *spec = json_get(object, "spec");
    const char *group = json_get_str(spec, "group"), *said = json_str_or(json_path(object, "metadata", "name"), "");
    _cleanup_free_ char *wanted = xasprintf("%s.%s", json_get_str(json_get(spec, "names"), "plural"), group);
    if (strcmp(said, wanted) != 0)
        complain_invalid_text(e, &name, said, "must be spec.names.plural+\".\"+spec.group");
    check_group(e, object, group);
    check_one_of(e, &spec_place, spec, "scope", true, scopes);
    check_names(e, json_get(spec, "names"));
    check_versions(e, json_get(spec, "versions"));
    check_conversion(e, json_get(spec, "conversion"));
    if (json_bool_or(json_get(spec, "preserveUnknownFields"), false))
        complain_invalid(e, &preserve, json_get(spec, "preserveUnknownFields"), "must be false");
    check_stored_versions(e, object);
}

/* What others rely on once the names are accepted. */
void rules_resource_definition_update(struct field_errors *e, const struct json *object, const struct json *old) {
    static const char *const fixed[] = {"group", "scope"}, *const names[] = {"kind", "plural"};
    struct place at = place_in(&spec_place, "names");
    const struct json *conditions = json_path(old, "status", "conditions");
    bool established = false;
    for (size_t i = 0; i < json_len(conditions); i++)
        established = established || (json_get_is(json_at(conditions, i), "type", "Established") &&
                                      json_get_is(json_at(conditions, i), "status", "True"));
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        struct place place = place_in(&spec_place, fixed[i]);
        if (i == 0 || established)
            check_immutable(e, &place, json_path(object, "spec", fixed[i]), json_path(old, "spec", fixed[i]));
    }
    for (size_t i = 0; established && i < ARRAY_LEN(names); i++) {
        struct place place = place_in(&at, names[i]);
        check_immutable(e, &place, json_path(object, "spec", "names", names[i]),
                        json_path(old, "spec", "names", names[i]));
    }
}

void rules_resource_definition_status(struct field_errors *e, const struct json *object, const struct json *old) {
    check_stored_versions(e, object);
}
