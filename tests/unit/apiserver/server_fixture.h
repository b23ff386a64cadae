/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A real server on a unix socket and a loopback port, with a store of its own in a temporary folder; and requests to it
 * over libcurl. */
#ifndef TESTS_APISERVER_SERVER_FIXTURE_H
#define TESTS_APISERVER_SERVER_FIXTURE_H

#include <curl/curl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "orchestrator/apiserver/apiserver.h"
#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/json.h"
#include "podium/base/path.h"

struct fixture {
    char dir[64];
    struct store *store;
    struct apiserver *api;
    CURL *curl; /* to the unix socket */
};

struct answer {
    long code;
    struct json *body; /* NULL when it is no JSON */
    struct strbuf text, headers;
};

static inline void answer_finish(struct answer *a) {
    json_unref(a->body);
    strbuf_finish(&a->text);
    strbuf_finish(&a->headers);
    *a = (struct answer){0};
}
#define _cleanup_answer_ _cleanup_(answer_finish)

static inline size_t fixture_write(char *p, size_t size, size_t n, void *userdata) {
    strbuf_add(userdata, p, size * n);
    return size * n;
}

static inline char *fixture_path(const struct fixture *f, const char *name) {
    return path_join(f->dir, name);
}

static inline void fixture_certificates(struct fixture *f) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    char *names[] = {(char[]){"localhost"}, NULL}, *ips[] = {(char[]){"127.0.0.1"}, NULL};
    char *masters[] = {(char[]){"system:masters"}, NULL};
    struct pki_request server = {.common_name = "api", .dns_names = names, .ip_addresses = ips, .server = true};
    struct pki_request admin = {.common_name = "admin", .organizations = masters, .client = true};
    struct pki_request guest = {.common_name = "guest", .client = true};
    if (pki_ca_ensure(f->dir, "test", &err) < 0 || pki_ensure(f->dir, f->dir, "server", &server, &err) < 0 ||
        pki_ensure(f->dir, f->dir, "admin", &admin, &err) < 0 || pki_ensure(f->dir, f->dir, "guest", &guest, &err) < 0)
        fail_msg("%s", error_text(&err, 0));
}

static inline int fixture_store(struct fixture *f, unsigned window) {
    _cleanup_free_ char *db = fixture_path(f, "store");
    struct store_options so = {.path = db, .map_bytes = 64u << 20, .no_sync = true, .window_events = window};
    strcpy(f->dir, "/tmp/podium-api-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    free(steal(&db));
    db = fixture_path(f, "store");
    so.path = db;
    return store_open_lmdb(&so, &f->store, NULL);
}

/* Knows the token "good". */
static inline int fixture_token(void *userdata, const char *token, struct api_user *ret) {
    if (strncmp(token, "bad", 3) == 0)
        return -EACCES;
    if (strcmp(token, "good") != 0)
        return 0;
    ret->name = xstrdup("token-user");
    ret->groups = strv_new();
    strv_push_dup(&ret->groups, "system:masters");
    return 1;
}

/* Not started yet: tests that need more set it before fixture_start(). security, limits: NULL for what is the default.
 */
static inline void fixture_new_with(struct fixture *f, bool tcp, unsigned window,
                                    const struct api_pod_security *security, const struct apiserver_limits *limits) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    *f = (struct fixture){0};
    assert_int_equal(fixture_store(f, window), 0);
    if (tcp)
        fixture_certificates(f);
    _cleanup_free_ char *crt = fixture_path(f, "server.crt"), *key = fixture_path(f, "server.key"),
                        *ca = fixture_path(f, "ca.crt"), *sock = fixture_path(f, "sock");
    _cleanup_free_ char *accounts = fixture_path(f, "service-accounts.key");
    if (pki_signing_key_ensure(accounts, &err) < 0)
        fail_msg("%s", error_text(&err, 0));
    struct api_token_authenticator tokens = {.authenticate = fixture_token};
    struct apiserver_options o = {.store = f->store,
                                  .address = "127.0.0.1",
                                  .port = tcp ? -1 : -2,
                                  .cert_file = crt,
                                  .key_file = key,
                                  .client_ca_file = ca,
                                  .unix_socket = sock,
                                  .account_key_file = accounts,
                                  .authenticators = &tokens,
                                  .n_authenticators = 1,
                                  .bookmark_seconds = 1};
    if (security)
        o.pod_security = *security;
    if (limits)
        o.limits = *limits;
    if (apiserver_new(&o, &f->api, &err) < 0)
        fail_msg("%s", error_text(&err, 0));
}

static inline void fixture_new(struct fixture *f, bool tcp, unsigned window) {
    fixture_new_with(f, tcp, window, NULL, NULL);
}

static inline void fixture_new_secured(struct fixture *f, bool tcp, unsigned window,
                                       const struct api_pod_security *security) {
    fixture_new_with(f, tcp, window, security, NULL);
}

