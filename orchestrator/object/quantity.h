/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kubernetes quantities ("100m", "1.5Gi", "2e3"; apimachinery's resource.Quantity). Exact in nano units within 128
 * bits.
 *
 * Invariants. What is finer than a nano unit is rounded away from zero, so that asking for something never gives
 * nothing. Binary quantities are capped at 2^63-1 as upstream does; results saturate at the int64 limits.
 * Pure functions; any thread.
 */
#ifndef PODIUM_OBJECT_QUANTITY_H
#define PODIUM_OBJECT_QUANTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

/* -EINVAL with upstream's wording for a malformed string. Values are rounded up to whole units (quantity_parse) or to
 * thousandths (quantity_parse_milli), as upstream's Value() and MilliValue() do; saturate at the int64 limits. */
int quantity_parse(const char *s, int64_t *ret, struct error *err) _must_check_;
int quantity_parse_milli(const char *s, int64_t *ret, struct error *err) _must_check_;
/* A JSON string or number, as documents hold it; absent gives `otherwise`, malformed too (validation reports it). */
int64_t quantity_json(const struct json *v, int64_t otherwise);
int64_t quantity_json_milli(const struct json *v, int64_t otherwise);
/* -1, 0 or 1 for a < b, a == b, a > b, in nano units. A malformed string counts as zero. */
int quantity_compare(const char *a, const char *b);
/* Canonical form ("1500m" -> "1500m", "1024Mi" -> "1Gi", "0.5" -> "500m"); the caller frees; NULL if malformed. */
char *quantity_canonical(const char *s);

/* A quantity to reckon with: exact in nano units; far beyond any int64 it stays at a limit. The form is how it is
 * written (decimal, exponent, binary); a sum is written as its first part that is not zero was. */
__extension__ typedef __int128 quantity_nano;
struct quantity {
    quantity_nano nano;
    int form;
};
/* A JSON string or number; false, and zero, when absent or malformed. */
bool quantity_read(const struct json *v, struct quantity *ret);
struct quantity quantity_of(int64_t whole);
void quantity_add(struct quantity *sum, const struct quantity *q);
void quantity_subtract(struct quantity *sum, const struct quantity *q);
/* The greater one of both, as it is written. */
void quantity_raise(struct quantity *q, const struct quantity *other);
char *quantity_text(const struct quantity *q); /* canonical; the caller frees */

/* Text of a value: quantity_format_binary(1<<30) = "1Gi", quantity_format_milli(1500) = "1500m", (2000) = "2". Caller
 * frees. */
char *quantity_format_binary(int64_t bytes);
char *quantity_format_milli(int64_t milli);

#endif
