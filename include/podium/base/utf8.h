/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes of unknown origin as text that JSON can carry. */
#ifndef PODIUM_BASE_UTF8_H
#define PODIUM_BASE_UTF8_H

#include <stddef.h>

/* The bytes as valid UTF-8 without NULs: each byte that is part of no character becomes U+FFFD. The caller frees. */
char *utf8_valid_text(const char *p, size_t n);

#endif
