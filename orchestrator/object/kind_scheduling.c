/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where pods may run: tolerations, affinity, spreading, and the taints of nodes. */
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "podium/base/alloc.h"

static void check_tolerations(struct field_errors *e, const struct place *at, const struct json *list) {
    struct place place = place_in(at, "tolerations");
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *t = json_at(list, i);
        struct place one = place_at(&place, i), operator= place_in(&one, "operator"), effect = place_in(&one, "effect");
        check_member_name(e, &one, t, "key", false, name_form_qualified);
        if (json_get_is(t, "key", "") && !json_get_is(t, "operator", "Exists"))
            complain_invalid_text(
                e, &operator, json_str_or(json_get(t, "operator"), ""),
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"");
        if (!json_is_null(json_get(t, "tolerationSeconds")) && !json_get_is(t, "effect", "NoExecute"))
            complain_invalid_text(e, &effect, json_str_or(json_get(t, "effect"), ""),
                                  "effect must be 'NoExecute' when `tolerationSeconds` is set");
        if (json_get_is(t, "operator", "Exists") && !json_get_is(t, "value", ""))
            complain_invalid(e, &operator, t, "value must be empty when `operator` is 'Exists'");
        else if (!json_get_is(t, "operator", "Exists")) {
            struct place value = place_in(&one, "value");
            check_name(e, &value, json_str_or(json_get(t, "value"), ""), name_form_label_value);
        }
    }
}

