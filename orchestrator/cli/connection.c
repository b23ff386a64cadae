/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/cli/connection.h"

#include <curl/curl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "orchestrator/client/http_client.h"
#include "orchestrator/curl/libcurl.h"
#include "podium/base/alloc.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"

#define ANSWER_BYTES_MAX (512u * 1024u * 1024u)
#define TIMEOUT_SECONDS  60L
#define CONNECT_SECONDS  10L

static bool exists(const char *path) {
    return access(path, F_OK) == 0;
}

/* The first file of the list in $KUBECONFIG that exists; the first when none does, so that the error names it. Merging
 * several files is not done. */
static char *first_of_list(const char *list) {
    _cleanup_free_ char *first = NULL;
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ":");
        _cleanup_free_ char *path = xstrndup(p, n);
        if (*path && exists(path))
            return steal(&path);
        if (*path && !first)
            first = steal(&path);
        p += n + (p[n] == ':');
    }
    return steal(&first);
}

/* The kubeconfig to read, or NULL with *socket set, or both NULL. */
static char *choose(const struct connection_options *o, const char **socket) {
    *socket = NULL;
    if (o->kubeconfig)
        return xstrdup(o->kubeconfig);
    const char *list = getenv("KUBECONFIG"), *home = getenv("HOME");
    char *path = list && *list ? first_of_list(list) : NULL;
    if (path)
        return path;
    if (access(DEFAULT_KUBECONFIG, R_OK) == 0)
        return xstrdup(DEFAULT_KUBECONFIG);
    if (exists(SERVER_SOCKET) || exists(HOST_SOCKET)) {
        *socket = exists(SERVER_SOCKET) ? SERVER_SOCKET : HOST_SOCKET;
        return NULL;
    }
    _cleanup_free_ char *own = home && *home ? path_join(home, ".kube/config") : NULL;
    return own && exists(own) ? steal(&own) : NULL;
}

static int hold_pem(struct connection *c, size_t i, const char *pem, struct error *err) {
    if (!pem)
        return 0;
    int fd = memfd_create("podium-pem", MFD_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, -errno, "cannot keep a certificate in memory");
    c->pem_fds[i] = fd;
    (void) fchmod(fd, 0600);
    int r = fd_write_all(fd, pem, strlen(pem));
    if (r < 0)
        return error_set_errno(err, r, "cannot keep a certificate in memory");
    c->pem_paths[i] = xasprintf("/proc/self/fd/%d", fd);
    return 0;
}

static void set_string(char **at, const char *value) {
    free(*at);
    *at = xstrdup(value);
}

/* --server and --token change what the kubeconfig says. */
static void override(struct connection *c, const struct connection_options *o) {
    if (o->token)
        set_string(&c->kube.token, o->token);
    if (!o->server)
        return;
    if (strncmp(o->server, "unix:", 5) == 0 || *o->server == '/') {
        set_string(&c->unix_socket, *o->server == '/' ? o->server : o->server + 5);
        free(steal(&c->kube.server));
    } else {
        free(steal(&c->unix_socket));
        set_string(&c->kube.server, o->server);
    }
}

static int decide(const struct connection_options *o, struct connection *c, struct error *err) {
    const char *socket;
    _cleanup_free_ char *path = choose(o, &socket);
    if (path && (!o->server || exists(path))) {
        int r = kubeconfig_load(path, o->context, &c->kube, err);
        if (r < 0)
            return r;
        c->source = steal(&path);
    } else if (socket) {
        c->unix_socket = xstrdup(socket);
        c->source = xstrdup(socket);
    } else if (o->server) {
        c->source = xstrdup("--server");
    } else {
        return error_set(err, -ENOENT,
                         "no cluster to speak to: there is no kubeconfig and no server on this host.\n"
                         "Start one with `podium up`, or name one with --kubeconfig FILE or $KUBECONFIG.");
    }
    override(c, o);
    return 0;
}

int connection_open(const struct connection_options *options, struct connection *ret, struct error *err) {
    *ret = (struct connection){.pem_fds = {-EBADF, -EBADF, -EBADF}};
    int r = decide(options, ret, err);
    if (r == 0)
        r = hold_pem(ret, 0, ret->kube.ca, err);
    if (r == 0)
        r = hold_pem(ret, 1, ret->kube.cert, err);
    if (r == 0)
        r = hold_pem(ret, 2, ret->kube.key, err);
    if (r < 0)
        connection_close(ret);
    return r;
}

void connection_close(struct connection *c) {
    if (c->curl)
        curl_easy_cleanup(c->curl);
    c->curl = NULL;
    kubeconfig_finish(&c->kube);
    free(steal(&c->unix_socket));
    free(steal(&c->source));
    for (size_t i = 0; i < ARRAY_LEN(c->pem_fds); i++) {
        if (c->pem_fds[i] >= 0)
            (void) close(c->pem_fds[i]);
        c->pem_fds[i] = -EBADF;
        free(steal(&c->pem_paths[i]));
    }
}

