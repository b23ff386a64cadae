/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who is at the other end: client certificate, bearer token, or the kernel's word on a unix socket. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "orchestrator/apiserver/authn/account_tokens.h"
#include "orchestrator/apiserver/authn/bootstrap_tokens.h"
#include "orchestrator/apiserver/http/inflight.h"
#include "orchestrator/apiserver/http/internal.h"
#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define KEEPALIVE_IDLE_SECONDS     30
#define KEEPALIVE_INTERVAL_SECONDS 10
#define KEEPALIVE_PROBES           3

static int connection_socket(struct MHD_Connection *c) {
    const union MHD_ConnectionInfo *i = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    return i ? i->connect_fd : -EBADF;
}

bool peer_address(const struct sockaddr *sa, char out[INET6_ADDRSTRLEN]) {
    if (sa && sa->sa_family == AF_INET)
        return inet_ntop(AF_INET, &((const struct sockaddr_in *) sa)->sin_addr, out, INET6_ADDRSTRLEN) != NULL;
    if (!sa || sa->sa_family != AF_INET6)
        return false;
    const struct in6_addr *a = &((const struct sockaddr_in6 *) sa)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(a))
        return inet_ntop(AF_INET, a->s6_addr + 12, out, INET6_ADDRSTRLEN) != NULL;
    return inet_ntop(AF_INET6, a, out, INET6_ADDRSTRLEN) != NULL;
}

static gnutls_session_t connection_session(struct MHD_Connection *c) {
    const union MHD_ConnectionInfo *i = MHD_get_connection_info(c, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    return i ? (gnutls_session_t) i->tls_session : NULL;
}

/* Root, and whoever runs the server, own it already. */
static void identify_local(struct peer *p, struct MHD_Connection *c) {
    struct ucred cred;
    socklen_t n = sizeof(cred);
    if (getsockopt(connection_socket(c), SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0 ||
        (cred.uid != 0 && cred.uid != geteuid()))
        return;
    p->user.name = xstrdup("system:admin");
    p->user.groups = strv_new();
    strv_push_dup(&p->user.groups, "system:masters");
}

/* A peer that vanished without a word would hold its watches for an hour: the kernel asks now and then. */
static void keep_alive(int fd) {
    (void) setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
    (void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &(int){KEEPALIVE_IDLE_SECONDS}, sizeof(int));
    (void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &(int){KEEPALIVE_INTERVAL_SECONDS}, sizeof(int));
    (void) setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &(int){KEEPALIVE_PROBES}, sizeof(int));
}

static void started(struct http_server *h, struct MHD_Connection *c, void **socket_context) {
    struct peer *p = xnew0(struct peer);
    gnutls_session_t session = connection_session(c);
    p->server = h;
    *socket_context = p;
    (void) pthread_mutex_lock(&h->lock);
    h->n_fresh++;
    (void) pthread_mutex_unlock(&h->lock);
    if (!session) {
        identify_local(p, c);
        p->known = true;
        return;
    }
    keep_alive(connection_socket(c));
    /* Before the handshake: this connection's certificate is today's, not the one the daemon was started with. */
    (void) pthread_mutex_lock(&h->lock);
    p->tls = tls_generation_ref(h->tls);
    (void) pthread_mutex_unlock(&h->lock);
    (void) gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, p->tls->cred);
    gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
    /* A ticket holds the client's certificate, which is verified anew each time, and dies with the generation. */
    (void) gnutls_session_ticket_enable_server(session, &p->tls->ticket_key);
    handshake_begin(&p->handshake, c, session, connection_socket(c), h->keeper, &h->hurried, h->limits.header_usec);
}

bool peer_asks(struct peer *p) {
    struct http_server *h = p->server;
    if (p->asked)
        return false;
    p->asked = true;
    (void) pthread_mutex_lock(&h->lock);
    if (--h->n_fresh == 0)
        (void) pthread_cond_signal(&h->idle);
    (void) pthread_mutex_unlock(&h->lock);
    return true;
}

void peer_notify(void *cls, struct MHD_Connection *c, void **socket_context, enum MHD_ConnectionNotificationCode what) {
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        started(cls, c, socket_context);
        return;
    }
    struct peer *p = *socket_context;
    if (!p)
        return;
    (void) peer_asks(p);
    handshake_finish(&p->handshake);
    tls_generation_unref(p->tls);
    inflight_unref(p->server->inflight, p->inflight);
    api_user_finish(&p->user);
    free(p);
    *socket_context = NULL;
}

static bool identify_certificate(struct peer *p, struct MHD_Connection *c) {
    struct pki_identity id;
    gnutls_session_t session = connection_session(c);
    int r = session ? pki_peer_identity(session, NULL, &id, NULL) : -ENODATA;
    if (r == -ENODATA) {
        p->known = true;
        return true;
    }
    if (r < 0)
        return false;
    p->known = true;
    p->user.name = steal(&id.common_name);
    p->user.groups = steal(&id.organizations);
    pki_identity_finish(&id);
    return true;
}

/* 1: user found, 0: nobody knows the token, < 0: bad. */
static int identify_token(const struct apiserver *api, const char *token, struct api_user *ret) {
    for (size_t i = 0; i < api->n_authenticators; i++) {
        int r = api->authenticators[i].authenticate(api->authenticators[i].userdata, token, ret);
        if (r != 0)
            return r;
    }
    int r = bootstrap_token_authenticate(api->store, token, now_realtime_usec(), ret);
    if (r != 0 || !api->accounts)
        return r;
    return account_tokens_authenticate(api->accounts, token, NULL, now_realtime_usec(), ret, NULL);
}

static void add_authenticated(struct api_user *u) {
    for (char **g = u->groups; g && *g; g++)
        if (strcmp(*g, "system:authenticated") == 0)
            return;
    if (!u->groups)
        u->groups = strv_new();
    strv_push_dup(&u->groups, "system:authenticated");
}

/* Who shows nothing; what he may is a matter of roles. Never written. */
static char *const anonymous_groups[] = {(char *) "system:unauthenticated", NULL};
static const struct api_user anonymous = {.name = (char *) "system:anonymous", .groups = (char **) anonymous_groups};

bool peer_authenticate(struct peer *p, struct MHD_Connection *c, struct api_request *req) {
    const char *header = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    if (header && strncasecmp(header, "Bearer ", 7) == 0) {
        struct api_user u = {0};
        if (identify_token(req->api, header + 7 + strspn(header + 7, " "), &u) <= 0)
            return false;
        add_authenticated(&u);
        req->user = xmemdup(&u, sizeof(u));
        req->user_owned = true;
        return true;
    }
    if (!p->known && !identify_certificate(p, c))
        return false;
    if (p->user.name) {
        add_authenticated(&p->user);
        req->user = &p->user;
        req->memo = &p->memo;
    } else {
        req->user = &anonymous;
    }
    return true;
}

struct inflight_user *peer_inflight(struct peer *p, const struct api_request *req) {
    struct inflight *f = p->server->inflight;
    if (req->user != &p->user)
        return inflight_user(f, req->user);
    if (!p->inflight)
        p->inflight = inflight_user(f, req->user);
    return inflight_ref(p->inflight);
}