static void check_node_requirement(struct field_errors *e, const struct place *at, const struct json *requirement) {
    struct place values = place_in(at, "values"), key = place_in(at, "key");
    size_t n = json_len(json_get(requirement, "values"));
    if ((json_get_is(requirement, "operator", "In") || json_get_is(requirement, "operator", "NotIn")) && !n)
        complain_required(e, &values, "must be specified when `operator` is 'In' or 'NotIn'");
    else if ((json_get_is(requirement, "operator", "Exists") || json_get_is(requirement, "operator", "DoesNotExist")) &&
             n)
        complain_forbidden(e, &values, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    else if ((json_get_is(requirement, "operator", "Gt") || json_get_is(requirement, "operator", "Lt")) && n != 1)
        complain_required(e, &values, "must be specified single value when `operator` is 'Lt' or 'Gt'");
    check_name(e, &key, json_str_or(json_get(requirement, "key"), ""), name_form_qualified);
}

static void check_node_term(struct field_errors *e, const struct place *at, const struct json *term) {
    struct place expressions = place_in(at, "matchExpressions"), fields = place_in(at, "matchFields");
    for (size_t i = 0; i < json_len(json_get(term, "matchExpressions")); i++) {
        struct place one = place_at(&expressions, i);
        check_node_requirement(e, &one, json_at(json_get(term, "matchExpressions"), i));
    }
    for (size_t i = 0; i < json_len(json_get(term, "matchFields")); i++) {
        const struct json *field = json_at(json_get(term, "matchFields"), i);
        struct place one = place_at(&fields, i), key = place_in(&one, "key"), values = place_in(&one, "values");
        struct place operator= place_in(&one, "operator");
        if (!json_get_is(field, "key", "metadata.name"))
            complain_invalid(e, &key, json_get(field, "key"), "not a valid field selector key");
        if (!json_get_is(field, "operator", "In") && !json_get_is(field, "operator", "NotIn"))
            complain_invalid(e, &operator, json_get(field, "operator"), "not a valid selector operator");
        else if (json_len(json_get(field, "values")) != 1)
            complain_required(e, &values,
                              "must be only one value when `operator` is 'In' or 'NotIn' for node field selector");
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
    struct place terms = place_in(&required, "nodeSelectorTerms");
    const struct json *must = json_get(affinity, required.name), *should = json_get(affinity, preferred.name);
    const struct json *list = json_get(must, "nodeSelectorTerms");
    if (!json_is_null(must) && !json_len(list))
        complain_required(e, &terms, "must have at least one node selector term");
    for (size_t i = 0; i < json_len(list); i++) {
        struct place one = place_at(&terms, i);
        check_node_term(e, &one, json_at(list, i));
    }
    for (size_t i = 0; i < json_len(should); i++) {
        struct place one = place_at(&preferred, i), preference = place_in(&one, "preference");
        check_weight(e, &one, json_at(should, i));
        check_node_term(e, &preference, json_get(json_at(should, i), "preference"));
    }
}

static void check_pod_term(struct field_errors *e, const struct place *at, const struct json *term) {
    struct place selector = place_in(at, "labelSelector"), spaces = place_in(at, "namespaces");
    struct place space_selector = place_in(at, "namespaceSelector"), key = place_in(at, "topologyKey");
    check_label_selector(e, &selector, json_get(term, "labelSelector"));
    check_label_selector(e, &space_selector, json_get(term, "namespaceSelector"));
    for (size_t i = 0; i < json_len(json_get(term, "namespaces")); i++)
        check_name(e, &spaces, json_str_or(json_at(json_get(term, "namespaces"), i), ""), name_form_dns1123_label);
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

static void check_spread(struct field_errors *e, const struct place *at, const struct json *list) {
    struct place place = place_in(at, "topologySpreadConstraints");
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *c = json_at(list, i);
        struct place one = place_at(&place, i), skew = place_in(&one, "maxSkew"), key = place_in(&one, "topologyKey");
        struct place domains = place_in(&one, "minDomains"), selector = place_in(&one, "labelSelector");
        struct place when = place_in(&one, "whenUnsatisfiable");
        if (json_int_or(json_get(c, "maxSkew"), 0) <= 0)
            complain_invalid(e, &skew, json_get(c, "maxSkew"), "must be greater than zero");
        if (json_get_is(c, "topologyKey", ""))
            complain_required(e, &key, "can not be empty");
        else
            check_name(e, &key, json_str(json_get(c, "topologyKey")), name_form_qualified);
        check_required_text(e, &one, c, "whenUnsatisfiable");
        _cleanup_free_ char *pair = xasprintf("{%s, %s}", json_str_or(json_get(c, "topologyKey"), ""),
                                              json_str_or(json_get(c, "whenUnsatisfiable"), ""));
        if (seen_before(&seen, pair))
            complain_duplicate(e, &when, pair);
        if (json_int_or(json_get(c, "minDomains"), 1) <= 0)
            complain_invalid(e, &domains, json_get(c, "minDomains"), "must be greater than zero");
        if (!json_is_null(json_get(c, "minDomains")) && !json_get_is(c, "whenUnsatisfiable", "DoNotSchedule"))
            complain_invalid(e, &domains, json_get(c, "minDomains"),
                             "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway");
        check_label_selector(e, &selector, json_get(c, "labelSelector"));
    }
}

void rules_scheduling(struct field_errors *e, const struct place *at, const struct json *spec) {
    static const char *const kinds[] = {"podAffinity", "podAntiAffinity"};
    struct place affinity = place_in(at, "affinity"), node = place_in(&affinity, "nodeAffinity");
    check_tolerations(e, at, json_get(spec, "tolerations"));
    check_spread(e, at, json_get(spec, "topologySpreadConstraints"));
    check_node_affinity(e, &node, json_path(spec, "affinity", "nodeAffinity"));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct place place = place_in(&affinity, kinds[i]);
        check_pod_affinity(e, &place, json_path(spec, "affinity", kinds[i]));
    }
}

void rules_taints(struct field_errors *e, const struct place *at, const struct json *taints) {
    _cleanup_(hashmap_freep) struct hashmap *seen = NULL;
    for (size_t i = 0; i < json_len(taints); i++) {
        const struct json *t = json_at(taints, i);
        struct place one = place_at(at, i), key = place_in(&one, "key"), value = place_in(&one, "value");
        check_name(e, &key, json_str_or(json_get(t, "key"), ""), name_form_qualified);
        check_name(e, &value, json_str_or(json_get(t, "value"), ""), name_form_label_value);
        check_required_text(e, &one, t, "effect");
        _cleanup_free_ char *id =
            xasprintf("%s:%s", json_str_or(json_get(t, "key"), ""), json_str_or(json_get(t, "effect"), ""));
        if (seen_before(&seen, id))
            complain_duplicate(e, &one, id);
    }
}
