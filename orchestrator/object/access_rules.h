/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Policy rules of Roles and ClusterRoles: what they allow, whether one set covers another, how one is put together of
 * others. Behaviour: upstream's rbac validation and clusterroleaggregation packages. Pure; any thread.
 *
 * Invariants. A compiled set borrows its texts from the document, of which it holds a reference. Its lists end in NULL
 * and are never NULL themselves.
 */
#ifndef PODIUM_OBJECT_ACCESS_RULES_H
#define PODIUM_OBJECT_ACCESS_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "podium/base/json.h"

/* One thing to be done. path: a non-resource request, the other members but verb do not count then. */
struct access_attempt {
    const char *verb;
    unsigned verb_bit;                           /* access_verb_bit(verb) */
    const char *group, *plural, *subname, *name; /* "" when absent */
    const char *path;
};

struct access_rule {
    unsigned verb_bits; /* of the well-known verbs; all of them for "*" */
    const char *const *verbs, *const *groups, *const *resources, *const *names, *const *paths;
    const struct json *doc; /* borrowed from the set's */
};

struct access_rules {
    struct json *doc;
    size_t n;
    struct access_rule *rules;
    const char **texts;
};

/* A bit for each well-known verb, 0 for others: compares verbs without their texts. */
unsigned access_verb_bit(const char *verb);

/* rules: a role's member `rules`, may be NULL. Never NULL. */
struct access_rules *access_rules_new(const struct json *rules);
void access_rules_free(struct access_rules *r);
DEFINE_CLEANUP(struct access_rules *, access_rules_free)

bool access_rule_allows(const struct access_rule *rule, const struct access_attempt *a);

/* What of `wanted` the owner's rules do not cover: an array of rules with one verb, group and resource (and name) or
 * one verb and path each; NULL: they cover all. New. */
struct json *access_rules_missing(const struct access_rule *const *owner, size_t n_owner,
                                  const struct access_rules *wanted);
/* Such rules for people, one on a line, sorted, those of one resource together:
 *   {APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}
 * The caller frees. */
char *access_rules_describe(const struct json *missing);

/* The rules a ClusterRole has by its aggregationRule: those of the others its selectors choose, selector by selector,
 * by name, each once. roles: all ClusterRoles in any order. New. */
struct json *access_rules_aggregate(const struct json *role, const struct json *const *roles, size_t n);

#endif
