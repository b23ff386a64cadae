/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/apiserver/streams/backend_tls.h"

#include <gnutls/gnutls.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

#define RECORD_BYTES 16384 /* the most that one record holds */

struct backend_tls {
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
    const struct backend_tls_ops *ops;
    void *userdata;
    bool established, ended;
    struct strbuf early;        /* in the clear, to be sent after the handshake */
    struct strbuf out;          /* records to be sent when GnuTLS has returned: an answer may come at once */
    const unsigned char *input; /* during backend_tls_input() */
    size_t input_len;
};

static ssize_t push(gnutls_transport_ptr_t p, const void *data, size_t n) {
    struct backend_tls *t = p;

    strbuf_add(&t->out, data, n);
    return (ssize_t) n;
}

static void flush_out(struct backend_tls *t) {
    while (t->out.len > 0) {
        size_t n = t->out.len;
        _cleanup_free_ char *records = strbuf_steal(&t->out);
        t->ops->send(t->userdata, records, n);
    }
}

static ssize_t pull(gnutls_transport_ptr_t p, void *data, size_t n) {
    struct backend_tls *t = p;

    if (t->input_len == 0) {
        gnutls_transport_set_errno(t->session, EAGAIN);
        return -1;
    }
    n = n < t->input_len ? n : t->input_len;
    memcpy(data, t->input, n);
    t->input += n;
    t->input_len -= n;
    return (ssize_t) n;
}

static int pull_ready(gnutls_transport_ptr_t p, unsigned ms) {
    const struct backend_tls *t = p;

    return t->input_len > 0;
}

static int failed(int r, struct error *err) {
    return error_set(err, -EPROTO, "tls: %s", gnutls_strerror(r));
}

static int flush_early(struct backend_tls *t, struct error *err) {
    for (size_t at = 0; at < t->early.len;) {
        ssize_t n = gnutls_record_send(t->session, t->early.data + at, t->early.len - at);
        if (n < 0)
            return failed((int) n, err); /* push() takes everything: no EAGAIN */
        at += (size_t) n;
    }
    strbuf_finish(&t->early);
    return 0;
}

static int handshake(struct backend_tls *t, struct error *err) {
    int r;

    do {
        r = gnutls_handshake(t->session);
    } while (r == GNUTLS_E_INTERRUPTED || (r < 0 && r != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(r)));
    if (r == GNUTLS_E_AGAIN)
        return 0;
    if (r < 0)
        return failed(r, err);
    t->established = true;
    return flush_early(t, err);
}

int backend_tls_new(const struct backend_tls_ops *ops, void *userdata, struct backend_tls **ret, struct error *err) {
    struct backend_tls *t = xnew0(struct backend_tls);

    t->ops = ops;
    t->userdata = userdata;
    int r = gnutls_certificate_allocate_credentials(&t->credentials);
    if (r >= 0)
        r = gnutls_init(&t->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK);
    if (r >= 0)
        r = gnutls_set_default_priority(t->session);
    if (r >= 0)
        r = gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, t->credentials);
    if (r >= 0) {
        gnutls_transport_set_ptr(t->session, t);
        gnutls_transport_set_push_function(t->session, push);
        gnutls_transport_set_pull_function(t->session, pull);
        gnutls_transport_set_pull_timeout_function(t->session, pull_ready);
        gnutls_handshake_set_timeout(t->session, 0); /* the client's patience counts */
    }
    if (r < 0) {
        backend_tls_free(t);
        return failed(r, err);
    }
    *ret = t;
    return 0;
}

void backend_tls_free(struct backend_tls *t) {
    if (!t)
        return;
    if (t->session)
        gnutls_deinit(t->session);
    if (t->credentials)
        gnutls_certificate_free_credentials(t->credentials);
    strbuf_finish(&t->early);
    strbuf_finish(&t->out);
    free(t);
}

int backend_tls_write(struct backend_tls *t, const void *p, size_t n, struct error *err) {
    strbuf_add(&t->early, p, n);
    int r = t->established ? flush_early(t, err) : handshake(t, err);
    flush_out(t);
    return r;
}

static int receive(struct backend_tls *t, struct error *err) {
    char plain[RECORD_BYTES];

    while (!t->ended) {
        ssize_t n = gnutls_record_recv(t->session, plain, sizeof(plain));
        if (n == GNUTLS_E_AGAIN)
            return 0;
        if (n == 0)
            t->ended = true;
        else if (n > 0)
            t->ops->receive(t->userdata, plain, (size_t) n);
        else if (gnutls_error_is_fatal((int) n))
            return failed((int) n, err);
    }
    return 0;
}

int backend_tls_input(struct backend_tls *t, const void *p, size_t n, struct error *err) {
    int r = 0;

    t->input = p;
    t->input_len = n;
    if (!t->established)
        r = handshake(t, err);
    if (r == 0 && t->established)
        r = receive(t, err);
    t->input_len = 0;
    flush_out(t);
    return r;
}

bool backend_tls_established(const struct backend_tls *t) {
    return t->established;
}
