/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/ca_hash.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <string.h>

/* A gnutls code; the DER text is *spki's. */
static int export_key(const char *pem, gnutls_x509_crt_t crt, gnutls_pubkey_t key, gnutls_datum_t *spki) {
    const gnutls_datum_t text = {(unsigned char *) pem, (unsigned) strlen(pem)};
    int r = gnutls_x509_crt_import(crt, &text, GNUTLS_X509_FMT_PEM);
    if (r >= 0)
        r = gnutls_pubkey_import_x509(key, crt, 0);
    return r >= 0 ? gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, spki) : r;
}

int ca_hash(const char *pem, char out[CA_HASH_SIZE], struct error *err) {
    gnutls_x509_crt_t crt;
    gnutls_pubkey_t key;
    gnutls_datum_t spki = {NULL, 0};
    unsigned char hash[32];
    if (gnutls_x509_crt_init(&crt) < 0 || gnutls_pubkey_init(&key) < 0)
        abort(); /* out of memory */
    int r = export_key(pem, crt, key, &spki);
    if (r >= 0)
        r = gnutls_hash_fast(GNUTLS_DIG_SHA256, spki.data, spki.size, hash);
    gnutls_free(spki.data);
    gnutls_pubkey_deinit(key);
    gnutls_x509_crt_deinit(crt);
    if (r < 0)
        return error_set(err, -EINVAL, "the authority's certificate cannot be read: %s", gnutls_strerror(r));
    memcpy(out, "sha256:", 8);
    for (size_t i = 0; i < sizeof(hash); i++)
        snprintf(out + 7 + 2 * i, 3, "%02x", hash[i]);
    return 0;
}
