/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order of merged lists (apimachinery's strategicpatch). Private to this folder.
 *
 * Elements are told apart by their merge key (lists of maps) or by value (lists of scalars, merge_key NULL). An index
 * over a list makes look-ups independent of its length: patches come from outside.
 */
#ifndef PODIUM_OBJECT_PATCH_ORDER_H
#define PODIUM_OBJECT_PATCH_ORDER_H

#include <stddef.h>
#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

#define PATCH_ORDER_NONE SIZE_MAX

/* Place of each element in a list (the first of equal ones). merge_key stays the caller's and must live on. */
struct patch_order;
struct patch_order *patch_order_new(const struct json *list, const char *merge_key);
void patch_order_free(struct patch_order *o);
DEFINE_CLEANUP(struct patch_order *, patch_order_free)
void patch_order_add(struct patch_order *o, const struct json *element, size_t rank);
size_t patch_order_rank(const struct patch_order *o, const struct json *element);

/* A merged list in its final order: elements that `wanted` names come in its order; the others keep the order they had
 * in `server`, each before the first wanted element that it stood before there. The caller owns the result. */
struct json *patch_order_apply(const struct json *merged, const struct json *wanted, const struct json *server,
                               const char *merge_key);
/* -EINVAL when the patch's elements (deleted ones aside) do not follow the order of $setElementOrder. */
int patch_order_check(const struct json *patch, const struct json *wanted, const char *merge_key,
                      struct error *err) _must_check_;
/* Sets "map: … does not contain declared merge key: …"; returns -EINVAL. */
int patch_order_no_key(const struct json *element, const char *merge_key, struct error *err);

#endif
