/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Named quantities, as quotas and limit ranges reckon with: {"pods": 1, "requests.cpu": 100m}. Ordered by name. Zero is
 * a value like another: being named is not the same as not being named. Pure; any thread.
 */
#ifndef PODIUM_OBJECT_AMOUNTS_H
#define PODIUM_OBJECT_AMOUNTS_H

#include <stddef.h>

#include "orchestrator/object/quantity.h"
#include "podium/base/cleanup.h"

struct amount {
    char *name;
    struct quantity value;
};
struct amounts {
    struct amount *items;
    size_t n, cap;
};
void amounts_finish(struct amounts *a);
#define _cleanup_amounts_ _cleanup_(amounts_finish)

/* A map of quantities of a document (ResourceList) added to what is there. */
void amounts_read(struct amounts *a, const struct json *map);
/* NULL when it is not named. Borrowed, until the next change. */
struct quantity *amounts_get(const struct amounts *a, const char *name);
struct quantity *amounts_slot(struct amounts *a, const char *name); /* made, as zero, when it is not named */
void amounts_add_to(struct amounts *a, const char *name, const struct quantity *q);
void amounts_add(struct amounts *a, const struct amounts *other);
void amounts_subtract(struct amounts *a, const struct amounts *other);
/* Each to the greater one of both. */
void amounts_raise(struct amounts *a, const struct amounts *other);
struct amounts amounts_copy(const struct amounts *a);
bool amounts_are_equal(const struct amounts *a, const struct amounts *b);
/* A ResourceList; new. */
struct json *amounts_json(const struct amounts *a);

#endif
