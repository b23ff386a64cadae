/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hashes, tokens and their comparison. */
#include <string.h>

#include <gnutls/crypto.h>

#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/random.h"

static void to_hex(const uint8_t *p, size_t n, char *out) {
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    *out = 0;
}

void pki_sha256(const void *p, size_t n, uint8_t out[PKI_SHA256_SIZE]) {
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, p, n, out) < 0)
        abort(); /* only without SHA-256, which no build of GnuTLS is */
}

void pki_sha256_hex(const void *p, size_t n, char out[PKI_SHA256_HEX_SIZE]) {
    uint8_t digest[PKI_SHA256_SIZE];

    pki_sha256(p, n, digest);
    to_hex(digest, sizeof(digest), out);
}

void pki_join_token_new(char out[PKI_JOIN_TOKEN_SIZE]) {
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";

    for (size_t i = 0; i < PKI_JOIN_TOKEN_SIZE - 1; i++) {
        uint8_t b;
        do
            random_bytes(&b, 1);
        while (b >= 252); /* 7 * 36: no letter likelier than another */
        out[i] = i == 6 ? '.' : alphabet[b % 36];
    }
    out[PKI_JOIN_TOKEN_SIZE - 1] = 0;
}

char *pki_random_hex(size_t n_bytes) {
    _cleanup_free_ uint8_t *bytes = xmalloc(n_bytes + 1);
    char *out = xmalloc(2 * n_bytes + 1);

    random_bytes(bytes, n_bytes);
    to_hex(bytes, n_bytes, out);
    return out;
}

bool pki_secret_equal(const char *a, const char *b) {
    if (!a || !b)
        return false;
    size_t n_a = strlen(a), n_b = strlen(b);
    unsigned char differ = n_a != n_b;
    /* a is walked cyclically so that its length does not show in the time */
    for (size_t i = 0; i < n_b; i++)
        differ |= (unsigned char) (a[n_a ? i % n_a : 0] ^ b[i]);
    __asm__ volatile("" : "+r"(differ)); /* the loop may not be shortened */
    return differ == 0;
}

void pki_key_free(char *key_pem) {
    if (key_pem)
        explicit_bzero(key_pem, strlen(key_pem));
    free(key_pem);
}
