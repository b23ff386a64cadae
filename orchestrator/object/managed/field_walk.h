/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of fields from documents: what a document has, and what became of one. Source of the behaviour:
 * structured-merge-diff v4, typed/tofieldset.go and typed/compare.go. The documents must outlive the sets.
 */
#ifndef PODIUM_OBJECT_FIELD_WALK_H
#define PODIUM_OBJECT_FIELD_WALK_H

#include "orchestrator/object/managed/shape.h"

/* Every field a document sets: what somebody who applies it owns. Items that come twice count as one whole. */
struct fset fields_of(struct fset_arena *a, struct shape s, const struct json *doc);
/* What stands in the way of owning the document field by field: items without a key, items that come twice. Written to
 * *out as upstream words it, one a line; false when there is something. */
bool fields_check(struct fset_arena *a, struct shape s, const struct json *doc, struct strbuf *out);

struct field_changes {
    struct fset added, modified, removed;
};
struct field_changes fields_compare(struct fset_arena *a, struct shape s, const struct json *from,
                                    const struct json *to);
/* What differs from a new, empty object of the type (which has all that Go always writes): what its creator owns. */
struct fset fields_created(struct fset_arena *a, const struct type_info *t, const struct json *doc);

/* The set with every declared field that has something below it as a member of its own. */
struct fset fields_with_parents(struct fset_arena *a, struct shape s, const struct fset *set);

#endif
