/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Client-side apply: the patch that `kubectl apply` would send, from what was applied last, what is there and what is
 * wanted. Used by the CLI's apply and by the manifest directory.
 *
 * What the patch does: sets what is wanted and differs; removes what was applied last and is not wanted any more;
 * leaves alone what others added (replicas set by an autoscaler, injected containers, defaults).
 *
 * Ownership: results are the caller's. Threads: pure functions.
 */
#ifndef PODIUM_OBJECT_APPLY_PATCH_H
#define PODIUM_OBJECT_APPLY_PATCH_H

#include "orchestrator/object/schema.h"
#include "podium/base/json.h"

#define APPLY_LAST_APPLIED "kubectl.kubernetes.io/last-applied-configuration"

/* The document with itself (without the annotation) recorded in the annotation: what to create, or what to give as
 * `wanted`. */
struct json *apply_annotated(const struct json *doc);
/* What the live object says was applied last; NULL when it does not, or cannot be read. */
struct json *apply_last_applied(const struct json *live);
/* t not NULL: a strategic merge patch with the tables' merge keys, $setElementOrder, $retainKeys and $patch: delete.
 * t NULL (custom resources): a merge patch. last may be NULL: nothing is removed then. An empty object: nothing to do.
 */
struct json *apply_patch(const struct type_info *t, const struct json *last, const struct json *live,
                         const struct json *wanted);

#endif
