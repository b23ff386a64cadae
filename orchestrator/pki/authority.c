/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The folders: the authority's and those of leaf certificates. */
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include "orchestrator/pki/gnutls_object.h"
#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

enum { CERT_MODE = 0644, KEY_MODE = 0600, DIR_MODE = 0755 };

static int64_t now_sec(void) {
    return (int64_t) (now_realtime_usec() / USEC_PER_SEC);
}

void pki_authority_finish(struct pki_authority *ca) {
    if (ca->crt)
        gnutls_x509_crt_deinit(ca->crt);
    if (ca->key)
        gnutls_x509_privkey_deinit(ca->key);
    *ca = (struct pki_authority){0};
}

/* Makes the folder and takes its lock; the returned descriptor holds it. */
static int lock_folder(const char *dir, struct error *err) {
    int r = mkdir_parents(dir, DIR_MODE, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *path = path_join(dir, ".lock");
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, KEY_MODE);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot open %s", path);
    while (flock(fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return error_set_errno(err, -errno, "cannot lock %s", path);
    return steal_fd(&fd);
}

static int read_crt(const char *path, gnutls_x509_crt_t *ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf pem = STRBUF_INIT;

    int r = file_read(path, PKI_PEM_BYTES_MAX, &pem, err);
    if (r < 0)
        return r;
    r = pki_crt_parse(strbuf_str(&pem), false, ret, err);
    return r < 0 ? error_prefix(err, r, "%s", path) : 0;
}

static int read_key(const char *path, gnutls_x509_privkey_t *ret, struct error *err) {
    _cleanup_strbuf_ struct strbuf pem = STRBUF_INIT;

    int r = file_read(path, PKI_PEM_BYTES_MAX, &pem, err);
    if (r < 0)
        return r;
    r = pki_privkey_parse(strbuf_str(&pem), ret, err);
    if (pem.data)
        explicit_bzero(pem.data, pem.len);
    return r < 0 ? error_prefix(err, r, "%s", path) : 0;
}

int pki_authority_load(const char *dir, struct pki_authority *ret, struct error *err) {
    _cleanup_free_ char *crt_path = path_join(dir, "ca.crt"), *key_path = path_join(dir, "ca.key");
    _cleanup_(pki_authority_finish) struct pki_authority ca = {0};

    int r = read_crt(crt_path, &ca.crt, err);
    if (r < 0)
        return r;
    r = read_key(key_path, &ca.key, err);
    if (r == -ENOENT)
        return error_set(err, -ENOKEY,
                         "%s is missing while %s is there; restore it from a backup, or remove both to "
                         "start with a new authority",
                         key_path, crt_path);
    if (r < 0)
        return r;
    if (!pki_crt_has_key(ca.crt, ca.key))
        return error_set(err, -EBADMSG, "%s and %s do not belong together", crt_path, key_path);
    if (gnutls_x509_crt_get_ca_status(ca.crt, NULL) <= 0)
        return error_set(err, -EINVAL, "%s is not the certificate of an authority", crt_path);
    if ((int64_t) gnutls_x509_crt_get_expiration_time(ca.crt) <= now_sec())
        return error_set(err, -EKEYEXPIRED, "%s has expired; a new authority and joining all nodes again is needed",
                         crt_path);
    *ret = ca;
    ca = (struct pki_authority){0};
    return 0;
}

/* The key comes first: a crash in between leaves a key without a certificate, which the next call completes. */
static int ca_make(const char *crt_path, const char *key_path, const char *common_name, struct error *err) {
    _cleanup_privkey_ gnutls_x509_privkey_t key = NULL;
    _cleanup_pki_key_ char *key_pem = NULL;
    _cleanup_free_ char *crt_pem = NULL;

    int r = read_key(key_path, &key, err);
    if (r < 0 && r != -ENOENT)
        return r;
    error_clear(err);
    if (r == -ENOENT) {
        r = pki_privkey_new(&key, &key_pem, err);
        if (r >= 0)
            r = file_write_atomic(key_path, key_pem, strlen(key_pem), KEY_MODE, true, err);
        if (r < 0)
            return r;
    }
    r = pki_ca_build(key, common_name, &crt_pem, err);
    return r < 0 ? r : file_write_atomic(crt_path, crt_pem, strlen(crt_pem), CERT_MODE, true, err);
}

int pki_ca_ensure(const char *dir, const char *common_name, struct error *err) {
    _cleanup_free_ char *crt_path = path_join(dir, "ca.crt"), *key_path = path_join(dir, "ca.key");
    _cleanup_(pki_authority_finish) struct pki_authority ca = {0};
    _cleanup_close_ int lock = lock_folder(dir, err);

    if (lock < 0)
        return lock;
    if (access(crt_path, F_OK) < 0 && errno == ENOENT) {
        int r = ca_make(crt_path, key_path, common_name, err);
        return r < 0 ? r : 1;
    }
    return pki_authority_load(dir, &ca, err);
}

int pki_ca_hash_pem(const char *ca_pem, char out[PKI_SHA256_HEX_SIZE], struct error *err) {
    _cleanup_crt_ gnutls_x509_crt_t crt = NULL;
    _cleanup_pubkey_ gnutls_pubkey_t public = NULL;
    _cleanup_datum_ gnutls_datum_t der = {0};

    int r = pki_crt_parse(ca_pem, true, &crt, err);
    if (r < 0)
        return r;
    int rc = gnutls_pubkey_init(&public);
    if (rc >= 0)
        rc = gnutls_pubkey_import_x509(public, crt, 0);
    if (rc >= 0)
        rc = gnutls_pubkey_export2(public, GNUTLS_X509_FMT_DER, &der);
    if (rc < 0)
        return pki_gnutls_error(err, -EPROTO, rc, "cannot read the authority's public key");
    pki_sha256_hex(der.data, der.size, out);
    return 0;
}

int pki_ca_hash(const char *dir, char out[PKI_SHA256_HEX_SIZE], struct error *err) {
    _cleanup_free_ char *path = path_join(dir, "ca.crt");
    _cleanup_strbuf_ struct strbuf pem = STRBUF_INIT;

    int r = file_read(path, PKI_PEM_BYTES_MAX, &pem, err);
    if (r < 0)
        return r;
    r = pki_ca_hash_pem(strbuf_str(&pem), out, err);
    return r < 0 ? error_prefix(err, r, "%s", path) : 0;
}

static int issue(const struct pki_authority *ca, const struct pki_request *request, char **ret_cert_pem,
                 char **ret_key_pem, struct error *err) {
    _cleanup_privkey_ gnutls_x509_privkey_t key = NULL;
    _cleanup_pki_key_ char *key_pem = NULL;

    int r = pki_privkey_new(&key, &key_pem, err);
    if (r < 0)
        return r;
    r = pki_leaf_build(ca, key, NULL, request, ret_cert_pem, err);
    if (r < 0)
        return r;
    *ret_key_pem = steal(&key_pem);
    return 0;
}

int pki_issue(const char *ca_dir, const struct pki_request *request, char **ret_cert_pem, char **ret_key_pem,
              struct error *err) {
    _cleanup_(pki_authority_finish) struct pki_authority ca = {0};
    int r = pki_authority_load(ca_dir, &ca, err);

    return r < 0 ? r : issue(&ca, request, ret_cert_pem, ret_key_pem, err);
}

/* Writes both files; a crash in between leaves a pair that does not match, which pki_ensure() issues anew. */
static int write_pair(const char *dir, const char *name, const char *cert_pem, const char *key_pem, struct error *err) {
    _cleanup_free_ char *crt_path = xasprintf("%s/%s.crt", dir, name), *key_path = xasprintf("%s/%s.key", dir, name);

    int r = file_write_atomic(key_path, key_pem, strlen(key_pem), KEY_MODE, true, err);
    return r < 0 ? r : file_write_atomic(crt_path, cert_pem, strlen(cert_pem), CERT_MODE, true, err);
}

/* A lifetime that was made shorter counts at once; a clock that was set back looks the same, and the same helps. */
static bool lives_too_long(gnutls_x509_crt_t crt, const struct pki_request *request) {
    uint64_t lifetime = request->lifetime_sec ? request->lifetime_sec : PKI_LEAF_LIFETIME_SEC;

    return (int64_t) gnutls_x509_crt_get_expiration_time(crt) > now_sec() + (int64_t) lifetime;
}

static bool pair_is_good(const char *dir, const char *name, const struct pki_authority *ca,
                         const struct pki_request *request) {
    _cleanup_free_ char *crt_path = xasprintf("%s/%s.crt", dir, name), *key_path = xasprintf("%s/%s.key", dir, name);
    _cleanup_crt_ gnutls_x509_crt_t crt = NULL;
    _cleanup_privkey_ gnutls_x509_privkey_t key = NULL;

    return read_crt(crt_path, &crt, NULL) >= 0 && read_key(key_path, &key, NULL) >= 0 && pki_crt_has_key(crt, key) &&
           pki_leaf_matches(crt, ca->crt, request) && now_sec() < pki_renew_at(crt) && !lives_too_long(crt, request);
}

int pki_ensure(const char *ca_dir, const char *dir, const char *name, const struct pki_request *request,
               struct error *err) {
    _cleanup_(pki_authority_finish) struct pki_authority ca = {0};
    _cleanup_pki_key_ char *key_pem = NULL;
    _cleanup_free_ char *cert_pem = NULL;

    if (file_name_is_unsafe(name))
        return error_set(err, -EINVAL, "\"%s\" is no file name for a certificate", name);
    _cleanup_close_ int lock = lock_folder(dir, err);
    if (lock < 0)
        return lock;
    int r = pki_authority_load(ca_dir, &ca, err);
    if (r < 0)
        return r;
    if (pair_is_good(dir, name, &ca, request))
        return 0;
    r = issue(&ca, request, &cert_pem, &key_pem, err);
    if (r >= 0)
        r = write_pair(dir, name, cert_pem, key_pem, err);
    return r < 0 ? r : 1;
}

int pki_install(const char *dir, const char *name, const char *cert_pem, const char *key_pem, struct error *err) {
    _cleanup_crt_ gnutls_x509_crt_t crt = NULL;
    _cleanup_privkey_ gnutls_x509_privkey_t key = NULL;

    if (file_name_is_unsafe(name))
        return error_set(err, -EINVAL, "\"%s\" is no file name for a certificate", name);
    int r = pki_crt_parse(cert_pem, false, &crt, err);
    if (r >= 0)
        r = pki_privkey_parse(key_pem, &key, err);
    if (r < 0)
        return r;
    if (!pki_crt_has_key(crt, key))
        return error_set(err, -EBADMSG, "certificate and key for %s do not belong together", name);
    _cleanup_close_ int lock = lock_folder(dir, err);
    return lock < 0 ? lock : write_pair(dir, name, cert_pem, key_pem, err);
}

int pki_csr_new(const char *common_name, char **ret_csr_pem, char **ret_key_pem, struct error *err) {
    _cleanup_crq_ gnutls_x509_crq_t crq = NULL;
    _cleanup_privkey_ gnutls_x509_privkey_t key = NULL;
    _cleanup_pki_key_ char *key_pem = NULL;
    _cleanup_datum_ gnutls_datum_t pem = {0};

    int r = pki_privkey_new(&key, &key_pem, err);
    if (r < 0)
        return r;
    int rc = gnutls_x509_crq_init(&crq);
    if (rc >= 0)
        rc = gnutls_x509_crq_set_version(crq, 1);
    if (rc >= 0)
        rc = gnutls_x509_crq_set_dn_by_oid(crq, GNUTLS_OID_X520_COMMON_NAME, 0, common_name,
                                           (unsigned) strlen(common_name));
    if (rc >= 0)
        rc = gnutls_x509_crq_set_key(crq, key);
    if (rc >= 0)
        rc = gnutls_x509_crq_sign2(crq, key, GNUTLS_DIG_SHA256, 0);
    if (rc >= 0)
        rc = gnutls_x509_crq_export2(crq, GNUTLS_X509_FMT_PEM, &pem);
    if (rc < 0)
        return pki_gnutls_error(err, -EPROTO, rc, "cannot make a signing request");
    *ret_csr_pem = xstrndup((char *) pem.data, pem.size);
    *ret_key_pem = steal(&key_pem);
    return 0;
}

int pki_csr_sign(const char *ca_dir, const char *csr_pem, const struct pki_request *request, char **ret_cert_pem,
                 struct error *err) {
    _cleanup_(pki_authority_finish) struct pki_authority ca = {0};
    _cleanup_crq_ gnutls_x509_crq_t crq = NULL;
    gnutls_datum_t data = {.data = (unsigned char *) csr_pem, .size = (unsigned) strlen(csr_pem)};

    if (data.size > PKI_PEM_BYTES_MAX)
        return error_set(err, -EINVAL, "signing request larger than %u bytes", PKI_PEM_BYTES_MAX);
    int rc = gnutls_x509_crq_init(&crq);
    if (rc >= 0)
        rc = gnutls_x509_crq_import(crq, &data, GNUTLS_X509_FMT_PEM);
    if (rc >= 0)
        rc = gnutls_x509_crq_verify(crq, 0);
    if (rc < 0)
        return pki_gnutls_error(err, -EINVAL, rc, "bad signing request");
    int r = pki_authority_load(ca_dir, &ca, err);
    return r < 0 ? r : pki_leaf_build(&ca, NULL, crq, request, ret_cert_pem, err);
}

uint64_t pki_renew_in_sec(const char *cert_path) {
    _cleanup_crt_ gnutls_x509_crt_t crt = NULL;

    if (read_crt(cert_path, &crt, NULL) < 0)
        return 0;
    int64_t left = pki_renew_at(crt) - now_sec();
    if ((int64_t) gnutls_x509_crt_get_activation_time(crt) > now_sec()) /* the clock was set back */
        return 0;
    return left > 0 ? (uint64_t) left : 0;
}

int pki_signing_key_ensure(const char *path, struct error *err) {
    _cleanup_privkey_ gnutls_x509_privkey_t key = NULL;
    _cleanup_pki_key_ char *key_pem = NULL;
    _cleanup_(gnutls_pubkey_deinitp) gnutls_pubkey_t public = NULL;
    _cleanup_datum_ gnutls_datum_t pem = {0};
    _cleanup_free_ char *public_path = xasprintf("%s.pub", path);

    int r = read_key(path, &key, err);
    if (r < 0 && r != -ENOENT)
        return r;
    bool made = r == -ENOENT;
    if (made) {
        error_clear(err);
        r = pki_privkey_new(&key, &key_pem, err);
        if (r >= 0)
            r = file_write_atomic(path, key_pem, strlen(key_pem), KEY_MODE, true, err);
        if (r < 0)
            return r;
    } else if (access(public_path, F_OK) == 0) {
        return 0;
    }
    gnutls_privkey_t abstract = NULL;
    int rc = gnutls_pubkey_init(&public);
    if (rc >= 0)
        rc = gnutls_privkey_init(&abstract);
    if (rc >= 0)
        rc = gnutls_privkey_import_x509(abstract, key, 0);
    if (rc >= 0)
        rc = gnutls_pubkey_import_privkey(public, abstract, GNUTLS_KEY_DIGITAL_SIGNATURE, 0);
    if (rc >= 0)
        rc = gnutls_pubkey_export2(public, GNUTLS_X509_FMT_PEM, &pem);
    if (abstract)
        gnutls_privkey_deinit(abstract);
    if (rc < 0)
        return pki_gnutls_error(err, -EPROTO, rc, "cannot write a public key");
    r = file_write_atomic(public_path, pem.data, pem.size, CERT_MODE, true, err);
    return r < 0 ? r : made;
}
