/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Signing requests of others: what they ask for, and certificates that say it. */
#include <arpa/inet.h>
#include <string.h>

#include "orchestrator/pki/gnutls_object.h"
#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"

enum { NAME_BYTES_MAX = 1024, TEXT_NAMES_MAX = 256 };

/* --- reading --- */

void pki_csr_finish(struct pki_csr *csr) {
    free(csr->common_name);
    strv_free(csr->organizations);
    strv_free(csr->dns_names);
    strv_free(csr->ip_addresses);
    strv_free(csr->emails);
    strv_free(csr->uris);
    *csr = (struct pki_csr){0};
}

static int parse(const char *pem, gnutls_x509_crq_t *ret, struct error *err) {
    gnutls_datum_t data = {.data = (unsigned char *) pem, .size = (unsigned) strnlen(pem, PKI_PEM_BYTES_MAX + 1)};
    _cleanup_crq_ gnutls_x509_crq_t crq = NULL;

    if (data.size > PKI_PEM_BYTES_MAX)
        return error_set(err, -EINVAL, "signing request larger than %u bytes", PKI_PEM_BYTES_MAX);
    int rc = gnutls_x509_crq_init(&crq);
    if (rc >= 0)
        rc = gnutls_x509_crq_import(crq, &data, GNUTLS_X509_FMT_PEM);
    if (rc < 0)
        return pki_gnutls_error(err, -EINVAL, rc, "x509: malformed certificate request");
    rc = gnutls_x509_crq_verify(crq, 0);
    if (rc < 0)
        return pki_gnutls_error(err, -EINVAL, rc, "x509: verification failure");
    *ret = steal(&crq);
    return 0;
}

