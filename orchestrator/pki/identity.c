/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who a certificate speaks for. */
#include <string.h>

#include "orchestrator/pki/gnutls_object.h"
#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"

/* ASN.1 tags of the strings taken: UTF8String, PrintableString, IA5String. Others have encodings nobody needs. */
static bool tag_is_text(unsigned long tag) {
    return tag == 12 || tag == 19 || tag == 22;
}

void pki_identity_finish(struct pki_identity *identity) {
    free(identity->common_name);
    strv_free(identity->organizations);
    *identity = (struct pki_identity){0};
}

/* Takes one attribute of the subject if it is CN or O. The decoded bytes are read, not the RFC 4514 text, which
 * escapes commas and other characters that are legal in names. */
static int take_attribute(const gnutls_x509_ava_st *ava, struct pki_identity *out, struct error *err) {
    const char *oid = (const char *) ava->oid.data;
    bool is_cn = strcmp(oid, GNUTLS_OID_X520_COMMON_NAME) == 0;

    if (!is_cn && strcmp(oid, GNUTLS_OID_X520_ORGANIZATION_NAME) != 0)
        return 0;
    if (!tag_is_text(ava->value_tag) || ava->value.size == 0 || memchr(ava->value.data, 0, ava->value.size))
        return error_set(err, -EINVAL, "certificate subject holds a name that is not plain text");
    char *value = xstrndup((const char *) ava->value.data, ava->value.size);
    if (!is_cn) {
        strv_push(&out->organizations, value);
        return 0;
    }
    free(out->common_name); /* the last CN is the most specific */
    out->common_name = value;
    return 0;
}

int pki_identity_from_crt(gnutls_x509_crt_t crt, struct pki_identity *ret, struct error *err) {
    _cleanup_(pki_identity_finish) struct pki_identity out = {.organizations = strv_new()};
    gnutls_x509_dn_t dn;

    int rc = gnutls_x509_crt_get_subject(crt, &dn);
    if (rc < 0)
        return pki_gnutls_error(err, -EINVAL, rc, "cannot read the certificate's subject");
    for (int rdn = 0;; rdn++) {
        gnutls_x509_ava_st ava;
        int ava_index = 0;
        for (; (rc = gnutls_x509_dn_get_rdn_ava(dn, rdn, ava_index, &ava)) >= 0; ava_index++) {
            int r = take_attribute(&ava, &out, err);
            if (r < 0)
                return r;
        }
        if (ava_index == 0)
            break;
    }
    if (!out.common_name)
        return error_set(err, -EINVAL, "certificate has no common name");
    out.expires_sec = (int64_t) gnutls_x509_crt_get_expiration_time(crt);
    *ret = out;
    out = (struct pki_identity){0};
    return 0;
}

int pki_identity_from_der(const void *der, size_t n, struct pki_identity *ret, struct error *err) {
    _cleanup_crt_ gnutls_x509_crt_t crt = NULL;
    gnutls_datum_t data = {.data = (unsigned char *) der, .size = (unsigned) n};

    if (n > PKI_PEM_BYTES_MAX)
        return error_set(err, -EINVAL, "certificate larger than %u bytes", PKI_PEM_BYTES_MAX);
    int rc = gnutls_x509_crt_init(&crt);
    if (rc >= 0)
        rc = gnutls_x509_crt_import(crt, &data, GNUTLS_X509_FMT_DER);
    if (rc < 0)
        return pki_gnutls_error(err, -EINVAL, rc, "cannot read certificate");
    return pki_identity_from_crt(crt, ret, err);
}

int pki_identity_from_pem(const char *pem, struct pki_identity *ret, struct error *err) {
    _cleanup_crt_ gnutls_x509_crt_t crt = NULL;
    int r = pki_crt_parse(pem, false, &crt, err);

    return r < 0 ? r : pki_identity_from_crt(crt, ret, err);
}

int pki_peer_identity(gnutls_session_t session, const char *host, struct pki_identity *ret, struct error *err) {
    gnutls_typed_vdata_st data[2] = {
        {.type = GNUTLS_DT_KEY_PURPOSE_OID,
         .data = (unsigned char *) (host ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT)},
        {.type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *) host},
    };
    unsigned status = 0, n = 0;

    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &n);
    if (!chain || n == 0)
        return error_set(err, -ENODATA, "the peer showed no certificate");
    int rc = gnutls_certificate_verify_peers(session, data, host && *host ? 2 : 1, &status);
    if (rc < 0)
        return pki_gnutls_error(err, -EACCES, rc, "cannot verify the peer's certificate");
    if (status != 0) {
        _cleanup_datum_ gnutls_datum_t text = {0};
        if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) < 0)
            return error_set(err, -EACCES, "the peer's certificate is not to be trusted");
        return error_set(err, -EACCES, "%.*s", (int) text.size, text.data);
    }
    return pki_identity_from_der(chain[0].data, chain[0].size, ret, err);
}

int pki_expiry(const char *cert_path, int64_t *ret_sec, struct error *err) {
    _cleanup_strbuf_ struct strbuf pem = STRBUF_INIT;
    _cleanup_crt_ gnutls_x509_crt_t crt = NULL;

    int r = file_read(cert_path, PKI_PEM_BYTES_MAX, &pem, err);
    if (r < 0)
        return r;
    r = pki_crt_parse(strbuf_str(&pem), false, &crt, err);
    if (r < 0)
        return error_prefix(err, r, "%s", cert_path);
    *ret_sec = (int64_t) gnutls_x509_crt_get_expiration_time(crt);
    return 0;
}
