/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Label and field selectors: the string form of queries and the LabelSelector object of specs.
 * Semantics: apimachinery's labels and fields packages (`!=` and `notin` match absent keys).
 */
#ifndef PODIUM_OBJECT_SELECTOR_H
#define PODIUM_OBJECT_SELECTOR_H

#include <stdbool.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

struct selector; /* immutable after parsing */

/* "a=b,c!=d,e in (f,g),!h,i,j>3". NULL or "" selects everything. -EINVAL with upstream's text. */
int selector_parse(const char *s, struct selector **ret, struct error *err) _must_check_;
/* A LabelSelector object {matchLabels, matchExpressions}; NULL or null selects nothing, {} everything. */
int selector_from_object(const struct json *label_selector, struct selector **ret, struct error *err) _must_check_;
/* A plain map (ReplicationController, Service): an empty or absent map selects nothing. */
int selector_from_map(const struct json *map, struct selector **ret, struct error *err) _must_check_;
void selector_free(struct selector *s);
DEFINE_CLEANUP(struct selector *, selector_free)
/* labels: the object of a metadata.labels, may be NULL. A NULL selector matches everything. */
bool selector_matches(const struct selector *s, const struct json *labels);
bool selector_is_empty(const struct selector *s); /* selects everything */
/* The string form, terms sorted by key, as scale's status.selector and print columns want it. Caller frees. */
char *selector_to_text(const struct selector *s);

/* "metadata.name=x,status.phase!=Running": terms over fields. NULL or "" selects everything; a backslash escapes , =
 * and itself. Which labels a kind knows: fieldselectors.tsv; an unknown one is -EINVAL with upstream's message.
 * api_version/kind name the rows. */
struct field_selector;
int field_selector_parse(const char *s, const char *group, const char *version, const char *kind,
                         struct field_selector **ret, struct error *err) _must_check_;
void field_selector_free(struct field_selector *s);
DEFINE_CLEANUP(struct field_selector *, field_selector_free)
bool field_selector_matches(const struct field_selector *s, const struct json *object);
/* The value an equality term pins the field to ("metadata.name"), or NULL: lets a list become a get. */
const char *field_selector_exact(const struct field_selector *s, const char *field);

#endif
