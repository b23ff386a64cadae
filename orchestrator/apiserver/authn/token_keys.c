/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/authn/token_keys.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>

#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/fd.h"

#define COORDINATE_BYTES 32 /* of P-256; a signature is two such numbers */
#define SIGNATURE_BYTES  (2 * COORDINATE_BYTES)

struct token_keys {
    gnutls_privkey_t private;
    gnutls_pubkey_t public;
    char *id;     /* "kid": tells keys apart once they are changed */
    char *header; /* of every token, encoded */
    char *jwks;
};

/* --- base64 for addresses (RFC 4648 section 5), without padding --- */

static char *base64_url(const void *p, size_t n) {
    char *s = base64_encode(p, n);

    for (char *c = s; *c; c++)
        *c = (char) (*c == '+' ? '-' : *c == '/' ? '_' : *c == '=' ? 0 : *c);
    return s;
}

static int base64_url_decode(const char *s, size_t n, uint8_t **ret, size_t *ret_n) {
    _cleanup_free_ char *plain = xmalloc(n + 4);

    for (size_t i = 0; i < n; i++) {
        if (s[i] == '+' || s[i] == '/' || s[i] == '=')
            return -EINVAL;
        plain[i] = (char) (s[i] == '-' ? '+' : s[i] == '_' ? '/' : s[i]);
    }
    while (n % 4)
        plain[n++] = '=';
    return base64_decode(plain, n, ret, ret_n);
}

/* --- keys --- */

/* Numbers come with or without leading zeros; they are written at full length. */
static void put_number(const gnutls_datum_t *d, uint8_t out[COORDINATE_BYTES]) {
    size_t n = d->size > COORDINATE_BYTES ? COORDINATE_BYTES : d->size;

    memset(out, 0, COORDINATE_BYTES);
    memcpy(out + COORDINATE_BYTES - n, d->data + d->size - n, n);
}

static int make_texts(struct token_keys *k, struct error *err) {
    gnutls_datum_t der = {0}, x = {0}, y = {0};
    gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
    uint8_t digest[PKI_SHA256_SIZE], number[COORDINATE_BYTES];

    int rc = gnutls_pubkey_export2(k->public, GNUTLS_X509_FMT_DER, &der);
    if (rc >= 0)
        rc = gnutls_pubkey_export_ecc_raw2(k->public, &curve, &x, &y, 0);
    if (rc >= 0 && curve == GNUTLS_ECC_CURVE_SECP256R1) {
        pki_sha256(der.data, der.size, digest);
        k->id = base64_url(digest, sizeof(digest)); /* upstream's way to name a key, too */
        put_number(&x, number);
        _cleanup_free_ char *tx = base64_url(number, sizeof(number));
        put_number(&y, number);
        _cleanup_free_ char *ty = base64_url(number, sizeof(number));
        k->jwks = xasprintf("{\"keys\":[{\"use\":\"sig\",\"kty\":\"EC\",\"kid\":\"%s\",\"crv\":\"P-256\","
                            "\"alg\":\"ES256\",\"x\":\"%s\",\"y\":\"%s\"}]}",
                            k->id, tx, ty);
        _cleanup_free_ char *header = xasprintf("{\"alg\":\"ES256\",\"kid\":\"%s\"}", k->id);
        k->header = base64_url(header, strlen(header));
    }
    gnutls_free(der.data);
    gnutls_free(x.data);
    gnutls_free(y.data);
    if (rc < 0)
        return error_set(err, -EINVAL, "the key for tokens is no ECDSA key: %s", gnutls_strerror(rc));
    return k->jwks ? 0 : error_set(err, -EINVAL, "the key for tokens is not on the curve P-256");
}

