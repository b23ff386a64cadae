/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is this an intact LMDB file? LMDB trusts its pages: a flipped bit in one makes it crash, loop, lose rows or, when it
 * is in the list of free pages, overwrite live ones later. So the file is read through before LMDB opens it: both meta
 * pages, every page of both trees (its number, kind, bounds, the order of its keys and the range its parent promises),
 * the counts the meta page gives, and the free list. No page may be used twice. What the rows hold is not looked at:
 * they have checksums of their own (row.h).
 *
 * The two meta pages must be those of consecutive transactions; else the older would be taken for the newest, and
 * acknowledged writes would be gone. A power loss cannot cause that: a meta page lies in one disk sector.
 *
 * Source of the format: lmdb's mdb.c, data version 1 (0.9 on 64-bit machines).
 */
#ifndef PODIUM_STORE_LMDB_VERIFY_H
#define PODIUM_STORE_LMDB_VERIFY_H

#include "podium/base/error.h"

/* fd: the data file, open for reading. 0: intact, or empty; -EBADMSG: *err says what is wrong on which page; name is
 * what the file is called there. Other errors are of reading it. */
int lmdb_verify(int fd, const char *name, struct error *err) _must_check_;

#endif
