/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/http/internal.h"
#include "podium/base/alloc.h"

struct tls_generation *tls_generation_ref(struct tls_generation *g) {
    atomic_fetch_add(&g->refs, 1);
    return g;
}

void tls_generation_unref(struct tls_generation *g) {
    if (!g || atomic_fetch_sub(&g->refs, 1) != 1)
        return;
    gnutls_certificate_free_credentials(g->cred);
    gnutls_memset(g->ticket_key.data, 0, g->ticket_key.size);
    gnutls_free(g->ticket_key.data);
    free(g);
}

int tls_generation_load(const char *cert_file, const char *key_file, const char *ca_file, struct tls_generation **ret,
                        struct error *err) {
    struct tls_generation *g = xnew0(struct tls_generation);
    atomic_init(&g->refs, 1);
    int r = gnutls_certificate_allocate_credentials(&g->cred);
    if (r < 0) {
        free(g);
        return error_set(err, -ENOMEM, "cannot prepare TLS: %s", gnutls_strerror(r));
    }
    r = gnutls_session_ticket_key_generate(&g->ticket_key);
    if (r < 0) {
        tls_generation_unref(g);
        return error_set(err, -ENOMEM, "cannot make a key for TLS tickets: %s", gnutls_strerror(r));
    }
    r = gnutls_certificate_set_x509_key_file(g->cred, cert_file, key_file, GNUTLS_X509_FMT_PEM);
    if (r < 0) {
        tls_generation_unref(g);
        return error_set(err, -EINVAL, "cannot use the certificate %s with the key %s: %s", cert_file, key_file,
                         gnutls_strerror(r));
    }
    r = gnutls_certificate_set_x509_trust_file(g->cred, ca_file, GNUTLS_X509_FMT_PEM);
    if (r <= 0) {
        tls_generation_unref(g);
        return error_set(err, -EINVAL, "no authority for client certificates in %s: %s", ca_file,
                         r < 0 ? gnutls_strerror(r) : "the file holds no certificate");
    }
    *ret = g;
    return 0;
}