static int take_key(struct token_keys *k, const struct strbuf *text, struct error *err) {
    const gnutls_datum_t pem = {(unsigned char *) text->data, (unsigned) text->len};

    int rc = gnutls_privkey_init(&k->private);
    if (rc >= 0)
        rc = gnutls_privkey_import_x509_raw(k->private, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (rc >= 0)
        rc = gnutls_pubkey_init(&k->public);
    if (rc >= 0)
        rc = gnutls_pubkey_import_privkey(k->public, k->private, GNUTLS_KEY_DIGITAL_SIGNATURE, 0);
    if (rc < 0)
        return error_set(err, -EINVAL, "cannot read the key for tokens: %s", gnutls_strerror(rc));
    return make_texts(k, err);
}

int token_keys_load(const char *key_file, struct token_keys **ret, struct error *err) {
    _cleanup_(token_keys_freep) struct token_keys *k = xnew0(struct token_keys);
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;

    int r = file_read(key_file, PKI_PEM_BYTES_MAX, &text, err);
    if (r >= 0)
        r = take_key(k, &text, err);
    if (text.data)
        explicit_bzero(text.data, text.len);
    if (r < 0)
        return error_prefix(err, r, "%s", key_file);
    *ret = steal(&k);
    return 0;
}

void token_keys_free(struct token_keys *k) {
    if (!k)
        return;
    if (k->private)
        gnutls_privkey_deinit(k->private);
    if (k->public)
        gnutls_pubkey_deinit(k->public);
    free(k->id);
    free(k->header);
    free(k->jwks);
    free(k);
}

const char *token_keys_jwks(const struct token_keys *k) {
    return k->jwks;
}

/* --- tokens --- */

char *token_sign(const struct token_keys *k, const struct json *claims, struct error *err) {
    _cleanup_free_ char *text = json_to_text(claims), *payload = base64_url(text, strlen(text));
    _cleanup_free_ char *signed_part = xasprintf("%s.%s", k->header, payload);
    const gnutls_datum_t data = {(unsigned char *) signed_part, (unsigned) strlen(signed_part)};
    gnutls_datum_t sig = {0}, r = {0}, s = {0};
    uint8_t raw[SIGNATURE_BYTES];

    int rc = gnutls_privkey_sign_data2(k->private, GNUTLS_SIGN_ECDSA_SHA256, 0, &data, &sig);
    if (rc >= 0)
        rc = gnutls_decode_rs_value(&sig, &r, &s);
    if (rc >= 0) {
        put_number(&r, raw);
        put_number(&s, raw + COORDINATE_BYTES);
    }
    gnutls_free(sig.data);
    gnutls_free(r.data);
    gnutls_free(s.data);
    if (rc < 0) {
        (void) error_set(err, -EIO, "cannot sign a token: %s", gnutls_strerror(rc));
        return NULL;
    }
    _cleanup_free_ char *signature = base64_url(raw, sizeof(raw));
    return xasprintf("%s.%s", signed_part, signature);
}

static bool signature_is_good(const struct token_keys *k, const char *token, size_t signed_n) {
    const gnutls_datum_t data = {(unsigned char *) token, (unsigned) signed_n};
    _cleanup_free_ uint8_t *raw = NULL;
    gnutls_datum_t sig = {0};
    size_t n = 0;

    if (base64_url_decode(token + signed_n + 1, strlen(token + signed_n + 1), &raw, &n) < 0 || n != SIGNATURE_BYTES)
        return false;
    const gnutls_datum_t r = {raw, COORDINATE_BYTES}, s = {raw + COORDINATE_BYTES, COORDINATE_BYTES};
    if (gnutls_encode_rs_value(&sig, &r, &s) < 0)
        return false;
    int rc = gnutls_pubkey_verify_data2(k->public, GNUTLS_SIGN_ECDSA_SHA256, 0, &data, &sig);
    gnutls_free(sig.data);
    return rc >= 0;
}

int token_verify(const struct token_keys *k, const char *token, struct json **ret) {
    const size_t n = strnlen(token, TOKEN_BYTES_MAX + 1), header_n = strlen(k->header);
    const char *last = n > TOKEN_BYTES_MAX ? NULL : strrchr(token, '.');
    _cleanup_free_ uint8_t *payload = NULL;
    size_t payload_n = 0;

    /* every token of ours begins with these very bytes: algorithm and key are not the token's to choose */
    if (!last || strncmp(token, k->header, header_n) != 0 || token[header_n] != '.' || last <= token + header_n)
        return -EBADMSG;
    if (!signature_is_good(k, token, (size_t) (last - token)))
        return -EBADMSG;
    const char *body = token + header_n + 1;
    if (base64_url_decode(body, (size_t) (last - body), &payload, &payload_n) < 0)
        return -EBADMSG;
    return json_parse((const char *) payload, payload_n, NULL, ret, NULL) < 0 ? -EBADMSG : 0;
}
