/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Documents from documents and sets: what an apply does to an object. Pure; the results share what did not change.
 * Source of the behaviour: structured-merge-diff v4, typed/merge.go and typed/remove.go.
 */
#ifndef PODIUM_OBJECT_FIELD_MERGE_H
#define PODIUM_OBJECT_FIELD_MERGE_H

#include "orchestrator/object/managed/shape.h"

/* `live` with everything `config` says: lists of maps and sets are merged in the order of config, what only live has
 * stays where it was among its neighbours. The caller owns the result. */
struct json *fields_merge(struct fset_arena *a, struct shape s, const struct json *live, const struct json *config);
/* doc without the members of the set. NULL: nothing is left. */
struct json *fields_remove(struct fset_arena *a, struct shape s, const struct json *doc, const struct fset *set);

#endif
