/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making and comparing certificates in memory. */
#include <arpa/inet.h>
#include <string.h>

#include "orchestrator/pki/gnutls_object.h"
#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/random.h"

enum { CHAIN_MAX = 16, SERIAL_BYTES = 16, KEY_ID_BYTES_MAX = 64, PURPOSE_BYTES_MAX = 64 };

static int64_t now_sec(void) {
    return (int64_t) (now_realtime_usec() / USEC_PER_SEC);
}

int pki_crt_parse(const char *pem, bool last, gnutls_x509_crt_t *ret, struct error *err) {
    gnutls_datum_t data = {.data = (unsigned char *) pem, .size = (unsigned) strlen(pem)};
    gnutls_x509_crt_t chain[CHAIN_MAX];
    unsigned n = CHAIN_MAX;

    int rc =
        gnutls_x509_crt_list_import(chain, &n, &data, GNUTLS_X509_FMT_PEM, GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED);
    if (rc < 0 || n == 0)
        return pki_gnutls_error(err, -EINVAL, rc, "cannot read certificate");
    unsigned wanted = last ? n - 1 : 0;
    for (unsigned i = 0; i < n; i++)
        if (i != wanted)
            gnutls_x509_crt_deinit(chain[i]);
    *ret = chain[wanted];
    return 0;
}

int pki_privkey_parse(const char *pem, gnutls_x509_privkey_t *ret, struct error *err) {
    gnutls_datum_t data = {.data = (unsigned char *) pem, .size = (unsigned) strlen(pem)};
    _cleanup_privkey_ gnutls_x509_privkey_t key = NULL;

    int rc = gnutls_x509_privkey_init(&key);
    if (rc >= 0)
        rc = gnutls_x509_privkey_import2(key, &data, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (rc < 0)
        return pki_gnutls_error(err, -EINVAL, rc, "cannot read private key");
    *ret = steal(&key);
    return 0;
}

int pki_privkey_new(gnutls_x509_privkey_t *ret, char **ret_pem, struct error *err) {
    _cleanup_privkey_ gnutls_x509_privkey_t key = NULL;
    gnutls_datum_t pem = {0};

    int rc = gnutls_x509_privkey_init(&key);
    if (rc >= 0)
        rc = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    if (rc >= 0)
        rc = gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL, GNUTLS_PKCS_PLAIN, &pem);
    if (rc < 0)
        return pki_gnutls_error(err, -EPROTO, rc, "cannot make a private key");
    *ret_pem = xstrndup((char *) pem.data, pem.size);
    explicit_bzero(pem.data, pem.size);
    datum_free(&pem);
    *ret = steal(&key);
    return 0;
}

bool pki_crt_has_key(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key) {
    unsigned char of_crt[KEY_ID_BYTES_MAX], of_key[KEY_ID_BYTES_MAX];
    size_t n_crt = sizeof(of_crt), n_key = sizeof(of_key);

    return gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, of_crt, &n_crt) >= 0 &&
           gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, of_key, &n_key) >= 0 && n_crt == n_key &&
           memcmp(of_crt, of_key, n_crt) == 0;
}

/* Version, serial, dates and the key identifiers; everything every certificate has. */
static int set_basics(gnutls_x509_crt_t crt, gnutls_x509_crt_t issuer, int64_t not_before, int64_t not_after) {
    unsigned char serial[SERIAL_BYTES], id[KEY_ID_BYTES_MAX];
    size_t n = sizeof(id);

    random_bytes(serial, sizeof(serial));
    serial[0] = (serial[0] & 0x7f) | 0x40; /* positive, and of a fixed length (RFC 5280 4.1.2.2) */
    int rc = gnutls_x509_crt_set_version(crt, 3);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
    if (rc >= 0)
        rc = gnutls_x509_crt_set_activation_time(crt, (time_t) not_before);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_expiration_time(crt, (time_t) not_after);
    if (rc >= 0)
        rc = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA1, id, &n);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_subject_key_id(crt, id, n);
    n = sizeof(id);
    if (rc >= 0 && issuer)
        rc = gnutls_x509_crt_get_subject_key_id(issuer, id, &n, NULL);
    if (rc >= 0 && issuer)
        rc = gnutls_x509_crt_set_authority_key_id(crt, id, n);
    return rc;
}

static int add_name(gnutls_x509_crt_t crt, const char *oid, const char *value) {
    return gnutls_x509_crt_set_dn_by_oid(crt, oid, 0, value, (unsigned) strlen(value));
}

