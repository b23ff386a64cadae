/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Typed readers for members of a configuration object. All leave *ret alone when the member is absent or null, so the
 * caller's initial value is the default. `where` is the dotted name of the object ("linux.namespaces[2]", "" for the
 * document), for the error text only. Errors: -EINVAL naming the member.
 */
#ifndef PODIUM_RUNTIME_SPEC_FIELD_H
#define PODIUM_RUNTIME_SPEC_FIELD_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/error.h"
#include "podium/base/json.h"

int field_error(struct error *err, const char *where, const char *key, const char *problem);
/* A non-empty string becomes a copy; an empty one counts as absent. Embedded NULs are refused. */
int field_string(const struct json *o, const char *where, const char *key, char **ret, struct error *err) _must_check_;
int field_strv(const struct json *o, const char *where, const char *key, char ***ret, struct error *err) _must_check_;
int field_bool(const struct json *o, const char *where, const char *key, bool *ret, struct error *err) _must_check_;
/* 0 … max; 2^64-1 and above (which JSON readers see as a double) read as UINT64_MAX when max is that. */
int field_u64(const struct json *o, const char *where, const char *key, uint64_t max, uint64_t *ret,
              struct error *err) _must_check_;
int field_u32(const struct json *o, const char *where, const char *key, uint32_t *ret, struct error *err) _must_check_;
int field_i64(const struct json *o, const char *where, const char *key, int64_t min, int64_t max, int64_t *ret,
              struct error *err) _must_check_;
/* The member when it is an object (array), borrowed; *ret NULL when absent. */
int field_object(const struct json *o, const char *where, const char *key, const struct json **ret,
                 struct error *err) _must_check_;
int field_array(const struct json *o, const char *where, const char *key, const struct json **ret,
                struct error *err) _must_check_;
/* An object whose values are all strings; *ret gets a new reference. */
int field_string_map(const struct json *o, const char *where, const char *key, struct json **ret,
                     struct error *err) _must_check_;
/* Refuses members of the list (NULL-terminated) that are present and not empty: -EOPNOTSUPP. */
int field_refuse(const struct json *o, const char *where, const char *const *keys, struct error *err) _must_check_;

#endif
