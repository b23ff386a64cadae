/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Random bytes from the kernel (getrandom(2)) and what is made of them. Cannot fail. */
#ifndef PODIUM_BASE_RANDOM_H
#define PODIUM_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *p, size_t n);
uint64_t random_u64(void);
/* A version 4 UUID in lower case (RFC 9562). */
void random_uuid(char out[37]);
/* n characters of the alphabet Kubernetes uses for generated names ("bcdf...2456789"), NUL-terminated: n+1 bytes. */
void random_name_suffix(char *out, size_t n);

#endif
