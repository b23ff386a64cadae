/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Defaults that depend on more than one field being absent (tables/defaults.tsv, stage "defaulting"), one function per
 * type. Private to this folder; the walk is in defaulting.c.
 */
#ifndef PODIUM_OBJECT_DEFAULT_RULES_H
#define PODIUM_OBJECT_DEFAULT_RULES_H

#include "podium/base/json.h"

/* Gets an object of its type after the unconditional defaults of that object and before anything below it. */
typedef void (*default_rule)(struct json **object);

extern const default_rule default_rules[]; /* by type_info.id; NULL: none */
extern const size_t default_rules_len;

#endif
