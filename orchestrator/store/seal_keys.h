/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The keys Secrets are sealed with, and their file: one key a line, 64 hexadecimal digits, mode 0600. The first seals;
 * the others only open what was sealed before a rotation. A record names its key by the key's id, which says nothing
 * about the key.
 *
 * Threads: none of its own.
 */
#ifndef PODIUM_STORE_SEAL_KEYS_H
#define PODIUM_STORE_SEAL_KEYS_H

#include <stdint.h>

#include "podium/base/error.h"

#define SEAL_KEY_BYTES 32
#define SEAL_ID_BYTES  8
#define SEAL_KEYS_MAX  8

struct seal_key {
    unsigned char bytes[SEAL_KEY_BYTES];
    unsigned char id[SEAL_ID_BYTES]; /* the beginning of a hash of it */
};
struct seal_keys {
    struct seal_key keys[SEAL_KEYS_MAX];
    size_t n;
};

/* Wipes them. */
void seal_keys_finish(struct seal_keys *k);
/* -ENOENT: no such file; -EBADMSG: a line that is no key, none, or more than SEAL_KEYS_MAX. */
int seal_keys_read(const char *path, struct seal_keys *ret, struct error *err) _must_check_;
/* Durable before it returns; the file is replaced as a whole. */
int seal_keys_write(const char *path, const struct seal_keys *k, struct error *err) _must_check_;
/* A new key in front. -E2BIG when there is no room for one more. */
int seal_keys_add(struct seal_keys *k, struct error *err) _must_check_;
/* Forgets all but the first. */
void seal_keys_drop_old(struct seal_keys *k);

#endif
