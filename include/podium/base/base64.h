/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Base64 (RFC 4648, standard alphabet with padding), as JSON carries bytes. */
#ifndef PODIUM_BASE_BASE64_H
#define PODIUM_BASE_BASE64_H

#include <stddef.h>
#include <stdint.h>

#include "podium/base/cleanup.h"

/* The caller frees; NUL-terminated. */
char *base64_encode(const void *p, size_t n);
/* Strict decoding: -EINVAL on a character outside the alphabet, bad padding or trailing bytes. *ret is
 * NUL-terminated behind *ret_len; the caller frees. */
int base64_decode(const char *s, size_t n, uint8_t **ret, size_t *ret_len) _must_check_;

#endif
