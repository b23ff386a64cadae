/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The entries of managedFields while a write is worked out. Private to this folder. */
#ifndef PODIUM_OBJECT_MANAGERS_H
#define PODIUM_OBJECT_MANAGERS_H

#include "orchestrator/object/managed/field_walk.h"
#include "orchestrator/object/managed/managed.h"
#include "orchestrator/object/timestamp.h"

#define UPDATE_MANAGERS_MAX 10 /* upstream's DefaultMaxUpdateManagers */

struct manager {
    const char *name, *operation, *api_version, *subresource; /* never NULL */
    const char *time;                                         /* "" when not known */
    const struct json *entry; /* as it was loaded; NULL when it has to be written anew */
    struct fset set;
};

struct managers {
    struct fset_arena arena;
    struct json *owned; /* array: documents the sets point into */
    struct manager *all;
    size_t n, cap;
    char now[TIMESTAMP_SIZE];
};
void managers_init(struct managers *m, uint64_t now_usec);
void managers_finish(struct managers *m);

/* The list as it is kept: fieldsV1 sealed. A new reference; NULL when there is nothing (null, absent). */
struct json *managers_sealed(const struct json *list);
/* An empty list or one empty entry: "forget who wrote what". */
bool managers_is_reset(const struct json *list);
/* Adds the entries of a list, which must outlive m. foreign: it came from a client. False: it cannot be
 * understood, and m has none of them. */
bool managers_load(struct managers *m, const struct json *entries, bool foreign);

/* apiVersion does not tell appliers apart. NULL when there is none. */
struct manager *managers_find(struct managers *m, const char *name, const char *operation, const char *api_version,
                              const char *subresource);
/* That one, or a new one with an empty set. Pointers into m are invalid afterwards. */
struct manager *managers_need(struct managers *m, const char *name, const char *operation, const char *api_version,
                              const char *subresource);
/* A copy of the table (sets are shared), so that an attempt can be given up. */
struct managers managers_fork(struct managers *m);
void managers_drop_empty(struct managers *m);
/* More than UPDATE_MANAGERS_MAX updates: the oldest become one entry a version, "ancient-changes". */
void managers_cap(struct managers *m);
/* Into metadata.managedFields, in upstream's order; absent when there is none. */
void managers_store(struct managers *m, struct json **doc);

/* Without what nobody owns (identity and what the server writes) and what a write through the subresource cannot reach.
 */
struct fset managers_scope(struct fset_arena *a, const struct managed_writer *w, const struct fset *set);

/* The document in another version of its kind, kept as long as m; NULL when that version does not exist. */
const struct json *managers_convert(struct managers *m, const struct resource *from, const char *api_version,
                                    const struct json *doc);
/* What a write changed, in the terms of a manager's version. */
struct change_set {
    const char *api_version;
    struct field_changes changes;
    struct fset touched; /* all of them */
};
/* The changes from old to doc in the writer's version, in scope. */
struct change_set managers_changes(struct managers *m, const struct managed_writer *w, const struct json *old,
                                   const struct json *doc);
/* The same in another version. False: the version does not exist. */
bool managers_changes_in(struct managers *m, const struct managed_writer *w, const char *api_version,
                         const struct json *old, const struct json *doc, struct change_set *ret);

#endif
