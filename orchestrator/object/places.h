/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The words validation rules are written in: where we are in a document (a chain of stack frames, text only when there
 * is something to report) and one function per kind of complaint. Private to this folder.
 *
 *   struct place spec = place_in(at, "spec"), port = place_in(&spec, "port");
 *   check_range(e, &port, json_path(o, "spec", "port"), 1, 65535);
 */
#ifndef PODIUM_OBJECT_PLACES_H
#define PODIUM_OBJECT_PLACES_H

#include "orchestrator/object/names.h"
#include "orchestrator/object/schema.h"
#include "podium/base/hashmap.h"

struct place {
    const struct place *up;
    const char *name; /* NULL: an index */
    size_t index;
    bool is_key; /* [name] instead of .name */
};

struct place place_in(const struct place *up, const char *name);
struct place place_at(const struct place *up, size_t index);
struct place place_key(const struct place *up, const char *key);
char *place_text(const struct place *at); /* caller frees */

void complain_required(struct field_errors *e, const struct place *at, const char *detail);
void complain_invalid(struct field_errors *e, const struct place *at, const struct json *value, const char *fmt, ...)
    _printf_(4, 5);
void complain_invalid_text(struct field_errors *e, const struct place *at, const char *value, const char *fmt, ...)
    _printf_(4, 5);
/* A value upstream does not show. */
void complain_invalid_bare(struct field_errors *e, const struct place *at, const char *detail);
/* A value that is a number or a text, shown as Go prints its type. */
void complain_invalid_amount(struct field_errors *e, const struct place *at, const struct json *value,
                             const char *detail);
void complain_forbidden(struct field_errors *e, const struct place *at, const char *fmt, ...) _printf_(3, 4);
void complain_duplicate(struct field_errors *e, const struct place *at, const char *value);
void complain_not_found(struct field_errors *e, const struct place *at, const char *value);
void complain_not_supported(struct field_errors *e, const struct place *at, const char *value,
                            const char *const *sorted);
void complain_too_long(struct field_errors *e, const struct place *at, size_t max);
void complain_too_many(struct field_errors *e, const struct place *at, size_t have, size_t max);

/* Each complaint of the form as Invalid, with the value. Returns true when the name is fine. */
bool check_name(struct field_errors *e, const struct place *at, const char *value, name_form form);
/* All complaints in one, joined by ";", where upstream does so. */
bool check_joined_name(struct field_errors *e, const struct place *at, const char *value, name_form form);
/* The member as a name: missing is Required (required) or fine; else the form. */
bool check_member_name(struct field_errors *e, const struct place *at, const struct json *object, const char *key,
                       bool required, name_form form);
bool check_required_text(struct field_errors *e, const struct place *at, const struct json *object, const char *key);
/* Members that are present must lie in the range, else "must be between a and b, inclusive". */
void check_range(struct field_errors *e, const struct place *at, const struct json *value, int64_t min, int64_t max);
void check_port(struct field_errors *e, const struct place *at, const struct json *value);
void check_port_or_name(struct field_errors *e, const struct place *at, const struct json *value);
/* "must be greater than or equal to 0" for each of the members (NULL-terminated) that is negative. */
void check_non_negative(struct field_errors *e, const struct place *at, const struct json *object,
                        const char *const *keys);
/* The member may be missing only if not required; otherwise one of the sorted values. */
void check_one_of(struct field_errors *e, const struct place *at, const struct json *object, const char *key,
                  bool required, const char *const *sorted);
/* "acme.io/foo": a domain, a slash, a path. */
void check_domain_path(struct field_errors *e, const struct place *at, const char *value);
void check_immutable(struct field_errors *e, const struct place *at, const struct json *value, const struct json *old);
/* Relative and without "..". */
void check_relative_path(struct field_errors *e, const struct place *at, const char *path);
bool has_back_steps(const char *path); /* a segment is ".." */
void check_no_back_steps(struct field_errors *e, const struct place *at, const char *path);

/* Remembers names in *set (made when needed, hashmap_free) and says whether this one was there before. */
bool seen_before(struct hashmap **set, const char *name);

/* Rules of types that many kinds contain. */
void check_labels(struct field_errors *e, const struct place *at, const struct json *labels);
void check_label_selector(struct field_errors *e, const struct place *at, const struct json *selector);

#endif
