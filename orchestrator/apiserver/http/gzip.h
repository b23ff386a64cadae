/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compressed answers, for clients that accept them, from upstream's size on and at upstream's level (the fastest). */
#ifndef PODIUM_APISERVER_GZIP_H
#define PODIUM_APISERVER_GZIP_H

#include <stdbool.h>

#include "podium/base/strbuf.h"

#define GZIP_BYTES_MIN (128u * 1024u)

/* Appends the gzip form. False, with out as it was, when it cannot be made or is no shorter. Any thread. */
bool gzip_add(const void *p, size_t n, struct strbuf *out);

#endif
