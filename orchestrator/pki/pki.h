/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cluster's certificates: an embedded authority, short-lived leaf certificates, and what join tokens need.
 *
 * What it is. One self-signed authority per cluster (ECDSA P-256, ten years) in <dir>/ca.crt and <dir>/ca.key, and
 * leaf certificates of a day signed by it, renewed in-process for ever by calling pki_ensure() now and then.
 * Subjects follow Kubernetes: CN is the user name, each O is a group.
 *
 * Invariants. Private keys are mode 0600 and never appear half-written: files are replaced by rename. A certificate
 * and its key that do not belong together (a crash between the two renames) are re-issued, except for the authority:
 * an authority whose key is missing is an error for a person to look at, never silently replaced.
 *
 * Ownership. PEM texts returned are the caller's to free(); those holding a key should go through pki_key_free().
 *
 * Errors. -EINVAL (bad request or unreadable PEM), -ENOKEY (ca.key missing), -EBADMSG (key and certificate differ),
 * -EPROTO (GnuTLS failed; the text says how), file errors.
 *
 * Threads. No state of its own: every function may be called by any thread. Folders are guarded by a lock file
 * (flock), so several processes may ensure the same folder.
 */
#ifndef PODIUM_PKI_H
#define PODIUM_PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "podium/base/error.h"

#define PKI_CA_LIFETIME_SEC   (10ull * 365 * 24 * 3600)
#define PKI_LEAF_LIFETIME_SEC (24ull * 3600)
#define PKI_BACKDATE_SEC      300ull /* certificates start this much in the past: clocks of nodes differ */
#define PKI_CA_BACKDATE_SEC                                                                                            \
    (10ull * 365 * 24 * 3600) /* and the authority this much: it cannot be made anew for a clock set back */
#define PKI_PEM_BYTES_MAX   (256u * 1024u)
#define PKI_SHA256_SIZE     32
#define PKI_SHA256_HEX_SIZE 65 /* with the NUL */
#define PKI_JOIN_TOKEN_SIZE 24 /* "abcdef.0123456789abcdef" with the NUL, the shape of Kubernetes bootstrap tokens */

/* What a certificate is to say. Vectors are NULL-terminated; a NULL vector is empty. Everything is borrowed. */
struct pki_request {
    const char *common_name;    /* CN: the user, e.g. "system:node:n1"; required */
    char *const *organizations; /* O: the groups, e.g. "system:nodes" */
    char *const *dns_names;     /* subject alternative names */
    char *const *ip_addresses;  /* same, as text, IPv4 or IPv6 */
    bool server;                /* usable by a TLS server */
    bool client;                /* usable by a TLS client; at least one of both */
    uint64_t lifetime_sec;      /* 0: PKI_LEAF_LIFETIME_SEC; never beyond the authority's own end */
};

/* --- the authority --- */

/* Makes dir (0755) with ca.crt (0644) and ca.key (0600) unless they are there. Returns 1 when made, 0 when found. A
 * found authority is checked: key present and matching, certificate a CA and not expired. */
int pki_ca_ensure(const char *dir, const char *common_name, struct error *err) _must_check_;
/* SHA-256 of the DER SubjectPublicKeyInfo of <dir>/ca.crt, lower-case hex: what a joining node pins ("sha256:" + it
 * is kubeadm's --discovery-token-ca-cert-hash). */
int pki_ca_hash(const char *dir, char out[PKI_SHA256_HEX_SIZE], struct error *err) _must_check_;
/* The same for a certificate in hand; the PEM may hold a chain: the last certificate counts. */
int pki_ca_hash_pem(const char *ca_pem, char out[PKI_SHA256_HEX_SIZE], struct error *err) _must_check_;

/* --- leaf certificates --- */

/* Makes a key and a certificate for it, signed by the authority in ca_dir. */
int pki_issue(const char *ca_dir, const struct pki_request *request, char **ret_cert_pem, char **ret_key_pem,
              struct error *err) _must_check_;
/* Writes dir/name.crt (0644) and dir/name.key (0600), dir made if absent. Returns 1 when (re)issued, 0 when what is
 * there is still good: signed by this authority, key matching, subject, names and usages as requested, less than two
 * thirds of its life gone, and living no longer than requested. */
int pki_ensure(const char *ca_dir, const char *dir, const char *name, const struct pki_request *request,
               struct error *err) _must_check_;

/* For nodes that keep their key to themselves: the node makes a key and a signing request, the server signs what *it*
 * decided (subject, names and usages come from `request`; only the public key is taken from the CSR, whose own
 * signature is checked). */