/* A name of the subject, or NULL behind the last. */
static char *subject_name(gnutls_x509_crq_t crq, const char *oid, unsigned i, struct error *err, int *ret_error) {
    char text[NAME_BYTES_MAX];
    size_t n = sizeof(text);
    int rc = gnutls_x509_crq_get_dn_by_oid(crq, oid, (int) i, 0, text, &n);

    *ret_error = 0;
    if (rc == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return NULL;
    if (rc < 0 || n == 0 || memchr(text, 0, n) || i >= TEXT_NAMES_MAX) {
        *ret_error = error_set(err, -EINVAL, "the subject of the request holds a name that is not plain text");
        return NULL;
    }
    return xstrndup(text, n);
}

static int read_subject(gnutls_x509_crq_t crq, struct pki_csr *out, struct error *err) {
    char *name;
    int r;

    for (unsigned i = 0; (name = subject_name(crq, GNUTLS_OID_X520_ORGANIZATION_NAME, i, err, &r)); i++)
        strv_push(&out->organizations, name);
    for (unsigned i = 0; r == 0 && (name = subject_name(crq, GNUTLS_OID_X520_COMMON_NAME, i, err, &r)); i++) {
        free(out->common_name);
        out->common_name = name;
    }
    return r;
}

/* n bytes of an address as text, NULL when they are none. */
static char *address_text(const unsigned char *bytes, size_t n) {
    char text[INET6_ADDRSTRLEN];

    if ((n != 4 && n != 16) || !inet_ntop(n == 4 ? AF_INET : AF_INET6, bytes, text, sizeof(text)))
        return NULL;
    return xstrdup(text);
}

static int add_alternative(struct pki_csr *out, int type, const unsigned char *name, size_t n, struct error *err) {
    char ***list = type == GNUTLS_SAN_DNSNAME      ? &out->dns_names
                   : type == GNUTLS_SAN_RFC822NAME ? &out->emails
                   : type == GNUTLS_SAN_URI        ? &out->uris
                   : type == GNUTLS_SAN_IPADDRESS  ? &out->ip_addresses
                                                   : NULL;
    char *text = !list                          ? NULL
                 : type == GNUTLS_SAN_IPADDRESS ? address_text(name, n)
                 : memchr(name, 0, n)           ? NULL
                                                : xstrndup((const char *) name, n);
    if (!text)
        return error_set(err, -EINVAL, "the request has an alternative name that is of no use here");
    strv_push(list, text);
    return 0;
}

static int read_alternatives(gnutls_x509_crq_t crq, struct pki_csr *out, struct error *err) {
    for (unsigned i = 0; i < TEXT_NAMES_MAX; i++) {
        unsigned char name[NAME_BYTES_MAX];
        unsigned kind, critical;
        size_t n = sizeof(name);
        int type = gnutls_x509_crq_get_subject_alt_name(crq, i, name, &n, &kind, &critical);

        if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
            return 0;
        if (type < 0)
            return pki_gnutls_error(err, -EINVAL, type, "cannot read the request's alternative names");
        int r = add_alternative(out, type, name, n, err);
        if (r < 0)
            return r;
    }
    return error_set(err, -EINVAL, "the request has more than %d alternative names", TEXT_NAMES_MAX);
}

int pki_csr_read(const char *csr_pem, struct pki_csr *ret, struct error *err) {
    _cleanup_(pki_csr_finish) struct pki_csr out = {.organizations = strv_new(),
                                                    .dns_names = strv_new(),
                                                    .ip_addresses = strv_new(),
                                                    .emails = strv_new(),
                                                    .uris = strv_new()};
    _cleanup_crq_ gnutls_x509_crq_t crq = NULL;

    int r = parse(csr_pem, &crq, err);
    if (r >= 0)
        r = read_subject(crq, &out, err);
    if (r >= 0)
        r = read_alternatives(crq, &out, err);
    if (r < 0)
        return r;
    if (!out.common_name)
        out.common_name = xstrdup("");
    *ret = out;
    out = (struct pki_csr){0};
    return 0;
}

/* --- certificates as text --- */

int pki_certificates_check(const char *pem, struct error *err) {
    static const char dashes[] = "-----BEGIN ", type[] = "CERTIFICATE-----";
    const char *at = pem;
    size_t n = 0;

    for (; (at = strstr(at, dashes)); n++) {
        at += sizeof(dashes) - 1;
        if (strncmp(at, type, sizeof(type) - 1) != 0)
            return error_set(err, -EINVAL, "only CERTIFICATE PEM blocks are allowed, found \"%.*s\"",
                             (int) strcspn(at, "-\n"), at);
        const char *line = at + sizeof(type) - 1, *end = strstr(line, "-----END");
        if (end && memchr(line, ':', (size_t) (end - line)))
            return error_set(err, -EINVAL, "no PEM block headers are permitted");
    }
    if (n == 0)
        return error_set(err, -EINVAL, "must contain at least one CERTIFICATE PEM block");
    _cleanup_crt_ gnutls_x509_crt_t crt = NULL;
    return pki_crt_parse(pem, false, &crt, err);
}

int pki_expiry_pem(const char *pem, int64_t *ret_sec, struct error *err) {
    _cleanup_crt_ gnutls_x509_crt_t crt = NULL;
    int r = pki_crt_parse(pem, false, &crt, err);

    if (r >= 0)
        *ret_sec = (int64_t) gnutls_x509_crt_get_expiration_time(crt);
    return r < 0 ? r : 0;
}

/* --- signing --- */

/* The names of certificates.k8s.io for usages (RFC 5280 4.2.1.3 and 4.2.1.12). */
static const struct usage {
    const char *name;
    unsigned bits;
    const char *purpose;
} usage_names[] = {
    {"signing", GNUTLS_KEY_DIGITAL_SIGNATURE, NULL},
    {"digital signature", GNUTLS_KEY_DIGITAL_SIGNATURE, NULL},
    {"content commitment", GNUTLS_KEY_NON_REPUDIATION, NULL},
    {"key encipherment", GNUTLS_KEY_KEY_ENCIPHERMENT, NULL},
    {"key agreement", GNUTLS_KEY_KEY_AGREEMENT, NULL},
    {"data encipherment", GNUTLS_KEY_DATA_ENCIPHERMENT, NULL},
    {"client auth", 0, GNUTLS_KP_TLS_WWW_CLIENT},
    {"server auth", 0, GNUTLS_KP_TLS_WWW_SERVER},
};

static int set_usages(gnutls_x509_crt_t crt, char *const *usages, struct error *err) {
    unsigned bits = 0;
    int rc = 0;

    for (size_t i = 0; rc >= 0 && i < strv_len(usages); i++) {
        const struct usage *u = NULL;
        for (size_t k = 0; !u && k < ARRAY_LEN(usage_names); k++)
            u = strcmp(usage_names[k].name, usages[i]) == 0 ? &usage_names[k] : NULL;
        if (!u)
            return error_set(err, -EINVAL, "certificates for \"%s\" are not made here", usages[i]);
        bits |= u->bits;
        if (u->purpose)
            rc = gnutls_x509_crt_set_key_purpose_oid(crt, u->purpose, 0);
    }
    if (rc >= 0 && bits)
        rc = gnutls_x509_crt_set_key_usage(crt, bits);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
    return rc < 0 ? pki_gnutls_error(err, -EPROTO, rc, "cannot set the usages of a certificate") : 0;
}

int pki_csr_issue(const char *ca_dir, const char *csr_pem, char *const *usages, uint64_t lifetime_sec,
                  char **ret_cert_pem, struct error *err) {
    _cleanup_(pki_authority_finish) struct pki_authority ca = {0};
    _cleanup_crq_ gnutls_x509_crq_t crq = NULL;
    _cleanup_crt_ gnutls_x509_crt_t crt = NULL;

    int r = parse(csr_pem, &crq, err);
    if (r >= 0)
        r = pki_authority_load(ca_dir, &ca, err);
    if (r < 0)
        return r;
    int rc = gnutls_x509_crt_init(&crt);
    if (rc >= 0) /* subject and key */
        rc = gnutls_x509_crt_set_crq(crt, crq);
    if (rc >= 0)
        rc = gnutls_x509_crt_set_crq_extension_by_oid(crt, crq, GNUTLS_X509EXT_OID_SAN, 0);
    if (rc < 0 && rc != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
        return pki_gnutls_error(err, -EPROTO, rc, "cannot make a certificate of the request");
    r = set_usages(crt, usages, err);
    return r < 0 ? r : pki_leaf_sign(&ca, crt, lifetime_sec, ret_cert_pem, err);
}
