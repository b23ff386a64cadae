/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a value is owned: as one whole (scalars, atomic maps and lists), member by member, or item by item. Derived from
 * the type tables; where they know nothing (raw values) maps are owned member by member and lists as a whole, as
 * upstream deduces it. Private to this folder.
 */
#ifndef PODIUM_OBJECT_SHAPE_H
#define PODIUM_OBJECT_SHAPE_H

#include "orchestrator/object/managed/field_set.h"
#include "orchestrator/object/schema.h"

enum shape_kind { SHAPE_SCALAR, SHAPE_STRUCT, SHAPE_MAP, SHAPE_LIST, SHAPE_ANY };
struct shape {
    enum shape_kind kind;
    bool atomic;
    const struct type_info *type;   /* STRUCT */
    const struct field_info *field; /* MAP, LIST, and a SCALAR that is a field or item: the row that declares it */
};

struct shape shape_of_type(const struct type_info *t); /* NULL: SHAPE_ANY */
/* What a member of a STRUCT, MAP or ANY is; SHAPE_ANY for undeclared ones. */
struct shape shape_of_member(struct shape s, const char *name);
struct shape shape_of_field(const struct field_info *f);
struct shape shape_of_item(struct shape s);
/* False: v is owned as one whole, be it because of its shape, its emptiness or a type that does not fit. */
bool shape_divides(struct shape s, const struct json *v);
/* True when the values mean the same: quantities may be written differently. */
bool shape_equal(struct shape s, const struct json *a, const struct json *b);

/* An item of a list of maps or a set, with its element. */
struct list_item {
    struct fset element; /* kind, text, len */
    const struct json *value;
    uint32_t index;  /* in the list */
    bool incomplete; /* a key is missing and has no default */
};
/* The items of a non-atomic list by element, equal ones in order of the list. Array in the arena. */
struct list_item *shape_items(struct fset_arena *a, struct shape s, const struct json *list, size_t *ret_n);
/* The same in the order of the list. */
struct list_item *shape_items_in_order(struct fset_arena *a, struct shape s, const struct json *list, size_t *ret_n);

#endif