const char *connection_server(const struct connection *c) {
    return c->unix_socket ? c->unix_socket : c->kube.server;
}

int connection_client(const struct connection *c, sd_event *loop, struct client **ret, struct error *err) {
    const struct http_client_options o = {
        .server = c->unix_socket ? NULL : c->kube.server,
        .unix_socket = c->unix_socket,
        .ca_file = c->pem_paths[0],
        .cert_file = c->pem_paths[1],
        .key_file = c->pem_paths[2],
        .token = c->kube.token,
        .insecure = c->kube.insecure,
    };
    return http_client_new(loop, &o, ret, err);
}

/* --- plain requests --- */

struct transfer {
    CURL *curl;
    const struct plain_request *request;
    struct strbuf *answer;
    int stopped;
};

static size_t on_bytes(char *p, size_t size, size_t n, void *userdata) {
    struct transfer *t = userdata;
    long code = 0;
    (void) curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &code);
    if (t->request->bytes && code >= 200 && code < 300) {
        t->stopped = t->request->bytes(t->request->userdata, p, size * n);
        return t->stopped < 0 ? 0 : size * n;
    }
    strbuf_add(t->answer, p, size * n);
    return t->answer->len > ANSWER_BYTES_MAX ? 0 : size * n;
}

static void set_credentials(const struct connection *c, CURL *curl) {
    if (c->unix_socket)
        (void) curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, c->unix_socket);
    if (c->pem_paths[0])
        (void) curl_easy_setopt(curl, CURLOPT_CAINFO, c->pem_paths[0]);
    (void) curl_easy_setopt(curl, CURLOPT_CAPATH, NULL); /* not the system's authorities: reading them takes 20 ms */
    if (c->pem_paths[1])
        (void) curl_easy_setopt(curl, CURLOPT_SSLCERT, c->pem_paths[1]);
    if (c->pem_paths[2])
        (void) curl_easy_setopt(curl, CURLOPT_SSLKEY, c->pem_paths[2]);
    if (c->kube.insecure) {
        (void) curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
        (void) curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    (void) curl_easy_setopt(curl, CURLOPT_USERAGENT, "podium");
    (void) curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    (void) curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void) curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
}

static struct curl_slist *headers_of(const struct connection *c, const struct plain_request *r) {
    _cleanup_free_ char *accept = xasprintf("Accept: %s", r->accept ? r->accept : "application/json");
    struct curl_slist *headers = curl_slist_append(NULL, accept);
    if (c->kube.token && headers) {
        _cleanup_free_ char *bearer = xasprintf("Authorization: Bearer %s", c->kube.token);
        headers = curl_slist_append(headers, bearer);
    }
    if (!headers)
        abort(); /* out of memory, as in alloc.h */
    return headers;
}

int connection_get(struct connection *c, const struct plain_request *r, int *ret_code, struct strbuf *answer,
                   struct error *err) {
    int opened = libcurl_open(err);

    if (opened < 0)
        return opened;
    if (!c->curl)
        c->curl = curl_easy_init();
    if (!c->curl)
        abort();
    CURL *curl = c->curl;
    char problem[CURL_ERROR_SIZE] = "";
    struct transfer t = {.curl = curl, .request = r, .answer = answer};
    curl_easy_reset(curl); /* connections stay open */
    const char *server = c->unix_socket ? "http://localhost" : c->kube.server;
    size_t n = strlen(server);
    _cleanup_free_ char *url = xasprintf("%.*s%s", (int) (n && server[n - 1] == '/' ? n - 1 : n), server, r->target);
    struct curl_slist *headers = headers_of(c, r);
    set_credentials(c, curl);
    (void) curl_easy_setopt(curl, CURLOPT_URL, url);
    (void) curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void) curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    (void) curl_easy_setopt(curl, CURLOPT_TIMEOUT, r->endless ? 0L : TIMEOUT_SECONDS);
    if (r->post)
        (void) curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    (void) curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    (void) curl_easy_setopt(curl, CURLOPT_WRITEDATA, &t);
    (void) curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, problem);
    CURLcode outcome = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    (void) curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    if (t.stopped < 0)
        return t.stopped;
    if (outcome != CURLE_OK)
        return error_set(err, -ENOTCONN, "cannot reach %s: %s", connection_server(c),
                         *problem ? problem : curl_easy_strerror(outcome));
    long code = 0;
    (void) curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    *ret_code = (int) code;
    return 0;
}
