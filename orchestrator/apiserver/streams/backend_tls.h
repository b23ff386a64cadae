/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS towards a port of a pod, our side the client's: "https:NAME:PORT" of pods/proxy and services/proxy. Bytes in,
 * bytes out; who carries them is the caller's business.
 *
 * The certificate is not verified, as upstream's proxy does not: pods are reached by addresses that no certificate
 * names. No server name is sent for the same reason, and no client certificate.
 *
 * Invariants. The first write begins the handshake; what is written before it is done waits here. send() may lead to
 * backend_tls_input(); receive() to nothing here. An end without TLS's own goodbye is told by
 * nobody but who carries the bytes: HTTP says itself whether a body is complete.
 * Ownership. ops is borrowed; backend_tls_free() not from inside an operation of it. Threads: one.
 */
#ifndef PODIUM_APISERVER_BACKEND_TLS_H
#define PODIUM_APISERVER_BACKEND_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "podium/base/error.h"

struct backend_tls;

struct backend_tls_ops {
    void (*send)(void *userdata, const void *p, size_t n);    /* to the pod */
    void (*receive)(void *userdata, const void *p, size_t n); /* from it, in the clear */
};

int backend_tls_new(const struct backend_tls_ops *ops, void *userdata, struct backend_tls **ret,
                    struct error *err) _must_check_;
void backend_tls_free(struct backend_tls *t); /* NULL is fine */
/* In the clear, to the pod. */
int backend_tls_write(struct backend_tls *t, const void *p, size_t n, struct error *err) _must_check_;
/* What came from the pod. -EPROTO with what TLS has to say: it is over. */
int backend_tls_input(struct backend_tls *t, const void *p, size_t n, struct error *err) _must_check_;
/* Before it is, nothing has been received. */
bool backend_tls_established(const struct backend_tls *t);

#endif
