/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Roles and their bindings. */
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "podium/base/cleanup.h"

static const char rbac_group[] = "rbac.authorization.k8s.io";

static void check_rule(struct field_errors *e, const struct place *at, const struct json *rule, bool namespaced) {
    static const char *const parts[] = {"apiGroups", "resources", "resourceNames"};
    struct place verbs = place_in(at, "verbs"), urls = place_in(at, "nonResourceURLs");
    const struct json *paths = json_get(rule, "nonResourceURLs");
    if (!json_len(json_get(rule, "verbs")))
        complain_required(e, &verbs, "verbs must contain at least one value");
    if (json_len(paths)) {
        if (namespaced)
            complain_invalid(e, &urls, paths, "namespaced rules cannot apply to non-resource URLs");
        for (size_t i = 0; i < ARRAY_LEN(parts); i++)
            if (json_len(json_get(rule, parts[i]))) {
                complain_invalid(e, &urls, paths, "rules cannot apply to both regular resources and non-resource URLs");
                break;
            }
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        struct place place = place_in(at, parts[i]);
        if (!json_len(json_get(rule, parts[i])))
            complain_required(e, &place,
                              i == 0 ? "resource rules must supply at least one api group"
                                     : "resource rules must supply at least one resource");
    }
}

static void check_rules(struct field_errors *e, const struct json *object, bool namespaced) {
    static const struct place rules = {.name = "rules"};
    for (size_t i = 0; i < json_len(json_get(object, "rules")); i++) {
        struct place one = place_at(&rules, i);
        check_rule(e, &one, json_at(json_get(object, "rules"), i), namespaced);
    }
}

void rules_role(struct field_errors *e, const struct json *object) {
    check_rules(e, object, true);
}

void rules_cluster_role(struct field_errors *e, const struct json *object) {
    static const struct place aggregation = {.name = "aggregationRule"};
    struct place selectors = place_in(&aggregation, "clusterRoleSelectors");
    const struct json *list = json_path(object, "aggregationRule", "clusterRoleSelectors");
    check_rules(e, object, false);
    if (!json_is_null(json_get(object, "aggregationRule")) && !json_len(list))
        complain_required(e, &selectors, "at least one clusterRoleSelector required if aggregationRule is non-nil");
    for (size_t i = 0; i < json_len(list); i++) {
        struct place one = place_at(&selectors, i);
        check_label_selector(e, &one, json_at(list, i));
    }
}

static void check_subject(struct field_errors *e, const struct place *at, const struct json *subject, bool namespaced) {
    static const char *const none[] = {"", NULL}, *const rbac[] = {rbac_group, NULL};
    static const char *const kinds[] = {"Group", "ServiceAccount", "User", NULL};
    struct place group_place = place_in(at, "apiGroup"), ns = place_in(at, "namespace"), name = place_in(at, "name");
    const char *kind = json_str_or(json_get(subject, "kind"), ""),
               *group = json_str_or(json_get(subject, "apiGroup"), "");
    bool account = strcmp(kind, "ServiceAccount") == 0;
    bool known = account || strcmp(kind, "User") == 0 || strcmp(kind, "Group") == 0;
    if (!json_str_len(json_get(subject, "name")))
        complain_required(e, &name, "");
    else if (account)
        check_name(e, &name, json_str(json_get(subject, "name")), name_form_dns1123_subdomain);
    if (!known) {
        struct place kind_place = place_in(at, "kind");
        complain_not_supported(e, &kind_place, kind, kinds);
        return;
    }
    if (account && *group)
        complain_not_supported(e, &group_place, group, none);
    else if (!account && strcmp(group, rbac_group) != 0)
        complain_not_supported(e, &group_place, group, rbac);
    if (account && !namespaced && !json_str_len(json_get(subject, "namespace")))
        complain_required(e, &ns, "");
}

void rules_role_binding(struct field_errors *e, const struct json *object) {
    static const struct place ref_place = {.name = "roleRef"}, subjects = {.name = "subjects"};
    static const char *const groups[] = {rbac_group, NULL};
    static const char *const cluster_kinds[] = {"ClusterRole", NULL}, *const kinds[] = {"ClusterRole", "Role", NULL};
    bool namespaced = strcmp(json_str_or(json_get(object, "kind"), ""), "RoleBinding") == 0;
    const struct json *ref = json_get(object, "roleRef"), *list = json_get(object, "subjects");
    check_one_of(e, &ref_place, ref, "apiGroup", true, groups);
    check_one_of(e, &ref_place, ref, "kind", true, namespaced ? kinds : cluster_kinds);
    check_member_name(e, &ref_place, ref, "name", true, name_form_path_segment);
    for (size_t i = 0; i < json_len(list); i++) {
        struct place one = place_at(&subjects, i);
        check_subject(e, &one, json_at(list, i), namespaced);
    }
}

void rules_role_ref_update(struct field_errors *e, const struct json *object, const struct json *old) {
    static const struct place at = {.name = "roleRef"};
    if (!json_equal(json_get(object, "roleRef"), json_get(old, "roleRef")))
        complain_invalid(e, &at, json_get(object, "roleRef"), "cannot change roleRef");
}
