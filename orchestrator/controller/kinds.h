/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which resources controllers go through that care for all kinds: each kind of stored object once, by its preferred
 * version, without events (they own nothing, are owned by nothing, and expire by themselves). */
#ifndef PODIUM_CONTROLLER_KINDS_H
#define PODIUM_CONTROLLER_KINDS_H

#include "orchestrator/object/resources.h"

/* A fresh array of static rows; the caller frees the array. */
const struct resource **kinds_stored(size_t *ret_n);

#endif
