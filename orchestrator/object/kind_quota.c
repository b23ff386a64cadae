/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ResourceQuotas and LimitRanges. */
#include <string.h>

#include "orchestrator/object/kind_rules.h"
#include "orchestrator/object/quantity.h"
#include "orchestrator/object/quota/amounts.h"
#include "podium/base/alloc.h"

static const struct place spec_place = {.name = "spec"};

static bool is_one_of(const char *s, const char *const *list) {
    for (; *list; list++)
        if (strcmp(*list, s) == 0)
            return true;
    return false;
}

static bool has_prefix(const char *s, const char *prefix) {
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* --- names of resources --- */

static const char *const whole_names[] = {"pods",
                                          "services",
                                          "replicationcontrollers",
                                          "resourcequotas",
                                          "secrets",
                                          "configmaps",
                                          "persistentvolumeclaims",
                                          "services.nodeports",
                                          "services.loadbalancers",
                                          NULL};
static const char *const quota_names[] = {"cpu",
                                          "memory",
                                          "ephemeral-storage",
                                          "requests.cpu",
                                          "requests.memory",
                                          "requests.storage",
                                          "requests.ephemeral-storage",
                                          "limits.cpu",
                                          "limits.memory",
                                          "limits.ephemeral-storage",
                                          NULL};

static bool is_huge_pages(const char *name) {
    return has_prefix(name, "hugepages-") || has_prefix(name, "requests.hugepages-");
}

static bool is_quota_name(const char *name) {
    return is_one_of(name, whole_names) || is_one_of(name, quota_names) || is_huge_pages(name);
}

static bool is_extended(const char *name) {
    return strchr(name, '/') && !strstr(name, "kubernetes.io/") && !has_prefix(name, "requests.");
}

/* A qualified name, and a known one if it has no domain. */
static bool check_resource_name(struct field_errors *e, const struct place *at, const char *name) {
    if (!check_name(e, at, name, name_form_qualified))
        return false;
    if (!strchr(name, '/') && !is_quota_name(name) && strcmp(name, "storage") != 0)
        complain_invalid_text(e, at, name, "must be a standard resource type or fully qualified");
    return true;
}

/* --- ResourceQuota --- */

static void check_hard(struct field_errors *e, const struct json *hard) {
    struct place place = place_in(&spec_place, "hard");
    for (size_t i = 0; i < json_len(hard); i++) {
        const char *name = json_key_at(hard, i);
        struct place at = place_key(&place, name);
        struct quantity q;
        if (check_resource_name(e, &at, name) && !strchr(name, '/') && !is_quota_name(name))
            complain_invalid_text(e, &at, name, "must be a standard resource for quota");
        if (!quantity_read(json_value_at(hard, i), &q))
            continue;
        if (q.nano < 0)
            complain_invalid(e, &at, json_value_at(hard, i), "must be greater than or equal to 0");
        if (q.nano % 1000000000 != 0 && (is_one_of(name, whole_names) || is_extended(name)))
            complain_invalid(e, &at, json_value_at(hard, i), "must be an integer");
    }
}

static bool is_scope(const char *scope) {
    static const char *const scopes[] = {
        "Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity",
        NULL};
    return is_one_of(scope, scopes);
}

/* Scopes are of pods; what a pod without requests is there is only its number. */
static bool suits(const char *scope, const char *name) {
    static const char *const compute[] = {"cpu",          "memory",          "limits.cpu", "limits.memory",
                                          "requests.cpu", "requests.memory", NULL};
    if (!is_quota_name(name) || !is_scope(scope) || strcmp(name, "pods") == 0)
        return true;
    return strcmp(scope, "BestEffort") != 0 && is_one_of(name, compute);
}

static void check_suits(struct field_errors *e, const struct place *at, const struct json *spec, const char *scope,
                        const struct json *shown) {
    const struct json *hard = json_get(spec, "hard");
    for (size_t i = 0; i < json_len(hard); i++)
        if (!suits(scope, json_key_at(hard, i)))
            complain_invalid(e, at, shown, "unsupported scope applied to resource");
}

static void check_pairs(struct field_errors *e, const struct place *at, struct hashmap *seen,
                        const struct json *shown) {
    static const char *const pairs[][2] = {{"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"}};
    for (size_t i = 0; seen && i < ARRAY_LEN(pairs); i++)
        if (hashmap_has(seen, pairs[i][0]) && hashmap_has(seen, pairs[i][1]))
            complain_invalid(e, at, shown, "conflicting scopes");
}

static void check_scopes(struct field_errors *e, const struct json *spec) {
    struct place at = place_in(&spec_place, "scopes");
    const struct json *scopes = json_get(spec, "scopes");
    struct hashmap *seen = NULL;
    for (size_t i = 0; i < json_len(scopes); i++) {
        const char *scope = json_str_or(json_at(scopes, i), "");
        if (!is_scope(scope))
            complain_invalid(e, &at, scopes, "unsupported scope");
        check_suits(e, &at, spec, scope, scopes);
        (void) seen_before(&seen, scope);
    }
    check_pairs(e, &at, seen, scopes);
    hashmap_free(seen);
}

static void check_requirement(struct field_errors *e, const struct place *at, const struct json *requirement) {
    struct place scope = place_in(at, "scopeName"), operator= place_in(at, "operator"), values = place_in(at, "values");
    const char *name = json_get_str(requirement, "scopeName"), *op = json_get_str(requirement, "operator");
    size_t n = json_len(json_get(requirement, "values"));
    bool listed = strcmp(op, "In") == 0 || strcmp(op, "NotIn") == 0;
    bool bare = strcmp(op, "Exists") == 0 || strcmp(op, "DoesNotExist") == 0;
    if (!is_scope(name))
        complain_invalid_text(e, &scope, name, "unsupported scope");
    else if (strcmp(name, "PriorityClass") != 0 && strcmp(op, "Exists") != 0)
        complain_invalid_text(e, &operator, op,
                              "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, "
                              "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
                              "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity");
    if (listed && n == 0)
        complain_required(e, &values,
                          "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector");
    else if (bare && n > 0)
        complain_invalid(e, &values, json_get(requirement, "values"),
                         "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector");
    else if (!listed && !bare)
        complain_invalid_text(e, &operator, op, "not a valid selector operator");
}

static void check_scope_selector(struct field_errors *e, const struct json *spec) {
    struct place selector = place_in(&spec_place, "scopeSelector"), at = place_in(&selector, "matchExpressions");
    const struct json *shown = json_get(spec, "scopeSelector"), *list = json_get(shown, "matchExpressions");
    struct hashmap *seen = NULL;
    for (size_t i = 0; i < json_len(list); i++) {
        check_requirement(e, &at, json_at(list, i));
        check_suits(e, &at, spec, json_get_str(json_at(list, i), "scopeName"), shown);
        (void) seen_before(&seen, json_get_str(json_at(list, i), "scopeName"));
    }
    check_pairs(e, &at, seen, shown);
    hashmap_free(seen);
}

void rules_resource_quota(struct field_errors *e, const struct json *object) {
    const struct json *spec = json_get(object, "spec");
    check_hard(e, json_get(spec, "hard"));
    check_scopes(e, spec);
    check_scope_selector(e, spec);
}

static bool has_all(const struct json *list, const struct json *of) {
    for (size_t i = 0; i < json_len(of); i++) {
        bool there = false;
        for (size_t k = 0; k < json_len(list); k++)
            there |= json_equal(json_at(list, k), json_at(of, i));
        if (!there)
            return false;
    }
    return true;
}

void rules_resource_quota_update(struct field_errors *e, const struct json *object, const struct json *old) {
    struct place at = place_in(&spec_place, "scopes");
    const struct json *scopes = json_path(object, "spec", "scopes"), *before = json_path(old, "spec", "scopes");
    if (!has_all(scopes, before) || !has_all(before, scopes))
        complain_invalid(e, &at, scopes, "field is immutable");
}

/* --- LimitRange --- */

static void check_type(struct field_errors *e, const struct place *limit, const char *type, struct hashmap **seen) {
    static const char *const standard[] = {"Pod", "Container", "PersistentVolumeClaim", NULL};
    struct place at = place_in(limit, "type");
    if (check_name(e, &at, type, name_form_qualified) && !strchr(type, '/') && !is_one_of(type, standard))
        complain_invalid_text(e, &at, type, "must be a standard limit type or fully qualified");
    if (seen_before(seen, type))
        complain_duplicate(e, &at, type);
}

static void check_limit_name(struct field_errors *e, const struct place *at, const char *type, const char *name) {
    static const char *const of_containers[] = {"cpu", "memory", "ephemeral-storage", NULL};
    if (!check_resource_name(e, at, name) || (strcmp(type, "Pod") != 0 && strcmp(type, "Container") != 0))
        return;
    if (!strchr(name, '/') && !is_one_of(name, of_containers) && !has_prefix(name, "hugepages-"))
        complain_invalid_text(e, at, name, "must be a standard resource for containers");
    else if (strchr(name, '/') && !strstr(name, "kubernetes.io/") && !is_extended(name))
        complain_invalid_text(e, at, name, "doesn't follow extended resource name standard");
}

enum { MIN, MAX, DEFAULT, REQUEST, RATIO, BOUNDS };
static const char *const bounds[BOUNDS] = {"min", "max", "default", "defaultRequest", "maxLimitRequestRatio"};

/* One resource of one limit. */
struct bound_check {
    struct field_errors *errors;
    const struct place *limit;
    const char *name;
    const struct quantity *of[BOUNDS]; /* NULL: not given */
};

/* low <= high, or a complaint at one of both that shows one of both. */
static void check_order(const struct bound_check *c, int low, int high, int at, int shown, const char *low_name,
                        const char *high_name) {
    if (!c->of[low] || !c->of[high] || c->of[low]->nano <= c->of[high]->nano)
        return;
    _cleanup_free_ char *a = quantity_text(c->of[low]), *b = quantity_text(c->of[high]);
    struct place member = place_in(c->limit, bounds[at]), key = place_key(&member, c->name);
    complain_invalid_text(c->errors, &key, shown == low ? a : b, "%s value %s is greater than %s value %s", low_name, a,
                          high_name, b);
}

static void check_ratio(const struct bound_check *c) {
    const struct quantity *ratio = c->of[RATIO];
    struct place member = place_in(c->limit, bounds[RATIO]), key = place_key(&member, c->name);
    struct quantity one = quantity_of(1);
    if (!ratio)
        return;
    _cleanup_free_ char *text = quantity_text(ratio);
    if (ratio->nano < one.nano)
        complain_invalid_text(c->errors, &key, text, "ratio %s is less than 1", text);
    if (!c->of[MIN] || !c->of[MAX])
        return;
    double most = (double) c->of[MAX]->nano / (double) c->of[MIN]->nano;
    if ((double) ratio->nano / (double) one.nano > most)
        complain_invalid_text(c->errors, &key, text, "ratio %s is greater than max/min = %f", text, most);
}

static void check_overcommit(const struct bound_check *c) {
    struct place member = place_in(c->limit, bounds[REQUEST]), key = place_key(&member, c->name);
    bool fixed = has_prefix(c->name, "hugepages-") || is_extended(c->name);
    if (!fixed || !c->of[DEFAULT] || !c->of[REQUEST] || c->of[DEFAULT]->nano == c->of[REQUEST]->nano)
        return;
    _cleanup_free_ char *a = quantity_text(c->of[DEFAULT]), *b = quantity_text(c->of[REQUEST]);
    complain_invalid_text(c->errors, &key, b, "default value %s must equal to defaultRequest value %s in %s", a, b,
                          c->name);
}

static void check_bounds(struct field_errors *e, const struct place *limit, const char *name,
                         const struct amounts *amounts) {
    struct bound_check c = {.errors = e, .limit = limit, .name = name};
    for (int i = 0; i < BOUNDS; i++)
        c.of[i] = amounts_get(&amounts[i], name);
    check_order(&c, MIN, MAX, MIN, MIN, "min", "max");
    check_order(&c, MIN, REQUEST, REQUEST, REQUEST, "min", "default request");
    check_order(&c, REQUEST, MAX, REQUEST, REQUEST, "default request", "max");
    check_order(&c, REQUEST, DEFAULT, REQUEST, REQUEST, "default request", "default limit");
    check_order(&c, MIN, DEFAULT, DEFAULT, MIN, "min", "default");
    check_order(&c, DEFAULT, MAX, DEFAULT, MAX, "default", "max");
    check_ratio(&c);
    check_overcommit(&c);
}

static void check_limit(struct field_errors *e, const struct place *at, const struct json *limit) {
    const char *type = json_get_str(limit, "type");
    struct amounts amounts[BOUNDS] = {0};
    _cleanup_amounts_ struct amounts all = {0};
    for (int b = 0; b < BOUNDS; b++) {
        struct place member = place_in(at, bounds[b]);
        const struct json *map = json_get(limit, bounds[b]);
        if ((b == DEFAULT || b == REQUEST) && strcmp(type, "Pod") == 0) {
            if (json_len(map) > 0)
                complain_forbidden(e, &member, "may not be specified when `type` is 'Pod'");
            continue;
        }
        for (size_t i = 0; i < json_len(map); i++) {
            struct place key = place_key(&member, json_key_at(map, i));
            check_limit_name(e, &key, type, json_key_at(map, i));
        }
        amounts_read(&amounts[b], map);
        amounts_add(&all, &amounts[b]);
    }
    if (strcmp(type, "PersistentVolumeClaim") == 0 && !amounts_get(&amounts[MIN], "storage") &&
        !amounts_get(&amounts[MAX], "storage")) {
        struct place limits = place_in(at, "limits");
        complain_required(e, &limits, "either minimum or maximum storage value is required, but neither was provided");
    }
    for (size_t i = 0; i < all.n; i++)
        check_bounds(e, at, all.items[i].name, amounts);
    for (int b = 0; b < BOUNDS; b++)
        amounts_finish(&amounts[b]);
}

void rules_limit_range(struct field_errors *e, const struct json *object) {
    struct place place = place_in(&spec_place, "limits");
    const struct json *limits = json_path(object, "spec", "limits");
    struct hashmap *seen = NULL;
    for (size_t i = 0; i < json_len(limits); i++) {
        struct place at = place_at(&place, i);
        check_type(e, &at, json_get_str(json_at(limits, i), "type"), &seen);
        check_limit(e, &at, json_at(limits, i));
    }
    hashmap_free(seen);
}
