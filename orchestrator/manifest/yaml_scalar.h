/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a plain (unquoted) YAML scalar means. Private to this folder: the reader resolves by it, the writer quotes by
 * it. */
#ifndef PODIUM_MANIFEST_YAML_SCALAR_H
#define PODIUM_MANIFEST_YAML_SCALAR_H

#include <stdbool.h>
#include <stddef.h>

#include "podium/base/json.h"

/* null, a boolean, a number or a string; NULL for what JSON cannot hold (.inf, .nan). s is NUL-terminated behind n.
 * The caller owns the result. */
struct json *yaml_plain_value(const char *s, size_t n);
/* True when writing the string unquoted would be read as something else by us or by other YAML 1.1 readers (timestamps,
 * base 60 numbers). */
bool yaml_plain_is_ambiguous(const char *s, size_t n);

#endif