static inline void fixture_new_limited(struct fixture *f, bool tcp, unsigned window,
                                       const struct apiserver_limits *limits) {
    fixture_new_with(f, tcp, window, NULL, limits);
}

static inline void fixture_start(struct fixture *f) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    if (apiserver_start(f->api, &err) < 0)
        fail_msg("%s", error_text(&err, 0));
    f->curl = curl_easy_init();
}

static inline void fixture_finish(struct fixture *f) {
    if (f->curl)
        curl_easy_cleanup(f->curl);
    apiserver_free(f->api);
    store_close(f->store);
    assert_int_equal(rm_tree(f->dir, NULL), 0);
}

/* For cmocka: a server that runs, *state is the struct fixture. */
static inline int fixture_set_up(void **state, bool tcp, unsigned window) {
    struct fixture *f = xnew0(struct fixture);
    fixture_new(f, tcp, window);
    fixture_start(f);
    *state = f;
    return 0;
}
static inline int fixture_setup_local(void **state) { /* on the unix socket only */
    return fixture_set_up(state, false, 0);
}
static inline int fixture_setup_tcp(void **state) {
    return fixture_set_up(state, true, 0);
}
static inline int fixture_teardown(void **state) {
    fixture_finish(*state);
    free(*state);
    return 0;
}

/* One request on a handle whose connection options are set. */
static inline struct answer request_on(CURL *curl, const char *url, const char *method, const char *content_type,
                                       const char *accept, const char *body) {
    struct answer a = {0};
    struct curl_slist *h = NULL;
    _cleanup_free_ char *ct = xasprintf("Content-Type: %s", content_type ? content_type : "application/json");
    _cleanup_free_ char *ac = xasprintf("Accept: %s", accept ? accept : "application/json");
    h = curl_slist_append(h, ct);
    h = curl_slist_append(h, ac);
    h = curl_slist_append(h, "Expect:");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, h);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    if (!body) {
        curl_easy_setopt(curl, CURLOPT_POST, 0L);
        curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    }
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, fixture_write);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &a.text);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, fixture_write);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &a.headers);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
    CURLcode r = curl_easy_perform(curl);
    curl_slist_free_all(h);
    if (r == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &a.code);
    if (json_parse(strbuf_str(&a.text), a.text.len, NULL, &a.body, NULL) < 0)
        a.body = NULL;
    return a;
}

/* As root over the unix socket. */
static inline struct answer ask(struct fixture *f, const char *method, const char *path, const char *body) {
    _cleanup_free_ char *url = xasprintf("http://api%s", path), *sock = fixture_path(f, "sock");
    const char *type = strcmp(method, "PATCH") == 0 ? "application/merge-patch+json" : NULL;
    curl_easy_setopt(f->curl, CURLOPT_UNIX_SOCKET_PATH, sock);
    return request_on(f->curl, url, method, type, NULL, body);
}

static inline struct answer ask_as(struct fixture *f, const char *method, const char *path, const char *type,
                                   const char *accept, const char *body) {
    _cleanup_free_ char *url = xasprintf("http://api%s", path), *sock = fixture_path(f, "sock");
    curl_easy_setopt(f->curl, CURLOPT_UNIX_SOCKET_PATH, sock);
    return request_on(f->curl, url, method, type, accept, body);
}

/* JSON text in which ' stands for ", to keep cases readable. */
static inline char *plain(const char *quoted) {
    char *copy = xstrdup(quoted);
    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    return copy;
}
/* ask() with such a body, or with none (NULL). */
static inline struct answer say(struct fixture *f, const char *method, const char *path, const char *quoted) {
    _cleanup_free_ char *body = quoted ? plain(quoted) : NULL;
    return ask(f, method, path, body);
}

static inline const char *message_of(const struct answer *a) {
    return json_str_or(json_get(a->body, "message"), "");
}
static inline const char *reason_of(const struct answer *a) {
    return json_str_or(json_get(a->body, "reason"), "");
}
#define assert_status(a, want_code, want_reason, want_message)                                                         \
    do {                                                                                                               \
        if ((a).code != (want_code))                                                                                   \
            print_message("%s\n", strbuf_str(&(a).text));                                                              \
        assert_int_equal((a).code, (want_code));                                                                       \
        assert_string_equal(reason_of(&(a)), (want_reason));                                                           \
        assert_string_equal(message_of(&(a)), (want_message));                                                         \
        assert_int_equal(json_int_or(json_get((a).body, "code"), 0), (want_code));                                     \
    } while (0)
#define assert_code(a, want_code)                                                                                      \
    do {                                                                                                               \
        if ((a).code != (want_code))                                                                                   \
            print_message("%s\n", strbuf_str(&(a).text));                                                              \
        assert_int_equal((a).code, (want_code));                                                                       \
    } while (0)

#endif
