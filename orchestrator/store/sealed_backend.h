/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Encryption at rest: a back-end that keeps the documents of some resources (Secrets) sealed in another one.
 *
 * What it is. AES-256-GCM. A record is: four bytes that no JSON begins with ("\1PS2"), the id of its key, a nonce of 96
 * random bits, the text, the tag. Resource, namespace, name and revision are bound to it, so that no row can stand in
 * for another, nor an old one for a new one. A random nonce is safe for 2^32 writes of one key (NIST SP 800-38D 8.3);
 * rotate long before. In memory, and in what readers and watchers get, documents are plain. Rows that were written
 * plain (before, or by a restore), or by an older key, are read as they are; open.c writes them anew.
 *
 * What it protects is the store alone: in backups of the disk, on discarded media, in copies. Whoever has the key file
 * and the store reads the secrets. What LMDB has freed keeps its bytes until it is used again.
 *
 * Threads: as backend.h; sealed_backend_switch() may be called by any.
 */
#ifndef PODIUM_STORE_SEALED_BACKEND_H
#define PODIUM_STORE_SEALED_BACKEND_H

#include "orchestrator/store/backend.h"
#include "orchestrator/store/seal_keys.h"

/* Takes `below` (also when this fails). resources: NULL-terminated, static. keys are copied. */
int sealed_backend_new(struct store_backend *below, const struct seal_keys *keys, const char *const *resources,
                       struct store_backend **ret, struct error *err) _must_check_;
/* How many rows of those resources the load found that the first key has not sealed, and how many of them plain. */
size_t sealed_backend_stale_rows(const struct store_backend *b, size_t *ret_plain);
/* From now on these keys, the first of them for everything written. *ret_revision: rows up to it may be sealed with
 * another. */
int sealed_backend_switch(struct store_backend *b, const struct seal_keys *keys, uint64_t *ret_revision,
                          struct error *err) _must_check_;

#endif
