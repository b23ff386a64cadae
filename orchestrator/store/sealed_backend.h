/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Encryption at rest: a back-end that keeps the documents of some resources (Secrets) sealed in another one.
 *
 * What it is. AES-256-GCM with a random nonce for each write; resource, namespace, name and revision are bound to the
 * text, so that no row can stand in for another. In memory, and in what readers and watchers get, documents are plain.
 * Rows that were written plain (before, or by a restore) are read as they are; store_open_lmdb() writes them anew.
 *
 * The key is 32 bytes, in a file of mode 0600 as hex digits. Whoever has file and store reads the secrets: what this
 * protects is the store alone, in backups of the disk, on discarded media, in copies. What LMDB has freed keeps its
 * bytes until it is used again.
 *
 * Threads: as backend.h.
 */
#ifndef PODIUM_STORE_SEALED_BACKEND_H
#define PODIUM_STORE_SEALED_BACKEND_H

#include "orchestrator/store/backend.h"

#define SEAL_KEY_BYTES 32

/* The key of the file, made when there is none. */
int seal_key_ensure(const char *path, unsigned char key[SEAL_KEY_BYTES], struct error *err) _must_check_;
/* Takes `below` (also when this fails). resources: NULL-terminated, static. */
int sealed_backend_new(struct store_backend *below, const unsigned char key[SEAL_KEY_BYTES],
                       const char *const *resources, struct store_backend **ret, struct error *err) _must_check_;
/* How many rows of those resources the load found plain. */
size_t sealed_backend_plain_rows(const struct store_backend *b);

#endif
