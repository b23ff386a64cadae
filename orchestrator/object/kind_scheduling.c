/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where pods may run: tolerations, affinity, spreading, and the taints of nodes. */
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "podium/base/alloc.h"

void rules_tolerations(struct field_errors *e, const struct place *at, const struct json *list) {
    struct place place = place_in(at, "tolerations");
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *t = json_at(list, i);
        struct place one = place_at(&place, i), operator= place_in(&one, "operator"), effect = place_in(&one, "effect");
        check_member_name(e, &one, t, "key", false, name_form_qualified);
        if (json_get_is(t, "key", "") && !json_get_is(t, "operator", "Exists"))
            complain_invalid_text(
                e, &operator, json_get_str(t, "operator"),
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"");
        if (!json_is_null(json_get(t, "tolerationSeconds")) && !json_get_is(t, "effect", "NoExecute"))
            complain_invalid_text(e, &effect, json_get_str(t, "effect"),
                                  "effect must be 'NoExecute' when `tolerationSeconds` is set");
        if (json_get_is(t, "operator", "Exists") && !json_get_is(t, "value", ""))
            complain_invalid(e, &operator, json_get(t, "value"), "value must be empty when `operator` is 'Exists'");
        else if (json_get_is(t, "operator", "Equal") || json_get_is(t, "operator", ""))
            check_joined_name(e, &operator, json_get_str(t, "value"), name_form_label_value);
    }
}

static bool is_node_operator(const char *s) {
    static const char *const operators[] = {"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"};
    for (size_t i = 0; i < ARRAY_LEN(operators); i++)
        if (strcmp(operators[i], s) == 0)
            return true;
    return false;
}

