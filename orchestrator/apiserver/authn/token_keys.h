/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cluster's key for service account tokens: JSON Web Tokens signed with ES256 (ECDSA P-256), and the public half
 * as OpenID discovery shows it. The cryptography is GnuTLS's, with the key loaded once: a JWT of one fixed algorithm is
 * three base64 texts, and a library that takes the algorithm from the token and parses the key each time buys nothing.
 *
 * Threads. Immutable once loaded: any thread may sign and verify.
 */
#ifndef PODIUM_APISERVER_TOKEN_KEYS_H
#define PODIUM_APISERVER_TOKEN_KEYS_H

#include "podium/base/error.h"
#include "podium/base/json.h"

#define TOKEN_BYTES_MAX 16384u /* longer ones are nobody's */

struct token_keys;

/* The private key of a PEM file (pki_signing_key_ensure()). Errors: file errors, -EINVAL. */
int token_keys_load(const char *key_file, struct token_keys **ret, struct error *err) _must_check_;
void token_keys_free(struct token_keys *k);
DEFINE_CLEANUP(struct token_keys *, token_keys_free)

/* A token saying these claims; the caller frees. NULL with err set. */
char *token_sign(const struct token_keys *k, const struct json *claims, struct error *err);
/* The claims of a token with a good signature of ours; nothing in them has been looked at. -EBADMSG: no such token
 * (malformed, another algorithm, another key, changed). */
int token_verify(const struct token_keys *k, const char *token, struct json **ret) _must_check_;
/* {"keys":[…]}, RFC 7517; borrowed. */
const char *token_keys_jwks(const struct token_keys *k);

#endif