int pki_csr_new(const char *common_name, char **ret_csr_pem, char **ret_key_pem, struct error *err) _must_check_;
int pki_csr_sign(const char *ca_dir, const char *csr_pem, const struct pki_request *request, char **ret_cert_pem,
                 struct error *err) _must_check_;
/* Writes a certificate and key got elsewhere as pki_ensure() does; -EBADMSG if they do not belong together. */
int pki_install(const char *dir, const char *name, const char *cert_pem, const char *key_pem,
                struct error *err) _must_check_;
/* Seconds until two thirds of the certificate's life have passed; 0 when it is due, expired, absent or unreadable. */
uint64_t pki_renew_in_sec(const char *cert_path);

/* --- signing requests of others (CertificateSigningRequests) --- */

/* What a signing request says. Vectors are NULL-terminated, never NULL after success; common_name "" when absent. */
struct pki_csr {
    char *common_name;
    char **organizations, **dns_names, **ip_addresses, **emails, **uris;
};
void pki_csr_finish(struct pki_csr *csr);
/* Reads the first request of a PEM text and checks its own signature. -EINVAL with the reason. */
int pki_csr_read(const char *csr_pem, struct pki_csr *ret, struct error *err) _must_check_;
/* A certificate with the request's own subject and alternative names, for the usages (named as in certificates.k8s.io:
 * "client auth", "digital signature" …; -EINVAL for those no certificate of ours has). Who may have it is the caller's
 * decision. The lifetime never goes beyond the authority's own end. */
int pki_csr_issue(const char *ca_dir, const char *csr_pem, char *const *usages, uint64_t lifetime_sec,
                  char **ret_cert_pem, struct error *err) _must_check_;
/* Nothing but certificates, and at least one: else -EINVAL, worded as kube-apiserver does. */
int pki_certificates_check(const char *pem, struct error *err) _must_check_;
/* End of validity of the first certificate of a text, Unix seconds. */
int pki_expiry_pem(const char *pem, int64_t *ret_sec, struct error *err) _must_check_;

/* --- reading certificates --- */

struct pki_identity {
    char *common_name;    /* never NULL after success */
    char **organizations; /* never NULL after success; in the certificate's order */
    int64_t expires_sec;  /* Unix time */
};

/* Frees the members; usable with _cleanup_. */
void pki_identity_finish(struct pki_identity *identity);

/* Subject of a certificate. These read, they do not verify: only pass what TLS or the caller verified. -EINVAL when
 * there is no CN or a name holds a NUL byte. */
int pki_identity_from_crt(gnutls_x509_crt_t crt, struct pki_identity *ret, struct error *err) _must_check_;
int pki_identity_from_der(const void *der, size_t n, struct pki_identity *ret, struct error *err) _must_check_;
int pki_identity_from_pem(const char *pem, struct pki_identity *ret, struct error *err) _must_check_;
/* The peer of a TLS session: verifies its chain against the session's credentials first (signature, dates, purpose).
 * host NULL: the peer is a client; otherwise it is a server and host must match one of its names or addresses, except
 * for "", which leaves the name unchecked. -ENODATA when the peer showed no certificate, -EACCES with the reason when
 * it is not to be trusted. */
int pki_peer_identity(gnutls_session_t session, const char *host, struct pki_identity *ret,
                      struct error *err) _must_check_;
/* End of validity of the first certificate of a file, Unix seconds. */
int pki_expiry(const char *cert_path, int64_t *ret_sec, struct error *err) _must_check_;

/* --- keys for signing tokens (service accounts) --- */

/* An ECDSA P-256 private key in PKCS#8 PEM at path, 0600, made if absent. Returns 1 when made. The public half goes to
 * <path>.pub. Signing itself comes with service account tokens. */
int pki_signing_key_ensure(const char *path, struct error *err) _must_check_;

/* --- small cryptography --- */

void pki_sha256(const void *p, size_t n, uint8_t out[PKI_SHA256_SIZE]);
void pki_sha256_hex(const void *p, size_t n, char out[PKI_SHA256_HEX_SIZE]);
/* A join token "[a-z0-9]{6}.[a-z0-9]{16}": a public id and a secret of 82 bits. */
void pki_join_token_new(char out[PKI_JOIN_TOKEN_SIZE]);
/* n_bytes of randomness as lower-case hex; the caller frees. */
char *pki_random_hex(size_t n_bytes);
/* Compares secrets in time that depends only on the length of b (the one under attack). NULL equals nothing. */
bool pki_secret_equal(const char *a, const char *b);
/* Wipes and frees a PEM text holding a key. NULL is fine. */
void pki_key_free(char *key_pem);
DEFINE_CLEANUP(char *, pki_key_free)
#define _cleanup_pki_key_ _cleanup_(pki_key_freep)

#endif
