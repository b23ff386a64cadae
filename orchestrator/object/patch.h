/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The patch formats of the API. Pure functions on documents; any thread.
 *
 * Invariants. The document given is never changed; the result shares with it (and with the patch) what did not change.
 * On failure *ret is untouched. Errors: -EINVAL for a malformed patch (400), -EBADMSG for one that does not fit the
 * document (422), -E2BIG and -ELOOP beyond the limits; the text is for the person who sent the patch.
 */
#ifndef PODIUM_OBJECT_PATCH_H
#define PODIUM_OBJECT_PATCH_H

#include "orchestrator/object/schema.h"
#include "podium/base/error.h"
#include "podium/base/json.h"

enum patch_type { PATCH_JSON, PATCH_MERGE, PATCH_STRATEGIC, PATCH_APPLY };

/* RFC 6902; -EINVAL malformed (400), -EBADMSG a failing test or missing target (422), -E2BIG too many operations or
 * copies that add up to more than OBJECT_BYTES_MAX. */
int patch_json(const struct json *doc, const struct json *operations, struct json **ret,
               struct error *err) _must_check_;
/* RFC 7386. The patch must be an object. */
int patch_merge(const struct json *doc, const struct json *patch, struct json **ret, struct error *err) _must_check_;
/* Strategic merge with the patch keys of the type tables; directives $patch, $retainKeys, $setElementOrder/…,
 * $deleteFromPrimitiveList/… (wire.md section 8). t may be NULL: then lists are replaced as a whole. Beyond upstream,
 * "$patch: merge" on a map is accepted and means nothing, and "$patch: replace" on a map the document lacks gives the
 * rest of the map. */
int patch_strategic(const struct type_info *t, const struct json *doc, const struct json *patch, struct json **ret,
                    struct error *err) _must_check_;
/* A two-way merge patch that turns `from` into `to` (RFC 7386). Returns an empty object when equal. A null inside `to`
 * cannot be expressed and counts as absent. The caller owns the result. */
struct json *patch_merge_diff(const struct json *from, const struct json *to);

#endif
