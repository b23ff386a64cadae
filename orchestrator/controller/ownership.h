/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Owner references: who controls an object, and the patches that take and give up control. Pure; any thread. */
#ifndef PODIUM_CONTROLLER_OWNERSHIP_H
#define PODIUM_CONTROLLER_OWNERSHIP_H

#include <stdbool.h>

#include "orchestrator/client/informer.h"
#include "podium/base/json.h"

/* The reference marked `controller`, or NULL. Borrowed. */
const struct json *owner_controller(const struct json *object);
/* The uid of the controlling owner, NULL when there is none. */
const char *owner_controller_uid(const struct json *object);
bool owner_is_controller(const struct json *owner, const struct json *object);
/* A controller reference to the owner (blockOwnerDeletion true). New. */
struct json *owner_reference(const struct json *owner);
/* Strategic patches for object, guarded by its uid. New. */
struct json *owner_adopt_patch(const struct json *owner, const struct json *object);
struct json *owner_release_patch(const struct json *owner, const struct json *object);
/* Informer index "controller": the controlling owner's uid; what has none is under its namespace and each label. */
#define INDEX_CONTROLLER "controller"
void index_by_controller(const struct json *object, char ***keys);
/* Of children with that index: those the owner controls and the orphans that its spec.selector (a LabelSelector, or the
 * map of labels of a ReplicationController) may select, not only those it does: namespaces may be full of orphans that
 * have nothing to do with it. The caller frees the array; the objects are the informer's. */
struct json **owner_candidates(const struct informer *children, const struct json *owner, size_t *ret_n);
/* Informer index "namespace". */
#define INDEX_NAMESPACE "namespace"
void index_by_namespace(const struct json *object, char ***keys);

/* metadata fields as text, "" when absent. */
const char *meta_name(const struct json *object);
const char *meta_namespace(const struct json *object);
const char *meta_uid(const struct json *object);
bool meta_is_deleting(const struct json *object); /* has a deletionTimestamp */
bool meta_has_finalizer(const struct json *object, const char *name);
/* metadata.creationTimestamp in microseconds since the epoch; 0 when absent. */
uint64_t meta_created_usec(const struct json *object);

#endif
