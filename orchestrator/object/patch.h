/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The patch formats of the API. Pure functions on documents; any thread. */
#ifndef PODIUM_OBJECT_PATCH_H
#define PODIUM_OBJECT_PATCH_H

#include "orchestrator/object/schema.h"
#include "podium/base/error.h"
#include "podium/base/json.h"

enum patch_type { PATCH_JSON, PATCH_MERGE, PATCH_STRATEGIC, PATCH_APPLY };

/* RFC 6902; -EINVAL malformed (400), -EBADMSG a failing test or missing target (422), -E2BIG too many operations. */
int patch_json(const struct json *doc, const struct json *operations, struct json **ret, struct error *err) _must_check_;
/* RFC 7386. */
int patch_merge(const struct json *doc, const struct json *patch, struct json **ret, struct error *err) _must_check_;
/* Strategic merge with the patch keys of the type tables; directives $patch, $retainKeys, $setElementOrder/…,
 * $deleteFromPrimitiveList/… (wire.md section 8). */
int patch_strategic(const struct type_info *t, const struct json *doc, const struct json *patch, struct json **ret,
                    struct error *err) _must_check_;
/* A two-way merge patch that turns `from` into `to` (RFC 7386). Returns an empty object when equal. */
struct json *patch_merge_diff(const struct json *from, const struct json *to);

#endif
