/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/authz/reconcile.h"

#include <string.h>

#include "orchestrator/object/access_rules.h"
#include "podium/base/alloc.h"

#define RBAC_VERSION      "rbac.authorization.k8s.io/v1"
#define AUTOUPDATE        "rbac.authorization.kubernetes.io/autoupdate"
#define LABEL             "kubernetes.io/bootstrapping"
#define AGGREGATION_DEPTH 8 /* admin of edit of view: far fewer */

static bool is_access(const struct json *doc) {
    return json_get_is(doc, "apiVersion", RBAC_VERSION);
}

/* --- defaults --- */

static bool aggregate(struct json **docs, size_t n, const struct json *const *roles, size_t n_roles) {
    bool changed = false;
    for (size_t i = 0; i < n; i++) {
        if (!is_access(docs[i]) || json_is_null(json_get(docs[i], "aggregationRule")))
            continue;
        struct json *rules = access_rules_aggregate(docs[i], roles, n_roles);
        if (json_equal(rules, json_get(docs[i], "rules"))) {
            json_unref(rules);
            continue;
        }
        json_set(&docs[i], "rules", rules);
        changed = true;
    }
    return changed;
}

static size_t cluster_roles(struct json *const *docs, size_t n, const struct json **ret) {
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        if (is_access(docs[i]) && json_get_is(docs[i], "kind", "ClusterRole"))
            ret[found++] = docs[i];
    return found;
}

void reconcile_defaults(struct json **docs, size_t n) {
    _cleanup_free_ const struct json **roles = xcalloc(n + 1, sizeof(*roles));
    for (size_t i = 0; i < n; i++)
        if (is_access(docs[i])) {
            json_set_path(&docs[i], json_string("rbac-defaults"), "metadata", "labels", LABEL);
            json_set_path(&docs[i], json_string("true"), "metadata", "annotations", AUTOUPDATE);
        }
    for (unsigned depth = 0; depth < AGGREGATION_DEPTH; depth++) {
        size_t n_roles = cluster_roles(docs, n, roles); /* a changed document may live elsewhere */
        if (!aggregate(docs, n, roles, n_roles))
            return;
    }
}

/* --- what is lacking --- */

static bool add_members(struct json **doc, const struct json *want, const char *part) {
    const struct json *wanted = json_path(want, "metadata", part);
    bool changed = false;
    for (size_t i = 0; i < json_len(wanted); i++) {
        const char *key = json_key_at(wanted, i);
        if (json_path(*doc, "metadata", part, key))
            continue;
        json_set_path(doc, json_ref(json_value_at(wanted, i)), "metadata", part, key);
        changed = true;
    }
    return changed;
}

static bool listed(const struct json *list, const struct json *item) {
    for (size_t i = 0; i < json_len(list); i++)
        if (json_equal(json_at(list, i), item))
            return true;
    return false;
}

static bool add_items(struct json **list, const struct json *wanted) {
    bool changed = false;
    for (size_t i = 0; i < json_len(wanted); i++) {
        if (listed(*list, json_at(wanted, i)))
            continue;
        json_append(list, json_ref(json_at(wanted, i)));
        changed = true;
    }
    return changed;
}

static bool add_rules(struct json **doc, const struct json *wanted) {
    _cleanup_(access_rules_freep) struct access_rules *own = access_rules_new(json_get(*doc, "rules")),
                                                      *want = access_rules_new(wanted);
    _cleanup_free_ const struct access_rule **rules = xcalloc(own->n + 1, sizeof(*rules));
    for (size_t i = 0; i < own->n; i++)
        rules[i] = &own->rules[i];
    _cleanup_json_ struct json *missing = access_rules_missing(rules, own->n, want);
    for (size_t i = 0; i < json_len(missing); i++)
        json_append(json_edit(doc, "rules"), json_ref(json_at(missing, i)));
    return missing != NULL;
}

/* Who is bound: the group of the API may be left out in either. */
static bool add_subjects(struct json **doc, const struct json *wanted) {
    return json_len(wanted) > 0 && add_items(json_edit(doc, "subjects"), wanted);
}

struct json *reconcile_access(const struct json *have, const struct json *want) {
    if (!is_access(want) || !is_access(have) ||
        strcmp(json_str_or(json_path(have, "metadata", "annotations", AUTOUPDATE), ""), "false") == 0 ||
        !json_equal(json_get(have, "roleRef"), json_get(want, "roleRef")))
        return NULL;
    _cleanup_json_ struct json *doc = json_ref(have);
    const struct json *selectors = json_path(want, "aggregationRule", "clusterRoleSelectors");
    bool changed = add_members(&doc, want, "labels");
    changed |= add_members(&doc, want, "annotations");
    if (json_len(selectors) > 0) /* whose rules are the controller's */
        changed |= add_items(json_edit(json_edit(&doc, "aggregationRule"), "clusterRoleSelectors"), selectors);
    else
        changed |= add_rules(&doc, json_get(want, "rules"));
    changed |= add_subjects(&doc, json_get(want, "subjects"));
    return changed ? steal(&doc) : NULL;
}
