/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a node gets its certificate and keeps it fresh. */
#include <string.h>

#include "orchestrator/link/agent_private.h"
#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/log.h"
#include "podium/base/path.h"

#define CERT_NAME        "node"
#define RENEW_AGAIN_USEC (5 * USEC_PER_SEC) /* while it is due and was not done */
#define HASH_PREFIX      "sha256:"

bool agent_join_is_unix(const struct agent_link *l) {
    return strncmp(l->server, "unix:", 5) == 0;
}

int agent_join_load(struct agent_link *l, struct error *err) {
    _cleanup_free_ char *cert = path_join(l->cert_dir, CERT_NAME ".crt");
    _cleanup_free_ char *key = path_join(l->cert_dir, CERT_NAME ".key");
    gnutls_certificate_credentials_t c;

    int r = gnutls_certificate_allocate_credentials(&c);
    if (r < 0)
        return error_set(err, -ENOMEM, "%s", gnutls_strerror(r));
    if (l->ca_file && access(l->ca_file, R_OK) == 0)
        r = gnutls_certificate_set_x509_trust_file(c, l->ca_file, GNUTLS_X509_FMT_PEM);
    bool have = access(cert, R_OK) == 0 && access(key, R_OK) == 0;
    if (r >= 0 && have && pki_renew_in_sec(cert) == 0) {
        int64_t end = 0;
        have = pki_expiry(cert, &end, NULL) == 0 && end > (int64_t) (now_realtime_usec() / USEC_PER_SEC);
    }
    if (r >= 0 && have)
        r = gnutls_certificate_set_x509_key_file(c, cert, key, GNUTLS_X509_FMT_PEM);
    if (r < 0) {
        gnutls_certificate_free_credentials(c);
        return error_set(err, -EPROTO, "cannot load the node's certificates: %s", gnutls_strerror(r));
    }
    if (l->credentials)
        gnutls_certificate_free_credentials(l->credentials);
    l->credentials = c;
    l->has_certificate = have;
    return 0;
}

/* The first join knows the authority by its hash only: the chain the server shows must contain it. */
static int pin_authority(struct agent_link *l, gnutls_session_t session, struct error *err) {
    const char *want =
        strncmp(l->ca_hash, HASH_PREFIX, strlen(HASH_PREFIX)) == 0 ? l->ca_hash + strlen(HASH_PREFIX) : l->ca_hash;
    unsigned n = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &n);
    char hash[PKI_SHA256_HEX_SIZE];
    gnutls_datum_t pem;

    if (!chain || n == 0)
        return error_set(err, -EACCES, "the server shows no certificate");
    int r = gnutls_pem_base64_encode2("CERTIFICATE", &chain[n - 1], &pem);
    if (r < 0)
        return error_set(err, -EPROTO, "%s", gnutls_strerror(r));
    _cleanup_free_ char *text = xstrndup((const char *) pem.data, pem.size);
    gnutls_free(pem.data);
    r = pki_ca_hash_pem(text, hash, err);
    if (r < 0)
        return r;
    if (!pki_secret_equal(want, hash))
        return error_set(err, -EACCES, "the server's authority is sha256:%s, not what was given to trust", hash);
    return file_write_atomic(l->ca_file, text, strlen(text), 0644, true, err);
}

int agent_join_verify_server(struct agent_link *l, gnutls_session_t session, struct error *err) {
    struct pki_identity identity;

    if (l->ca_file && access(l->ca_file, R_OK) != 0 && l->ca_hash) {
        int r = pin_authority(l, session, err);
        if (r < 0)
            return r;
        /* the handshake's credentials did not know the authority: its signature is checked at the next connection */
        return 1;
    }
    /* any name will do ("": server purpose): only the control plane gets certificates of a server from its authority,
     * and it may be reached by addresses it does not know of */
    int r = pki_peer_identity(session, "", &identity, err);
    if (r < 0)
        return r;
    pki_identity_finish(&identity);
    return 0;
}

static int on_joined(sd_bus_message *m, void *userdata, sd_bus_error *e) {
    struct agent_link *l = userdata;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    const sd_bus_error *failure = sd_bus_message_get_error(m);
    const char *cert, *ca;

    if (failure) {
        agent_link_reset(l, failure->message ? failure->message : failure->name);
        return 0;
    }
    int r = sd_bus_message_read(m, "ss", &cert, &ca);
    if (r >= 0)
        r = mkdir_parents(l->cert_dir, 0700, &err);
    if (r >= 0)
        r = pki_install(l->cert_dir, CERT_NAME, cert, l->csr_key, &err);
    pki_key_free(steal(&l->csr_key));
    if (r < 0) {
        agent_link_reset(l, error_text(&err, r));
        return 0;
    }
    bool renewed = l->registered;
    log_info("%s certificate of the node is in %s", renewed ? "new" : "first", l->cert_dir);
    if (renewed) { /* the connection goes on with the credentials it borrows; the next one loads the new ones */
        agent_join_plan_renewal(l);
    } else {
        l->failures = 0;
        agent_link_reset(l, NULL);
    }
    return 0;
}

int agent_join_start(struct agent_link *l, struct error *err) {
    _cleanup_free_ char *user = xasprintf("system:node:%s", l->node_name), *csr = NULL;

    if (!l->registered && !l->token)
        return error_set(err, -ENOKEY, "this node has no certificate: give a join token (--token-file)");
    pki_key_free(steal(&l->csr_key));
    int r = pki_csr_new(user, &csr, &l->csr_key, err);
    if (r < 0)
        return r;
    r = sd_bus_call_method_async(l->bus, NULL, NULL, LINK_SERVER_PATH, LINK_SERVER_INTERFACE, "Join", on_joined, l,
                                 "sss", l->token ? l->token : "", l->node_name, csr);
    bus_pump_sent(l->pump);
    return r < 0 ? error_set_errno(err, r, "cannot call Join") : 0;
}

static int on_renewal(sd_event_source *s, uint64_t usec, void *userdata) {
    struct agent_link *l = userdata;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    int r = l->registered ? agent_join_start(l, &err) : -ENOTCONN;
    if (r < 0) /* not connected: try again in a while */
        agent_join_plan_renewal(l);
    return 0;
}

int agent_join_on_clock(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
    struct agent_link *l = userdata;
    _cleanup_free_ char *cert = path_join(l->cert_dir, CERT_NAME ".crt");

    if (!clock_jump_seen(fd))
        return 0;
    if (l->registered && !agent_join_is_unix(l) && pki_renew_in_sec(cert) == 0)
        return on_renewal(NULL, 0, l); /* now, while there is a connection to ask over */
    agent_join_plan_renewal(l);
    return 0;
}

void agent_join_plan_renewal(struct agent_link *l) {
    _cleanup_free_ char *cert = path_join(l->cert_dir, CERT_NAME ".crt");
    uint64_t in = pki_renew_in_sec(cert) * USEC_PER_SEC;

    if (agent_join_is_unix(l))
        return;
    sd_event_source_disable_unref(l->renewal);
    l->renewal = NULL;
    if (in == 0)
        in = RENEW_AGAIN_USEC;
    (void) sd_event_add_time_relative(l->loop, &l->renewal, CLOCK_MONOTONIC, in, in / 10, on_renewal, l);
}