static int export_pem(gnutls_x509_crt_t crt, char **ret_pem, struct error *err) {
    _cleanup_datum_ gnutls_datum_t pem = {0};
    int rc = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem);

    if (rc < 0)
        return pki_gnutls_error(err, -EPROTO, rc, "cannot write certificate");
    *ret_pem = xstrndup((char *) pem.data, pem.size);
    return 0;
}

int pki_ca_build(gnutls_x509_privkey_t key, const char *common_name, char **ret_pem, struct error *err) {
    _cleanup_crt_ gnutls_x509_crt_t crt = NULL;
    const int64_t now = now_sec(), start = now - (int64_t) PKI_CA_BACKDATE_SEC;

    int rc = gnutls_x509_crt_init(&crt);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_key(crt, key);
    if (rc >= 0)
        rc = set_basics(crt, NULL, start, now + (int64_t) PKI_CA_LIFETIME_SEC);
    if (rc >= 0)
        rc = add_name(crt, GNUTLS_OID_X520_COMMON_NAME, common_name);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_basic_constraints(crt, 1, -1);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN |
                                                    GNUTLS_KEY_DIGITAL_SIGNATURE);
    if (rc >= 0)
        rc = gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
    if (rc < 0)
        return pki_gnutls_error(err, -EPROTO, rc, "cannot make the authority's certificate");
    return export_pem(crt, ret_pem, err);
}

/* Text to the 4 or 16 bytes of a subject alternative name; 0 when it is no address. */
static unsigned address_bytes(const char *text, unsigned char out[16]) {
    if (inet_pton(AF_INET, text, out) == 1)
        return 4;
    return inet_pton(AF_INET6, text, out) == 1 ? 16 : 0;
}

static int check_request(const struct pki_request *request, struct error *err) {
    unsigned char address[16];

    if (!request->common_name || !*request->common_name)
        return error_set(err, -EINVAL, "a certificate needs a common name");
    if (!request->server && !request->client)
        return error_set(err, -EINVAL, "certificate for %s: neither for servers nor for clients", request->common_name);
    for (size_t i = 0; i < strv_len(request->dns_names); i++)
        if (!*request->dns_names[i] || strpbrk(request->dns_names[i], " /:@"))
            return error_set(err, -EINVAL, "\"%s\" is no DNS name", request->dns_names[i]);
    for (size_t i = 0; i < strv_len(request->ip_addresses); i++)
        if (!address_bytes(request->ip_addresses[i], address))
            return error_set(err, -EINVAL, "\"%s\" is no IP address", request->ip_addresses[i]);
    return 0;
}

static int set_subject(gnutls_x509_crt_t crt, const struct pki_request *request) {
    int rc = 0;

    for (size_t i = 0; rc >= 0 && i < strv_len(request->organizations); i++)
        rc = add_name(crt, GNUTLS_OID_X520_ORGANIZATION_NAME, request->organizations[i]);
    if (rc >= 0)
        rc = add_name(crt, GNUTLS_OID_X520_COMMON_NAME, request->common_name);
    for (size_t i = 0; rc >= 0 && i < strv_len(request->dns_names); i++)
        rc = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, request->dns_names[i],
                                                  (unsigned) strlen(request->dns_names[i]), GNUTLS_FSAN_APPEND);
    for (size_t i = 0; rc >= 0 && i < strv_len(request->ip_addresses); i++) {
        unsigned char address[16];
        unsigned n = address_bytes(request->ip_addresses[i], address);
        rc = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, address, n, GNUTLS_FSAN_APPEND);
    }
    return rc;
}

static int set_usage(gnutls_x509_crt_t crt, const struct pki_request *request) {
    int rc = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);

    if (rc >= 0)
        rc = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
    if (rc >= 0 && request->server)
        rc = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
    if (rc >= 0 && request->client)
        rc = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_CLIENT, 0);
    return rc;
}

/* Only the key: gnutls_x509_crt_set_crq() would copy the requester's subject, too. */
static int set_requested_key(gnutls_x509_crt_t crt, gnutls_x509_crq_t crq) {
    _cleanup_pubkey_ gnutls_pubkey_t public = NULL;
    int rc = gnutls_pubkey_init(&public);

    if (rc >= 0)
        rc = gnutls_pubkey_import_x509_crq(public, crq, 0);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_pubkey(crt, public);
    return rc;
}

