/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The end of a namespace, as upstream's pkg/controller/namespace/deletion. Pure. */
#ifndef PODIUM_CONTROLLER_NAMESPACE_DECIDE_H
#define PODIUM_CONTROLLER_NAMESPACE_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/json.h"

/* Being deleted, and our finalizer still holds it: its content is to go. */
bool namespace_is_ending(const struct json *ns);
/* The body for PUT /finalize: without our finalizer. New. */
struct json *namespace_finalized(const struct json *ns);

/* What is left after a round of deletions: names to numbers, e.g. {"pods": 2}, {"example.com/x": 1}; failure: NULL, or
 * why something could not be deleted. Returns the new status with upstream's conditions; equal to the old when nothing
 * changed. New. */
struct json *namespace_status(const struct json *ns, const struct json *remaining, const struct json *finalizers,
                              const char *failure, uint64_t now);
/* Counts one object that is left. */
void namespace_count(struct json **remaining, struct json **finalizers, const char *resource,
                     const struct json *object);

#endif
