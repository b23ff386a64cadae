/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of this folder share. */
#ifndef PODIUM_APISERVER_HTTP_INTERNAL_H
#define PODIUM_APISERVER_HTTP_INTERNAL_H

#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "orchestrator/apiserver/http/gate.h"
#include "orchestrator/apiserver/authz/authorize.h"
#include "orchestrator/apiserver/http/handshake.h"
#include "orchestrator/apiserver/http/keeper.h"
#include "orchestrator/apiserver/request.h"
#include "orchestrator/apiserver/server.h"

/* Credentials of one reading of the certificate files; connections keep those they started with. */
struct tls_generation {
    atomic_int refs;
    gnutls_certificate_credentials_t cred;
    gnutls_datum_t ticket_key; /* who comes back shows a ticket and is spared the public-key half of the handshake */
};
int tls_generation_load(const char *cert_file, const char *key_file, const char *ca_file, struct tls_generation **ret,
                        struct error *err) _must_check_;
struct tls_generation *tls_generation_ref(struct tls_generation *g);
void tls_generation_unref(struct tls_generation *g);

struct http_server {
    struct apiserver *api;
    struct MHD_Daemon *tcp, *local;
    struct keeper *keeper;
    struct turns *turns;
    struct inflight *inflight;
    struct {
        uint64_t header_usec, body_usec, request_usec; /* time-outs */
        unsigned idle_seconds, per_address;
    } limits;
    struct list_runs *runs;
    pthread_mutex_t lock; /* guards tls, n_exchanges, n_fresh */
    pthread_cond_t idle;
    struct tls_generation *tls;
    size_t n_exchanges;
    size_t n_fresh; /* connections that have asked nothing yet */
    atomic_bool stopping;
    atomic_bool hurried; /* stopping, and connections that have not asked yet have had their time */
    int port;
    int local_fd;
};

/* One connection; MHD's socket context. */
struct peer {
    struct http_server *server;
    struct tls_generation *tls; /* NULL on the unix socket */
    struct handshake handshake;
    bool known;                     /* its certificate has been looked at */
    bool asked;                     /* it is not fresh any more */
    struct api_user user;           /* name NULL: anonymous */
    struct authz_memo memo;         /* of `user` */
    struct inflight_user *inflight; /* of `user`, once asked for */
};
void peer_notify(void *cls, struct MHD_Connection *c, void **socket_context, enum MHD_ConnectionNotificationCode what);
/* A request came. True when it is the connection's first. */
bool peer_asks(struct peer *p);
/* Whose request this is, for the share he may have: a reference. */
struct inflight_user *peer_inflight(struct peer *p, const struct api_request *req);
/* Sets req->user. False: a bad token or certificate was shown (401). */
bool peer_authenticate(struct peer *p, struct MHD_Connection *c, struct api_request *req);

/* The address without port, IPv4 in IPv6 as IPv4. False: it has none (a unix socket). */
bool peer_address(const struct sockaddr *sa, char out[INET6_ADDRSTRLEN]);

/* MHD's callbacks for requests. */
void *exchange_uri(void *cls, const char *uri, struct MHD_Connection *c);
enum MHD_Result exchange_handle(void *cls, struct MHD_Connection *c, const char *url, const char *method,
                                const char *version, const char *upload, size_t *upload_size, void **con_cls);
void exchange_completed(void *cls, struct MHD_Connection *c, void **con_cls, enum MHD_RequestTerminationCode why);

/* Queues a chunked answer fed by the request's watch. Takes the watch. */
enum MHD_Result watch_stream_queue(struct http_server *h, struct MHD_Connection *c, struct api_request *req);

#endif
