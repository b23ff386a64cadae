/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Semantic validation of objects (tables/validation.tsv): messages and field paths as upstream. Pure; any thread.
 */
#ifndef PODIUM_OBJECT_VALIDATION_H
#define PODIUM_OBJECT_VALIDATION_H

#include "orchestrator/object/resources.h"
#include "orchestrator/object/schema.h"
#include "podium/base/json.h"

/* A new object (decoded and defaulted). Generic metadata rules for every kind, particular rules for the kinds that have
 * them. Appends to errors; an empty list means valid. */
void validate_create(const struct resource *r, const struct json *object, struct field_errors *errors);
/* An update: immutability and transition rules as well. subresource: NULL, "status", "scale", … */
void validate_update(const struct resource *r, const char *subresource, const struct json *object,
                     const struct json *old, struct field_errors *errors);
/* Members of type bytes that hold PEM text (certificates.v1): the text, "" when it is none; the caller frees. And a
 * complaint about such a member, with the value as Go prints it. */
char *certificate_bytes(const struct json *value);
void complain_bytes(struct field_errors *errors, const char *field, const char *bytes, const char *detail);
/* Name forms: NULL when fine, else upstream's explanation (static). */
const char *name_is_dns1123_subdomain(const char *s);
const char *name_is_qualified(const char *s);
const char *name_is_label_value(const char *s);

#endif
