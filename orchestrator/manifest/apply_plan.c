/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/manifest/apply_plan.h"

#include <stdlib.h>
#include <string.h>

#include "orchestrator/object/apply_patch.h"
#include "podium/base/alloc.h"
#include "podium/base/hashmap.h"

/* --- inventory --- */

void manifest_inventory_finish(struct manifest_inventory *inventory) {
    for (size_t i = 0; i < inventory->n; i++) {
        struct manifest_applied *a = &inventory->items[i];
        free(a->id);
        free(a->api_version);
        free(a->kind);
        free(a->namespace);
        free(a->name);
        free(a->file);
        json_unref(a->last_applied);
    }
    free(inventory->items);
    *inventory = (struct manifest_inventory) MANIFEST_INVENTORY_INIT;
}

static bool has_controller(const struct json *live) {
    const struct json *owners = json_path(live, "metadata", "ownerReferences");
    for (size_t i = 0; i < json_len(owners); i++)
        if (json_bool_or(json_get(json_at(owners, i), "controller"), false))
            return true;
    return false;
}

bool manifest_inventory_add(struct manifest_inventory *inventory, const struct json *live) {
    const struct json *annotations = json_path(live, "metadata", "annotations");
    const char *file = json_str(json_get(annotations, MANIFEST_ANNOTATION));
    if (!file || has_controller(live))
        return false;
    struct manifest_applied a = {
        .id = manifest_id(live),
        .api_version = xstrdup(json_str_or(json_get(live, "apiVersion"), "")),
        .kind = xstrdup(json_str_or(json_get(live, "kind"), "")),
        .namespace = xstrdup(json_str_or(json_path(live, "metadata", "namespace"), "")),
        .name = xstrdup(json_str_or(json_path(live, "metadata", "name"), "")),
        .file = xstrdup(file),
        .last_applied = apply_last_applied(live),
    };
    xgrow(&inventory->items, inventory->n, &inventory->cap);
    inventory->items[inventory->n++] = a;
    return true;
}

/* --- order --- */

/* Kinds others depend on, in order; all further kinds come behind them, workloads last. */
static unsigned rank_of_kind(const char *kind) {
    static const char *const first[] = {
        "Namespace",
        "CustomResourceDefinition",
        "PriorityClass",
        "RuntimeClass",
        "StorageClass",
        "ResourceQuota",
        "LimitRange",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "ServiceAccount",
        "Secret",
        "ConfigMap",
        "PersistentVolume",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
        "Service",
        "PersistentVolumeClaim",
    };
    static const char *const last[] = {
        "DaemonSet",
        "Pod",
        "ReplicationController",
        "ReplicaSet",
        "Deployment",
        "StatefulSet",
        "Job",
        "CronJob",
        "HorizontalPodAutoscaler",
        "Ingress",
        "APIService",
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    };
    for (unsigned i = 0; i < ARRAY_LEN(first); i++)
        if (strcmp(kind, first[i]) == 0)
            return i;
    for (unsigned i = 0; i < ARRAY_LEN(last); i++)
        if (strcmp(kind, last[i]) == 0)
            return ARRAY_LEN(first) + 1 + i;
    return ARRAY_LEN(first);
}

static const char *kind_of(const struct manifest_action *a) {
    return a->object ? json_str_or(json_get(a->object->doc, "kind"), "") : a->applied->kind;
}

static const char *id_of(const struct manifest_action *a) {
    return a->object ? a->object->id : a->applied->id;
}

static int by_order(const void *a, const void *b) {
    const struct manifest_action *x = a, *y = b;
    if (x->verb != y->verb)
        return x->verb == MANIFEST_APPLY ? -1 : 1;
    unsigned i = rank_of_kind(kind_of(x)), k = rank_of_kind(kind_of(y));
    int r = i != k ? (i < k ? -1 : 1) : strcmp(id_of(x), id_of(y));
    return x->verb == MANIFEST_APPLY ? r : -r;
}

/* --- the decision --- */

/* A problem of the file itself or of a folder above it. */
static bool has_problem(const struct manifest_set *set, const char *file) {
    for (size_t i = 0; i < set->n_problems; i++) {
        const char *broken = set->problems[i].file;
        size_t n = strlen(broken);
        bool folder = n == 0 || broken[n - 1] == '/';
        if (folder ? strncmp(file, broken, n) == 0 : strcmp(file, broken) == 0)
            return true;
    }
    return false;
}

static struct manifest_action *add(struct manifest_plan *plan, enum manifest_verb verb) {
    xgrow(&plan->actions, plan->n, &plan->cap);
    plan->actions[plan->n] = (struct manifest_action){.verb = verb};
    return &plan->actions[plan->n++];
}

/* The last-applied annotation holds what was sent: compare with what would be sent now. */
static bool asks_for_the_same(const struct manifest_object *object, const struct manifest_applied *applied) {
    _cleanup_json_ struct json *doc = manifest_apply_doc(object);
    return applied && applied->last_applied && strcmp(applied->file, object->file) == 0 &&
           json_equal(applied->last_applied, doc);
}

void manifest_plan_make(const struct manifest_set *set, const struct manifest_inventory *inventory,
                        struct manifest_plan *ret) {
    struct manifest_plan plan = {0};
    _cleanup_(hashmap_freep) struct hashmap *known = hashmap_new(NULL), *wanted = hashmap_new(NULL);
    for (size_t i = 0; i < inventory->n; i++)
        hashmap_put(known, inventory->items[i].id, &inventory->items[i]);
    for (size_t i = 0; i < set->n_objects; i++) {
        const struct manifest_object *object = &set->objects[i];
        struct manifest_action *a = add(&plan, MANIFEST_APPLY);
        a->object = object;
        a->applied = hashmap_get(known, object->id);
        a->unchanged = asks_for_the_same(object, a->applied);
        hashmap_put(wanted, object->id, (void *) object);
    }
    for (size_t i = 0; !set->missing && i < inventory->n; i++) {
        const struct manifest_applied *applied = &inventory->items[i];
        if (!hashmap_has(wanted, applied->id) && !has_problem(set, applied->file))
            add(&plan, MANIFEST_PRUNE)->applied = applied;
    }
    if (plan.n > 0)
        qsort(plan.actions, plan.n, sizeof(*plan.actions), by_order);
    *ret = plan;
}

void manifest_plan_finish(struct manifest_plan *plan) {
    free(plan->actions);
    *plan = (struct manifest_plan){0};
}

struct json *manifest_apply_doc(const struct manifest_object *object) {
    struct json *doc = json_ref(object->doc);
    json_set_path(&doc, json_string(object->file), "metadata", "annotations", MANIFEST_ANNOTATION);
    return doc;
}
