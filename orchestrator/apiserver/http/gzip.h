/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compressed answers, for clients that accept them, from upstream's size on and at upstream's level (the fastest). */
#ifndef PODIUM_APISERVER_GZIP_H
#define PODIUM_APISERVER_GZIP_H

#include <stdbool.h>
#include <stdint.h>

#include "podium/base/strbuf.h"

#define GZIP_BYTES_MIN (128u * 1024u)

/* Appends the gzip form. False, with out as it was, when it cannot be made or is no shorter. Any thread. */
bool gzip_add(const void *p, size_t n, struct strbuf *out);

/*
 * A gzip file from parts: the head, parts in any number, the end. Parts are made one by one, at any time, and may stand
 * in several files: none refers to what is before it.
 */
void gzip_head(struct strbuf *out);
void gzip_part(const void *p, size_t n, struct strbuf *out);
/* A few bytes (at most 65,535) as they are. */
void gzip_plain_part(const void *p, size_t n, struct strbuf *out);
/* crc: CRC-32 of all parts' plain bytes, n: how many. */
void gzip_end(uint32_t crc, uint64_t n, struct strbuf *out);

#endif
