/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scope-bound GnuTLS objects, and its error codes as ours. Private to this folder. */
#ifndef PODIUM_PKI_GNUTLS_OBJECT_H
#define PODIUM_PKI_GNUTLS_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "podium/base/error.h"

DEFINE_CLEANUP(gnutls_x509_crt_t, gnutls_x509_crt_deinit)
DEFINE_CLEANUP(gnutls_x509_crq_t, gnutls_x509_crq_deinit)
DEFINE_CLEANUP(gnutls_x509_privkey_t, gnutls_x509_privkey_deinit)
DEFINE_CLEANUP(gnutls_pubkey_t, gnutls_pubkey_deinit)
#define _cleanup_crt_     _cleanup_(gnutls_x509_crt_deinitp)
#define _cleanup_crq_     _cleanup_(gnutls_x509_crq_deinitp)
#define _cleanup_privkey_ _cleanup_(gnutls_x509_privkey_deinitp)
#define _cleanup_pubkey_  _cleanup_(gnutls_pubkey_deinitp)

static inline void datum_free(gnutls_datum_t *d) {
    gnutls_free(d->data);
    d->data = NULL;
    d->size = 0;
}
#define _cleanup_datum_ _cleanup_(datum_free)

/* "<what>: <GnuTLS's reason>" with code. */
static inline int pki_gnutls_error(struct error *err, int code, int rc, const char *what) {
    return error_set(err, code, "%s: %s", what, gnutls_strerror(rc));
}

/* --- certificate.c: making --- */

/* First certificate of a PEM text, or (last) the last of a chain. */
int pki_crt_parse(const char *pem, bool last, gnutls_x509_crt_t *ret, struct error *err) _must_check_;
int pki_privkey_parse(const char *pem, gnutls_x509_privkey_t *ret, struct error *err) _must_check_;
int pki_privkey_new(gnutls_x509_privkey_t *ret, char **ret_pem, struct error *err) _must_check_;
/* Whether the certificate is for this private key. */
bool pki_crt_has_key(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key);
/* A self-signed authority for the key. */
int pki_ca_build(gnutls_x509_privkey_t key, const char *common_name, char **ret_pem, struct error *err) _must_check_;

/* --- authority.c --- */

struct pki_authority {
    gnutls_x509_crt_t crt;
    gnutls_x509_privkey_t key;
};

void pki_authority_finish(struct pki_authority *ca);
/* Reads and checks <dir>/ca.crt and ca.key. -ENOENT when there is no ca.crt. */
int pki_authority_load(const char *dir, struct pki_authority *ret, struct error *err) _must_check_;

struct pki_request;
int pki_leaf_build(const struct pki_authority *ca, gnutls_x509_privkey_t key, gnutls_x509_crq_t crq,
                   const struct pki_request *request, char **ret_pem, struct error *err) _must_check_;
/* Dates, serial, key identifiers and signature for a certificate that has everything else. lifetime_sec as in struct
 * pki_request. */
int pki_leaf_sign(const struct pki_authority *ca, gnutls_x509_crt_t crt, uint64_t lifetime_sec, char **ret_pem,
                  struct error *err) _must_check_;
/* Whether the certificate is signed by ca and says what the request asks for; dates not looked at. */
bool pki_leaf_matches(gnutls_x509_crt_t crt, gnutls_x509_crt_t ca, const struct pki_request *request);
/* Unix second from which the certificate should be renewed. */
int64_t pki_renew_at(gnutls_x509_crt_t crt);

#endif
