/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the objects of one kind in one namespace use of the namespace's quotas, kept by their changes.
 *
 * Invariants. Each object that was told of as new is taken off again, exactly as it was counted, when it is told of as
 * old. A pod whose grace period runs out stops to count by itself (quota_tally_expire()). Quotas that count nothing of
 * the kind are not in the tally.
 *
 * Ownership. Documents are referenced, not copied. One thread at a time.
 */
#ifndef PODIUM_OBJECT_QUOTA_TALLY_H
#define PODIUM_OBJECT_QUOTA_TALLY_H

#include "orchestrator/object/quota/amounts.h"
#include "orchestrator/object/resources.h"

struct quota_tally;
/* r: the kind's storage version (static). */
struct quota_tally *quota_tally_new(const struct resource *r);
void quota_tally_free(struct quota_tally *t);
DEFINE_CLEANUP(struct quota_tally *, quota_tally_free)

/* The quotas of the namespace, ordered by name. False: they are what they were. True: the tally is empty now, all
 * objects must be told of again. */
bool quota_tally_set_quotas(struct quota_tally *t, struct json *const *quotas, size_t n);
/* Forgets all objects. */
void quota_tally_clear(struct quota_tally *t);

/* A change of an object: old NULL for a new one, doc NULL for a deleted one. now: real time in microseconds.
 * False: nothing that is counted has changed. */
bool quota_tally_change(struct quota_tally *t, const struct json *old, const struct json *doc, uint64_t now);
/* Pods stop to count whose time is over. *ret_next: when the next one's will be, UINT64_MAX: nobody's. True: some did.
 */
bool quota_tally_expire(struct quota_tally *t, uint64_t now, uint64_t *ret_next);

size_t quota_tally_len(const struct quota_tally *t);
/* Of quota i; borrowed. */
const char *quota_tally_name(const struct quota_tally *t, size_t i);
const struct json *quota_tally_spec(const struct quota_tally *t, size_t i);
const struct amounts *quota_tally_used(const struct quota_tally *t, size_t i);

#endif
