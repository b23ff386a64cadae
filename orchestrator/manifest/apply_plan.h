/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What to do so that the cluster has what the manifest directory asks for: a pure decision; another module performs it.
 *
 * What it is. Desired is the directory's set (watch_dir.h), observed is the inventory: every object that carries
 * MANIFEST_ANNOTATION. The plan applies each desired object and prunes what came from the directory and is no longer in
 * it. Nothing without the annotation is ever pruned.
 *
 * Invariants. Applies come first, in an order in which later kinds find what they need (Namespaces, then configuration,
 * then workloads); prunes follow in the opposite order. Nothing is pruned
 *   - while the directory is missing (an unmounted file system must not empty the cluster),
 *   - that came from a file, or a folder, which has a problem now: whether it still wants the object is not known,
 *   - that is desired from another file: then it is applied with its new origin.
 *
 * Ownership. A plan borrows from the set and the inventory; both must outlive it. Threads: pure functions.
 *
 *   manifest_plan(set, inventory, n, &plan);
 *   for (i < plan.n) if (plan.actions[i].verb == MANIFEST_APPLY && !plan.actions[i].unchanged) …
 */
#ifndef PODIUM_MANIFEST_APPLY_PLAN_H
#define PODIUM_MANIFEST_APPLY_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#include "orchestrator/manifest/manifest_set.h"

/* On every object applied from the directory: the relative file it comes from. */
#define MANIFEST_ANNOTATION "podium.org/manifest"

/* An object in the cluster that came from the directory. */
struct manifest_applied {
    char *id; /* manifest_id() of the live object */
    char *api_version, *kind, *namespace, *name;
    char *file;                /* MANIFEST_ANNOTATION */
    struct json *last_applied; /* what was applied last, from the last-applied annotation; NULL when unknown */
};

struct manifest_inventory {
    struct manifest_applied *items;
    size_t n, cap;
};

#define MANIFEST_INVENTORY_INIT                                                                                        \
    { 0 }

void manifest_inventory_finish(struct manifest_inventory *inventory);
#define _cleanup_manifest_inventory_ _cleanup_(manifest_inventory_finish)
/* Adds a live object; false, and nothing happens, when it did not come from the directory. Objects that others make
 * (copies of annotations on Pods of a Deployment) have a controlling owner and do not count. */
bool manifest_inventory_add(struct manifest_inventory *inventory, const struct json *live);

enum manifest_verb { MANIFEST_APPLY, MANIFEST_PRUNE };

struct manifest_action {
    enum manifest_verb verb;
    const struct manifest_object *object;   /* MANIFEST_APPLY */
    const struct manifest_applied *applied; /* the object's inventory entry; NULL when it is new */
    bool unchanged; /* MANIFEST_APPLY: asks for what was applied last, from the same file: only drift is to be mended */
};

struct manifest_plan {
    struct manifest_action *actions;
    size_t n, cap;
};

void manifest_plan_make(const struct manifest_set *set, const struct manifest_inventory *inventory,
                        struct manifest_plan *ret);
void manifest_plan_finish(struct manifest_plan *plan);
#define _cleanup_manifest_plan_ _cleanup_(manifest_plan_finish)

/* The document to send for an apply: the desired one with MANIFEST_ANNOTATION. The caller owns the result. */
struct json *manifest_apply_doc(const struct manifest_object *object);

#endif
