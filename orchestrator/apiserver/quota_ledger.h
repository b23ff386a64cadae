/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What namespaces with quotas use, exactly, at the moment somebody wants more.
 *
 * What it is. Upstream writes the new usage into the quota's status before it writes the object, and repairs what goes
 * wrong between the two minutes later. Here usage is what the store shows (followed by watches that are read when
 * somebody asks) plus what requests under way were granted and the store may not show yet. Nothing can leak: a write
 * that fails gives its grant back when it ends, a deleted object gives back what it had by being gone. The quota's
 * status is written by its controller and not believed here.
 *
 * Invariants. An object counts once: as committed, or as the largest of the states that are granted, whichever is more.
 * So it makes no difference whether a grant ends before or after the change is read from the watch. A grant ends with
 * its write, which is visible in the store by then, or with its request.
 *
 * Cost. Namespaces without quotas are not known here. The first question about a kind in a namespace reads all of its
 * objects there.
 *
 * Threads. begin() locks, end() unlocks; what is between is the thread's own. Settling locks by itself.
 */
#ifndef PODIUM_APISERVER_QUOTA_LEDGER_H
#define PODIUM_APISERVER_QUOTA_LEDGER_H

#include "orchestrator/object/quota/amounts.h"
#include "orchestrator/object/resources.h"
#include "orchestrator/store/store.h"

struct quota_ledger;
struct quota_page;  /* one kind in one namespace */
struct quota_grant; /* of one request */

struct quota_ledger *quota_ledger_new(struct store *store);
/* All grants must be settled. */
void quota_ledger_free(struct quota_ledger *l);

/* quotas: all of the namespace, ordered by name. r: storage version. */
struct quota_page *quota_ledger_begin(struct quota_ledger *l, const char *ns, const struct resource *r,
                                      struct json *const *quotas, size_t n_quotas);
void quota_ledger_end(struct quota_ledger *l);
/* Quotas in the order of their names; those that count nothing of the kind are left out. */
size_t quota_page_len(const struct quota_page *p);
const char *quota_page_name(const struct quota_page *p, size_t i);
const struct json *quota_page_spec(const struct quota_page *p, size_t i);
struct quantity quota_page_used(const struct quota_page *p, size_t i, const char *name);
/* doc: the state to be written. To be settled. */
struct quota_grant *quota_page_grant(struct quota_page *p, const char *name, struct json *doc) _must_check_;

/* NULL is fine. Not between begin and end. */
void quota_ledger_settle(struct quota_ledger *l, struct quota_grant *g);

#endif