int pki_leaf_sign(const struct pki_authority *ca, gnutls_x509_crt_t crt, uint64_t lifetime_sec, char **ret_pem,
                  struct error *err) {
    uint64_t lifetime = lifetime_sec ? lifetime_sec : PKI_LEAF_LIFETIME_SEC;
    int64_t now = now_sec(), ca_end = (int64_t) gnutls_x509_crt_get_expiration_time(ca->crt);
    int64_t end = lifetime < (uint64_t) (ca_end - now) ? now + (int64_t) lifetime : ca_end;

    int rc = set_basics(crt, ca->crt, now - (int64_t) PKI_BACKDATE_SEC, end);
    if (rc >= 0)
        rc = gnutls_x509_crt_sign2(crt, ca->crt, ca->key, GNUTLS_DIG_SHA256, 0);
    return rc < 0 ? pki_gnutls_error(err, -EPROTO, rc, "cannot make a certificate") : export_pem(crt, ret_pem, err);
}

int pki_leaf_build(const struct pki_authority *ca, gnutls_x509_privkey_t key, gnutls_x509_crq_t crq,
                   const struct pki_request *request, char **ret_pem, struct error *err) {
    _cleanup_crt_ gnutls_x509_crt_t crt = NULL;

    int r = check_request(request, err);
    if (r < 0)
        return r;
    int rc = gnutls_x509_crt_init(&crt);
    if (rc >= 0 && key)
        rc = gnutls_x509_crt_set_key(crt, key);
    else if (rc >= 0)
        rc = set_requested_key(crt, crq);
    if (rc >= 0)
        rc = set_subject(crt, request);
    if (rc >= 0)
        rc = set_usage(crt, request);
    r = rc < 0 ? pki_gnutls_error(err, -EPROTO, rc, "cannot make a certificate")
               : pki_leaf_sign(ca, crt, request->lifetime_sec, ret_pem, err);
    return r < 0 ? error_prefix(err, r, "%s", request->common_name) : 0;
}

/* The certificate's alternative names are exactly those asked for, in that order. */
static bool alternative_names_match(gnutls_x509_crt_t crt, const struct pki_request *request) {
    size_t n_dns = strv_len(request->dns_names), n_ip = strv_len(request->ip_addresses);

    for (unsigned i = 0;; i++) {
        unsigned char name[256];
        unsigned char address[16];
        size_t n = sizeof(name);
        int type = gnutls_x509_crt_get_subject_alt_name(crt, i, name, &n, NULL);

        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            return i == n_dns + n_ip;
        if (type < 0 || i >= n_dns + n_ip)
            return false;
        if (i < n_dns) {
            if (type != GNUTLS_SAN_DNSNAME || n != strlen(request->dns_names[i]) ||
                memcmp(name, request->dns_names[i], n) != 0)
                return false;
        } else if (type != GNUTLS_SAN_IPADDRESS || n != address_bytes(request->ip_addresses[i - n_dns], address) ||
                   memcmp(name, address, n) != 0) {
            return false;
        }
    }
}

static bool has_purpose(gnutls_x509_crt_t crt, const char *oid) {
    for (unsigned i = 0;; i++) {
        char purpose[PURPOSE_BYTES_MAX];
        size_t n = sizeof(purpose);

        if (gnutls_x509_crt_get_key_purpose_oid(crt, i, purpose, &n, NULL) < 0)
            return false;
        if (strcmp(purpose, oid) == 0)
            return true;
    }
}

bool pki_leaf_matches(gnutls_x509_crt_t crt, gnutls_x509_crt_t ca, const struct pki_request *request) {
    _cleanup_(pki_identity_finish) struct pki_identity identity = {0};
    unsigned status = 0;

    if (gnutls_x509_crt_verify(crt, &ca, 1, GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status) < 0 || status != 0)
        return false;
    if (pki_identity_from_crt(crt, &identity, NULL) < 0 || strcmp(identity.common_name, request->common_name) != 0)
        return false;
    if (strv_len(identity.organizations) != strv_len(request->organizations))
        return false;
    for (size_t i = 0; i < strv_len(request->organizations); i++)
        if (strcmp(identity.organizations[i], request->organizations[i]) != 0)
            return false;
    return alternative_names_match(crt, request) && has_purpose(crt, GNUTLS_KP_TLS_WWW_SERVER) == request->server &&
           has_purpose(crt, GNUTLS_KP_TLS_WWW_CLIENT) == request->client;
}

int64_t pki_renew_at(gnutls_x509_crt_t crt) {
    int64_t start = (int64_t) gnutls_x509_crt_get_activation_time(crt) + (int64_t) PKI_BACKDATE_SEC;
    int64_t end = (int64_t) gnutls_x509_crt_get_expiration_time(crt);

    return end > start ? start + (end - start) / 3 * 2 : 0;
}
