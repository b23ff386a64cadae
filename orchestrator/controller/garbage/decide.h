/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of an object whose owners go, as upstream's pkg/controller/garbagecollector. Pure: what is known of the
 * owners is passed in.
 */
#ifndef PODIUM_CONTROLLER_GARBAGE_DECIDE_H
#define PODIUM_CONTROLLER_GARBAGE_DECIDE_H

#include <stdbool.h>
#include <stddef.h>

#include "podium/base/json.h"

#define FINALIZER_FOREGROUND "foregroundDeletion"
#define FINALIZER_ORPHAN     "orphan"

/* What is known of an owner reference. */
enum owner_state {
    OWNER_SOLID,   /* exists, or cannot be judged */
    OWNER_ABSENT,  /* verified: gone */
    OWNER_WAITING, /* being deleted in the foreground and waiting for this very object */
};
/* The state of an owner that exists, seen from the reference. */
enum owner_state garbage_owner_state(const struct json *owner, const struct json *ref);

enum garbage_action {
    GARBAGE_NOTHING,
    GARBAGE_UNLINK, /* others still own it: forget the owners that go */
    GARBAGE_DELETE,
};
struct garbage_plan {
    enum garbage_action action;
    const char *policy; /* of a deletion: "Background", "Foreground", "Orphan" */
};
/* states: one for each of metadata.ownerReferences. has_dependents: other objects name it as owner. */
struct garbage_plan garbage_decide(const struct json *object, const enum owner_state *states, bool has_dependents);

/* Strategic patch that takes the given owners (by uid) out of the object's references; guarded by its uid. New. */
struct json *garbage_unlink_patch(const struct json *object, const char *const *uids, size_t n);
/* Merge patch that takes a finalizer away; guarded by resourceVersion. New. */
struct json *garbage_finalizer_patch(const struct json *object, const char *finalizer);
/* The dependent's reference to this owner blocks its foreground deletion. */
bool garbage_blocks(const struct json *dependent, const char *owner_uid);

#endif
