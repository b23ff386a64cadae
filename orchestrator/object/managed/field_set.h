/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of fields: who owns what of an object (managedFields), what a write changed.
 *
 * What it is. A tree of path elements. An element is a field or map key (NAME), an item of a list of maps by its keys
 * (KEY), an item of a list that is a set by its value (VALUE), or an item by position (INDEX, read only: nothing here
 * makes them). A node that is a `member` belongs to the set itself; its kids are paths below it. The text form is
 * upstream's FieldsV1: {"f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{}}}}}.
 *
 * Invariants. The kids of a node are sorted, distinct, and none of them is empty. Texts are canonical (KEY: compact
 * JSON, names sorted), so elements are equal when their bytes are.
 *
 * Ownership. Nodes and copied texts live in an arena and go with it, all at once. Texts may point into documents and
 * sealed texts as well: those must outlive the set. The operations give sets that share nodes with their arguments;
 * a set is never changed once it has been handed out.
 *
 * Source of the behaviour: sigs.k8s.io/structured-merge-diff v4, fieldpath. Threads: none of its own.
 */
#ifndef PODIUM_OBJECT_FIELD_SET_H
#define PODIUM_OBJECT_FIELD_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/json.h"
#include "podium/base/strbuf.h"

/* --- the arena --- */
struct fset_chunk;
struct fset_arena {
    struct fset_chunk *chunks;
    char *at, *end;
};
void fset_arena_finish(struct fset_arena *a); /* usable with _cleanup_ */
void *fset_alloc(struct fset_arena *a, size_t size);
const char *fset_copy(struct fset_arena *a, const char *p, size_t n);

/* --- sets --- */
enum fset_kind { FSET_NAME, FSET_KEY, FSET_VALUE, FSET_INDEX };
struct fset {
    const char *text; /* replicas; {"name":"x"}; "x" or 3; 7. Not NUL-terminated. NULL at the root */
    uint32_t len;
    uint32_t n, cap;
    uint8_t kind; /* enum fset_kind */
    bool member;
    struct fset *kids;
};

static inline bool fset_is_empty(const struct fset *s) {
    return !s->member && s->n == 0;
}

/* Building: fset_kid() appends an element and returns it, valid until the next one is appended to the same parent;
 * fset_settle() after its own kids are done drops it again when it stayed empty; fset_sort() when the parent has all of
 * them. */
struct fset *fset_kid(struct fset_arena *a, struct fset *parent, enum fset_kind kind, const char *text, size_t len);
void fset_settle(struct fset *parent);
void fset_sort(struct fset *parent);
/* The kid of that element, or NULL. */
struct fset *fset_find(const struct fset *parent, enum fset_kind kind, const char *text, size_t len);
/* <0, 0, >0: the order of elements: names, keys, values, positions; numbers in them by size. */
int fset_compare_elements(const struct fset *a, const struct fset *b);

/* Path by path: a path is in the result when it is in a or b, in a but not b, in both. */
struct fset fset_union(struct fset_arena *a, const struct fset *x, const struct fset *y);
struct fset fset_difference(struct fset_arena *a, const struct fset *x, const struct fset *y);
struct fset fset_intersection(struct fset_arena *a, const struct fset *x, const struct fset *y);
bool fset_equal(const struct fset *x, const struct fset *y);

/* Every path as upstream prints it (".spec.ports[port=80,protocol=\"TCP\"].name"), members of a level before what lies
 * below them. */
void fset_each(const struct fset *s, void (*fn)(void *userdata, const char *path), void *userdata);

/* --- text --- */
void fset_write(const struct fset *s, struct strbuf *out);
/* The texts of *ret point into `text` where they can. foreign: the text comes from a client, so elements are brought
 * into canonical form and checked; else it is our own. -EINVAL: not FieldsV1; -ELOOP: deeper than JSON_DEPTH_MAX. */
int fset_read(struct fset_arena *a, const char *text, size_t n, bool foreign, struct fset *ret,
              struct error *err) _must_check_;

#endif
