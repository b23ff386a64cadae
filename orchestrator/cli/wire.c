/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/wire.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "podium/base/alloc.h"
#include "podium/base/fd.h"

#define HANDSHAKE_MS 10000

struct wire {
    int fd;
    char *host; /* with port */
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
};

void wire_close(struct wire *w) {
    if (!w)
        return;
    if (w->session) {
        (void) gnutls_bye(w->session, GNUTLS_SHUT_WR);
        gnutls_deinit(w->session);
    }
    if (w->credentials)
        gnutls_certificate_free_credentials(w->credentials);
    if (w->fd >= 0)
        (void) close(w->fd);
    free(w->host);
    free(w);
}

static int connect_unix(struct wire *w, const char *path, struct error *err) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(a.sun_path))
        return error_set(err, -ENAMETOOLONG, "the socket's path %s is too long", path);
    memcpy(a.sun_path, path, strlen(path) + 1);
    w->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (w->fd < 0 || connect(w->fd, (struct sockaddr *) &a, sizeof(a)) < 0)
        return error_set_errno(err, -errno, "cannot reach %s", path);
    w->host = xstrdup("localhost");
    return 0;
}

/* "https://[::1]:6443/x" → host "::1", port "6443" */
static int split_url(const char *url, char **host, char **port, struct error *err) {
    bool tls = strncmp(url, "https://", 8) == 0;
    const char *p = url + (tls ? 8 : 7), *end = p + strcspn(p, "/");
    const char *close = *p == '[' ? memchr(p, ']', (size_t) (end - p)) : NULL;
    const char *colon = memchr(close ? close : p, ':', (size_t) (end - (close ? close : p)));
    if (!tls && strncmp(url, "http://", 7) != 0)
        return error_set(err, -EINVAL, "the server \"%s\" is no http:// or https:// address", url);
    const char *host_end = close ? close : colon ? colon : end;
    p += close != NULL;
    *host = xstrndup(p, (size_t) (host_end - p));
    *port = colon ? xstrndup(colon + 1, (size_t) (end - colon - 1)) : xstrdup(tls ? "443" : "80");
    return 0;
}

static int connect_tcp(struct wire *w, const char *host, const char *port, struct error *err) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int e = getaddrinfo(host, port, &hints, &found), last = EHOSTUNREACH;
    if (e != 0)
        return error_set(err, -EHOSTUNREACH, "cannot resolve %s: %s", host, gai_strerror(e));
    for (const struct addrinfo *a = found; a && w->fd < 0; a = a->ai_next) {
        int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) == 0) {
            /* a request behind a TLS handshake would wait for the other side's delayed ACK, 40 ms */
            (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
            w->fd = fd;
            break;
        }
        last = errno;
        if (fd >= 0)
            (void) close(fd);
    }
    freeaddrinfo(found);
    if (w->fd < 0)
        return error_set_errno(err, -last, "cannot reach %s port %s", host, port);
    w->host = strchr(host, ':') ? xasprintf("[%s]:%s", host, port) : xasprintf("%s:%s", host, port);
    return 0;
}

static gnutls_datum_t datum(const char *s) {
    return (gnutls_datum_t){(unsigned char *) s, (unsigned) strlen(s)};
}

static int load_credentials(struct wire *w, const struct kubeconfig *k, struct error *err) {
    int r = gnutls_certificate_allocate_credentials(&w->credentials);
    if (r == 0 && k->ca) {
        gnutls_datum_t ca = datum(k->ca);
        r = gnutls_certificate_set_x509_trust_mem(w->credentials, &ca, GNUTLS_X509_FMT_PEM);
    } else if (r == 0) {
        r = gnutls_certificate_set_x509_system_trust(w->credentials);
    }
    if (r >= 0 && k->cert && k->key) {
        gnutls_datum_t cert = datum(k->cert), key = datum(k->key);
        r = gnutls_certificate_set_x509_key_mem(w->credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
    }
    return r < 0 ? error_set(err, -EINVAL, "the certificates of the kubeconfig cannot be used: %s", gnutls_strerror(r))
                 : 0;
}

static int shake_hands(struct wire *w, const struct kubeconfig *k, const char *host, struct error *err) {
    unsigned char address[sizeof(struct in6_addr)];
    int r = load_credentials(w, k, err);
    if (r < 0)
        return r;
    if (gnutls_init(&w->session, GNUTLS_CLIENT) < 0 || gnutls_set_default_priority(w->session) < 0)
        abort(); /* out of memory */
    (void) gnutls_credentials_set(w->session, GNUTLS_CRD_CERTIFICATE, w->credentials);
    if (inet_pton(AF_INET, host, address) != 1 && inet_pton(AF_INET6, host, address) != 1)
        (void) gnutls_server_name_set(w->session, GNUTLS_NAME_DNS, host, strlen(host));
    if (!k->insecure)
        gnutls_session_set_verify_cert(w->session, host, 0);
    gnutls_transport_set_int(w->session, w->fd);
    gnutls_handshake_set_timeout(w->session, HANDSHAKE_MS);
    do
        r = gnutls_handshake(w->session);
    while (r < 0 && !gnutls_error_is_fatal(r));
    if (r == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR) {
        gnutls_datum_t why = {NULL, 0};
        (void) gnutls_certificate_verification_status_print(gnutls_session_get_verify_cert_status(w->session),
                                                            GNUTLS_CRT_X509, &why, 0);
        r = error_set(err, -EACCES, "the certificate of %s is refused: %s", w->host, why.data ? (char *) why.data : "");
        gnutls_free(why.data);
        return r;
    }
    return r < 0 ? error_set(err, -EPROTO, "no TLS with %s: %s", w->host, gnutls_strerror(r)) : 0;
}

int wire_open(const struct connection *c, struct wire **ret, struct error *err) {
    _cleanup_(wire_closep) struct wire *w = xnew0(struct wire);
    _cleanup_free_ char *host = NULL, *port = NULL;
    int r;
    w->fd = -EBADF;
    if (c->unix_socket) {
        r = connect_unix(w, c->unix_socket, err);
    } else {
        r = split_url(c->kube.server, &host, &port, err);
        if (r == 0)
            r = connect_tcp(w, host, port, err);
        if (r == 0 && strncmp(c->kube.server, "https://", 8) == 0)
            r = shake_hands(w, &c->kube, host, err);
    }
    if (r == 0)
        r = fd_set_nonblock(w->fd, true);
    if (r < 0)
        return r;
    *ret = steal(&w);
    return 0;
}

int wire_fd(const struct wire *w) {
    return w->fd;
}

const char *wire_host(const struct wire *w) {
    return w->host;
}

bool wire_pending(const struct wire *w) {
    return w->session && gnutls_record_check_pending(w->session) > 0;
}

static ssize_t tls_result(ssize_t n) {
    if (n >= 0)
        return n;
    if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED || !gnutls_error_is_fatal((int) n))
        return -EAGAIN;
    return n == GNUTLS_E_PREMATURE_TERMINATION ? 0 : -EPROTO;
}

ssize_t wire_read(struct wire *w, void *p, size_t n) {
    if (w->session)
        return tls_result(gnutls_record_recv(w->session, p, n));
    ssize_t r = recv(w->fd, p, n, 0);
    return r >= 0 ? r : errno == EINTR ? -EAGAIN : -errno;
}

ssize_t wire_write(struct wire *w, const void *p, size_t n) {
    if (w->session)
        return tls_result(gnutls_record_send(w->session, p, n));
    ssize_t r = send(w->fd, p, n, MSG_NOSIGNAL);
    return r >= 0 ? r : errno == EINTR ? -EAGAIN : -errno;
}
