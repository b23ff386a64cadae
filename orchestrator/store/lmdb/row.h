/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A row of the LMDB store: key is the revision (native 64-bit integer), value a header, the three names (each
 * with a NUL) and the object's compact JSON text. A checksum over key and value tells torn or foreign rows.
 * Key 0 is the identity row: what this file is, and the newest revision when no row carries it any more.
 */
#ifndef PODIUM_STORE_LMDB_ROW_H
#define PODIUM_STORE_LMDB_ROW_H

#include "orchestrator/store/backend.h"

size_t row_size(const struct store_change *ch);
/* Writes row_size() bytes to p (8-byte aligned or not). */
void row_write(const struct store_change *ch, void *p);
/* The strings in *ret point into p. -EBADMSG when the bytes are no intact row. */
int row_read(uint64_t revision, const void *p, size_t n, struct store_row *ret) _must_check_;

enum { IDENTITY_SIZE = 32 };
void identity_write(uint64_t revision, char p[IDENTITY_SIZE]);
/* -EBADMSG: damaged; -EINVAL: something else's file; -EPROTONOSUPPORT: of another version. */
int identity_read(const void *p, size_t n, uint64_t *ret_revision) _must_check_;

#endif