/* strict: the values must be such of labels (what is only preferred may name others). */
static void check_node_requirement(struct field_errors *e, const struct place *at, const struct json *requirement,
                                   bool strict) {
    struct place values = place_in(at, "values"), key = place_in(at, "key"), operator= place_in(at, "operator");
    size_t n = json_len(json_get(requirement, "values"));
    if ((json_get_is(requirement, "operator", "In") || json_get_is(requirement, "operator", "NotIn")) && !n)
        complain_required(e, &values, "must be specified when `operator` is 'In' or 'NotIn'");
    else if ((json_get_is(requirement, "operator", "Exists") || json_get_is(requirement, "operator", "DoesNotExist")) &&
             n)
        complain_forbidden(e, &values, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    else if ((json_get_is(requirement, "operator", "Gt") || json_get_is(requirement, "operator", "Lt")) && n != 1)
        complain_required(e, &values, "must be specified single value when `operator` is 'Lt' or 'Gt'");
    else if (!is_node_operator(json_get_str(requirement, "operator")))
        complain_invalid_text(e, &operator, json_get_str(requirement, "operator"), "not a valid selector operator");
    check_name(e, &key, json_str_or(json_get(requirement, "key"), ""), name_form_qualified);
    for (size_t i = 0; strict && i < n; i++) {
        struct place value = place_at(&values, i);
        check_name(e, &value, json_str_or(json_at(json_get(requirement, "values"), i), ""), name_form_label_value);
    }
}

static void check_node_term(struct field_errors *e, const struct place *at, const struct json *term, bool strict) {
    struct place expressions = place_in(at, "matchExpressions"), fields = place_in(at, "matchFields");
    for (size_t i = 0; i < json_len(json_get(term, "matchExpressions")); i++) {
        struct place one = place_at(&expressions, i);
        check_node_requirement(e, &one, json_at(json_get(term, "matchExpressions"), i), strict);
    }
    for (size_t i = 0; i < json_len(json_get(term, "matchFields")); i++) {
        const struct json *field = json_at(json_get(term, "matchFields"), i);
        struct place one = place_at(&fields, i), key = place_in(&one, "key"), values = place_in(&one, "values");
        struct place operator= place_in(&one, "operator");
        if (!json_get_is(field, "operator", "In") && !json_get_is(field, "operator", "NotIn"))
            complain_invalid(e, &operator, json_get(field, "operator"), "not a valid selector operator");
        else if (json_len(json_get(field, "values")) != 1)
            complain_required(e, &values,
                              "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
        if (!json_get_is(field, "key", "metadata.name"))
            complain_invalid_text(e, &key, json_get_str(field, "key"), "not a valid field selector key");
        for (size_t k = 0; json_get_is(field, "key", "metadata.name") && k < json_len(json_get(field, "values")); k++) {
            struct place value = place_at(&values, k);
            check_name(e, &value, json_str_or(json_at(json_get(field, "values"), k), ""), name_form_dns1123_subdomain);
        }
    }
}

void rules_node_selector(struct field_errors *e, const struct place *at, const struct json *selector) {
    struct place terms = place_in(at, "nodeSelectorTerms");
    const struct json *list = json_get(selector, "nodeSelectorTerms");
    if (!json_len(list))
        complain_required(e, &terms, "must have at least one node selector term");
    for (size_t i = 0; i < json_len(list); i++) {
        struct place one = place_at(&terms, i);
        check_node_term(e, &one, json_at(list, i), true);
    }
}

static void check_weight(struct field_errors *e, const struct place *at, const struct json *preferred) {
    struct place weight = place_in(at, "weight");
    int64_t v = json_int_or(json_get(preferred, "weight"), 0);
    if (v < 1 || v > 100)
        complain_invalid(e, &weight, json_get(preferred, "weight"), "must be in the range 1-100");
}

static void check_node_affinity(struct field_errors *e, const struct place *at, const struct json *affinity) {
    struct place required = place_in(at, "requiredDuringSchedulingIgnoredDuringExecution");
    struct place preferred = place_in(at, "preferredDuringSchedulingIgnoredDuringExecution");
    const struct json *must = json_get(affinity, required.name), *should = json_get(affinity, preferred.name);
    if (!json_is_null(must))
        rules_node_selector(e, &required, must);
    for (size_t i = 0; i < json_len(should); i++) {
        struct place one = place_at(&preferred, i), preference = place_in(&one, "preference");
        check_weight(e, &one, json_at(should, i));
        check_node_term(e, &preference, json_get(json_at(should, i), "preference"), false);
    }
}

/* Keys whose values the pod brings along: labels, and only beside a selector. */
static void check_label_keys(struct field_errors *e, const struct place *at, const struct json *term,
                             const char *list) {
    struct place place = place_in(at, list);
    const struct json *keys = json_get(term, list);
    if (json_len(keys) && json_is_null(json_get(term, "labelSelector"))) {
        complain_forbidden(e, &place, "must not be specified when labelSelector is not set");
        return;
    }
    for (size_t i = 0; i < json_len(keys); i++) {
        struct place one = place_at(&place, i);
        check_name(e, &one, json_str_or(json_at(keys, i), ""), name_form_qualified);
    }
}

static void check_pod_term(struct field_errors *e, const struct place *at, const struct json *term) {
    struct place selector = place_in(at, "labelSelector"), spaces = place_in(at, "namespace");
    struct place space_selector = place_in(at, "namespaceSelector"), key = place_in(at, "topologyKey");
    check_label_selector(e, &selector, json_get(term, "labelSelector"));
    check_label_selector(e, &space_selector, json_get(term, "namespaceSelector"));
    for (size_t i = 0; i < json_len(json_get(term, "namespaces")); i++)
        check_name(e, &spaces, json_str_or(json_at(json_get(term, "namespaces"), i), ""), name_form_dns1123_label);
    check_label_keys(e, at, term, "matchLabelKeys");
    check_label_keys(e, at, term, "mismatchLabelKeys");
    if (json_get_is(term, "topologyKey", ""))
        complain_required(e, &key, "can not be empty");
    check_name(e, &key, json_str_or(json_get(term, "topologyKey"), ""), name_form_qualified);
}

static void check_pod_affinity(struct field_errors *e, const struct place *at, const struct json *affinity) {
    struct place required = place_in(at, "requiredDuringSchedulingIgnoredDuringExecution");
    struct place preferred = place_in(at, "preferredDuringSchedulingIgnoredDuringExecution");
    const struct json *must = json_get(affinity, required.name), *should = json_get(affinity, preferred.name);
    for (size_t i = 0; i < json_len(must); i++) {
        struct place one = place_at(&required, i);
        check_pod_term(e, &one, json_at(must, i));
    }
    for (size_t i = 0; i < json_len(should); i++) {
        struct place one = place_at(&preferred, i), term = place_in(&one, "podAffinityTerm");
        check_weight(e, &one, json_at(should, i));
        check_pod_term(e, &term, json_get(json_at(should, i), "podAffinityTerm"));
    }
}

/* Not those that the selector has already. */
static void check_spread_keys(struct field_errors *e, const struct place *at, const struct json *constraint) {
    struct place place = place_in(at, "matchLabelKeys");
    const struct json *keys = json_get(constraint, "matchLabelKeys"), *selector = json_get(constraint, "labelSelector");
    _cleanup_(hashmap_freep) struct hashmap *have = NULL;
    if (!json_len(keys))
        return;
    if (json_is_null(selector))
        complain_forbidden(e, &place, "must not be specified when labelSelector is not set");
    for (size_t i = 0; i < json_len(json_get(selector, "matchLabels")); i++)
        (void) seen_before(&have, json_key_at(json_get(selector, "matchLabels"), i));
    for (size_t i = 0; i < json_len(json_get(selector, "matchExpressions")); i++)
        (void) seen_before(&have, json_get_str(json_at(json_get(selector, "matchExpressions"), i), "key"));
    for (size_t i = 0; i < json_len(keys); i++) {
        struct place one = place_at(&place, i);
        const char *key = json_str_or(json_at(keys, i), "");
        check_name(e, &one, key, name_form_qualified);
        if (have && hashmap_has(have, key))
            complain_invalid_text(e, &one, key, "exists in both matchLabelKeys and labelSelector");
    }
}

static void check_constraint(struct field_errors *e, const struct place *at, const struct json *c) {
    static const char *const actions[] = {"DoNotSchedule", "ScheduleAnyway", NULL};
    struct place skew = place_in(at, "maxSkew"), key = place_in(at, "topologyKey"),
                 when = place_in(at, "whenUnsatisfiable");
    struct place domains = place_in(at, "minDomains"), selector = place_in(at, "labelSelector");
    const char *action = json_get_str(c, "whenUnsatisfiable");
    if (json_int_or(json_get(c, "maxSkew"), 0) <= 0) {
        _cleanup_json_ struct json *shown = json_int(json_int_or(json_get(c, "maxSkew"), 0));
        complain_invalid(e, &skew, shown, "must be greater than zero");
    }
    if (json_get_is(c, "topologyKey", ""))
        complain_required(e, &key, "can not be empty");
    if (strcmp(action, actions[0]) != 0 && strcmp(action, actions[1]) != 0)
        complain_not_supported(e, &when, action, actions);
    if (json_int_or(json_get(c, "minDomains"), 1) <= 0)
        complain_invalid(e, &domains, json_get(c, "minDomains"), "must be greater than zero");
    if (!json_is_null(json_get(c, "minDomains")) && strcmp(action, "DoNotSchedule") != 0)
        complain_invalid(e, &domains, json_get(c, "minDomains"),
                         "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not %s", action);
    check_spread_keys(e, at, c);
    check_label_selector(e, &selector, json_get(c, "labelSelector"));
}

static void check_spread(struct field_errors *e, const struct place *at, const struct json *list) {
    struct place place = place_in(at, "topologySpreadConstraints");
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    for (size_t i = json_len(list); i-- > 0;) { /* upstream tells of the first of two */
        const struct json *c = json_at(list, i);
        struct place one = place_at(&place, i), both = place_in(&one, "{topologyKey, whenUnsatisfiable}");
        _cleanup_free_ char *pair =
            xasprintf("{%s, %s}", json_get_str(c, "topologyKey"), json_get_str(c, "whenUnsatisfiable"));
        if (seen_before(&seen, pair))
            complain_duplicate(e, &both, pair);
    }
    for (size_t i = 0; i < json_len(list); i++) {
        struct place one = place_at(&place, i);
        check_constraint(e, &one, json_at(list, i));
    }
}

void rules_scheduling(struct field_errors *e, const struct place *at, const struct json *spec) {
    static const char *const kinds[] = {"podAffinity", "podAntiAffinity"};
    struct place affinity = place_in(at, "affinity"), node = place_in(&affinity, "nodeAffinity");
    rules_tolerations(e, at, json_get(spec, "tolerations"));
    check_spread(e, at, json_get(spec, "topologySpreadConstraints"));
    check_node_affinity(e, &node, json_path(spec, "affinity", "nodeAffinity"));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct place place = place_in(&affinity, kinds[i]);
        check_pod_affinity(e, &place, json_path(spec, "affinity", kinds[i]));
    }
}

void rules_taints(struct field_errors *e, const struct place *at, const struct json *taints) {
    static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    for (size_t i = 0; i < json_len(taints); i++) {
        const struct json *t = json_at(taints, i);
        struct place one = place_at(at, i), key = place_in(&one, "key"), value = place_in(&one, "value");
        check_name(e, &key, json_get_str(t, "key"), name_form_qualified);
        check_joined_name(e, &value, json_get_str(t, "value"), name_form_label_value);
        check_one_of(e, &one, t, "effect", true, effects);
        _cleanup_free_ char *id = xasprintf("%s:%s", json_get_str(t, "key"), json_get_str(t, "effect"));
        if (!seen_before(&seen, id))
            continue;
        _cleanup_free_ char *field = place_text(&one);
        field_errors_add(e, "FieldValueDuplicate", field, t, "taints must be unique by key and effect pair");
    }
}
