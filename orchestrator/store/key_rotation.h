/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A new key for what is sealed at rest, while the store is in use.
 *
 * In this order, each step durable before the next: the new key is put in front of the old one in the key file; from
 * then on everything is written with it; every Secret sealed with an older one is written once more; the older keys are
 * struck from the file. Whatever happens in between, the file holds all keys that are needed, and the next start (or
 * the next rotation) goes on from there. Watchers see a Secret that was written anew as modified, with a new revision.
 *
 * Threads: any but the store's own; blocks until it is done. One at a time: -EBUSY.
 */
#ifndef PODIUM_STORE_KEY_ROTATION_H
#define PODIUM_STORE_KEY_ROTATION_H

#include "orchestrator/store/store.h"

/* *ret_n: how many objects were written anew. -EOPNOTSUPP: the store has no key file. When writing fails (-ENOSPC), the
 * new key is in use and the older ones stay until everything is rewritten. */
int store_rotate_key(struct store *s, size_t *ret_n, struct error *err) _must_check_;

#endif
