/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which objects a quota is about: spec.scopes and spec.scopeSelector. Only pods have scopes. */
#include <string.h>

#include "orchestrator/object/quota/usage.h"
#include "orchestrator/object/strategy.h"

/* The terms of (anti-)affinity under one key name namespaces. */
static bool terms_cross(const struct json *affinity, const char *key, const char *inner) {
    const struct json *terms = json_get(affinity, key);
    for (size_t i = 0; i < json_len(terms); i++) {
        const struct json *term = inner ? json_get(json_at(terms, i), inner) : json_at(terms, i);
        if (json_len(json_get(term, "namespaces")) > 0 || !json_is_null(json_get(term, "namespaceSelector")))
            return true;
    }
    return false;
}

static bool crosses_namespaces(const struct json *spec) {
    static const char *const kinds[] = {"podAffinity", "podAntiAffinity"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct json *a = json_path(spec, "affinity", kinds[i]);
        if (terms_cross(a, "requiredDuringSchedulingIgnoredDuringExecution", NULL) ||
            terms_cross(a, "preferredDuringSchedulingIgnoredDuringExecution", "podAffinityTerm"))
            return true;
    }
    return false;
}

static bool is_best_effort(const struct json *pod) {
    const char *class = json_get_str(json_get(pod, "status"), "qosClass");
    return strcmp(*class ? class : pod_qos_class(json_get(pod, "spec")), "BestEffort") == 0;
}

static bool names(const struct json *values, const char *s) {
    for (size_t i = 0; i < json_len(values); i++)
        if (strcmp(json_str_or(json_at(values, i), ""), s) == 0)
            return true;
    return false;
}

/* A pod without class has no label to select by: only what demands absence takes it. */
static bool class_matches(const struct json *requirement, const struct json *spec) {
    const char *class = json_get_str(spec, "priorityClassName");
    const struct json *values = json_get(requirement, "values");
    if (!requirement || json_get_is(requirement, "operator", "Exists"))
        return *class;
    if (json_get_is(requirement, "operator", "DoesNotExist"))
        return !*class;
    if (json_get_is(requirement, "operator", "NotIn"))
        return !*class || !names(values, class);
    return *class && names(values, class);
}

/* requirement: of a scopeSelector; NULL for one of spec.scopes. */
static bool scope_matches(const char *scope, const struct json *requirement, const struct json *pod) {
    const struct json *spec = json_get(pod, "spec"), *deadline = json_get(spec, "activeDeadlineSeconds");
    bool ends = !json_is_null(deadline) && json_int_or(deadline, -1) >= 0;
    if (strcmp(scope, "Terminating") == 0)
        return ends;
    if (strcmp(scope, "NotTerminating") == 0)
        return !ends;
    if (strcmp(scope, "BestEffort") == 0)
        return is_best_effort(pod);
    if (strcmp(scope, "NotBestEffort") == 0)
        return !is_best_effort(pod);
    if (strcmp(scope, "PriorityClass") == 0)
        return class_matches(requirement, spec);
    if (strcmp(scope, "CrossNamespacePodAffinity") == 0)
        return crosses_namespaces(spec);
    return false;
}

bool quota_matches(const struct json *quota_spec, const struct resource *r, const struct json *doc) {
    const struct json *scopes = json_get(quota_spec, "scopes"), *hard = json_get(quota_spec, "hard");
    const struct json *selector = json_path(quota_spec, "scopeSelector", "matchExpressions");
    bool pod = strcmp(r->key, "pods") == 0, counted = false;
    for (size_t i = 0; !counted && i < json_len(hard); i++)
        counted = quota_name_is_of(json_key_at(hard, i), r);
    if (!counted || (!pod && (json_len(scopes) > 0 || json_len(selector) > 0)))
        return false;
    for (size_t i = 0; i < json_len(scopes); i++)
        if (!scope_matches(json_str_or(json_at(scopes, i), ""), NULL, doc))
            return false;
    for (size_t i = 0; i < json_len(selector); i++) {
        const struct json *requirement = json_at(selector, i);
        if (!scope_matches(json_get_str(requirement, "scopeName"), requirement, doc))
            return false;
    }
    return true;
}
