/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where in the type tables a value of a document is. Private to this folder: strategic patches are read and made by it.
 */
#ifndef PODIUM_OBJECT_PATCH_PLACE_H
#define PODIUM_OBJECT_PATCH_PLACE_H

#include <stdbool.h>

#include "orchestrator/object/schema.h"

#define PATCH_DIRECTIVE   "$patch"
#define PATCH_RETAIN_KEYS "$retainKeys"
#define PATCH_SET_ORDER   "$setElementOrder/"
#define PATCH_DELETE_FROM "$deleteFromPrimitiveList/"

/* An object of a type, or a map whose values are such objects. type NULL: nothing is known, so maps merge and lists are
 * replaced. */
struct patch_place {
    const struct type_info *type;
    bool map;
};

static inline const struct field_info *patch_field(struct patch_place at, const char *key) {
    return at.type && !at.map ? type_field(at.type, key) : NULL;
}

static inline struct patch_place patch_below(struct patch_place at, const char *key) {
    const struct field_info *f = patch_field(at, key);
    if (at.map)
        return (struct patch_place){at.type, false};
    if (!f || f->type != FIELD_OBJECT || f->container == FIELD_MAP_OF_ARRAY)
        return (struct patch_place){NULL, false};
    return (struct patch_place){field_object(f), f->container == FIELD_MAP};
}

#endif
