/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a client may not do to the server: too much, too slowly, too long. Over real sockets. */
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <unistd.h>

#include "podium/base/clock.h"
#include "podium/base/limits.h"
#include "tests/unit/apiserver/server_fixture.h"

#define CONFIGMAPS "/api/v1/namespaces/default/configmaps"

/* --- a client that writes what it likes, over TLS --- */

struct raw {
    int fd;
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
};

static void raw_open(struct raw *c, const struct fixture *f) {
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t) apiserver_port(f->api)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *c = (struct raw){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(connect(c->fd, (struct sockaddr *) &a, sizeof(a)), 0);
    assert_true(gnutls_certificate_allocate_credentials(&c->credentials) >= 0);
    assert_true(gnutls_init(&c->session, GNUTLS_CLIENT) >= 0);
    assert_true(gnutls_set_default_priority(c->session) >= 0);
    assert_true(gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->credentials) >= 0);
    gnutls_transport_set_int(c->session, c->fd);
    gnutls_handshake_set_timeout(c->session, 20000);
    int r;
    while ((r = gnutls_handshake(c->session)) < 0 && !gnutls_error_is_fatal(r))
        ;
    assert_int_equal(r, 0);
    gnutls_record_set_timeout(c->session, 20000);
}

static void raw_close(struct raw *c) {
    gnutls_deinit(c->session);
    gnutls_certificate_free_credentials(c->credentials);
    (void) close(c->fd);
}

static bool raw_send(struct raw *c, const char *text) {
    return gnutls_record_send(c->session, text, strlen(text)) == (ssize_t) strlen(text);
}

/* Until the server has hung up; what came is in *out. False: it has not within the time. */
static bool raw_ended(struct raw *c, struct strbuf *out) {
    char p[4096];
    ssize_t n;
    while ((n = gnutls_record_recv(c->session, p, sizeof(p))) > 0 || n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
        if (n > 0)
            strbuf_add(out, p, (size_t) n);
    return n != GNUTLS_E_TIMEDOUT;
}

/* One byte each 200 ms until the server has had enough. */
static bool cut_while_trickling(struct raw *c) {
    for (unsigned i = 0; i < 100; i++) {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        if (!raw_send(c, "x"))
            return true;
        char byte;
        if (poll(&p, 1, 200) > 0 && gnutls_record_recv(c->session, &byte, 1) <= 0)
            return true;
    }
    return false;
}

static struct apiserver_limits short_times = {
    .header_seconds = 1, .body_seconds = 1, .idle_seconds = 2, .request_seconds = 1};

static void heads_and_bodies_that_trickle_are_cut_off(void **state) {
    struct fixture f;
    struct raw head, body, quick;
    fixture_new_limited(&f, true, 0, &short_times);
    fixture_start(&f);
    raw_open(&head, &f);
    assert_true(raw_send(&head, "GET /livez HTTP/1.1\r\nHost: a\r\nX-Long: "));
    assert_true(cut_while_trickling(&head));
    raw_open(&body, &f);
    assert_true(raw_send(&body, "POST " CONFIGMAPS " HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{"));
    assert_true(cut_while_trickling(&body));
    /* and one that is only idle now and then is served */
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    raw_open(&quick, &f);
    assert_true(raw_send(&quick, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"));
    (void) poll(NULL, 0, 1200);
    assert_true(raw_send(&quick, "GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    assert_true(raw_ended(&quick, &text));
    const char *first = strstr(strbuf_str(&text), "HTTP/1.1 200");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "HTTP/1.1 200"));
    raw_close(&head);
    raw_close(&body);
    raw_close(&quick);
    fixture_finish(&f);
}

static void idle_connections_end(void **state) {
    struct fixture f;
    struct raw never, once;
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    fixture_new_limited(&f, true, 0, &short_times);
    fixture_start(&f);
    raw_open(&never, &f);
    raw_open(&once, &f);
    assert_true(raw_send(&once, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_true(raw_ended(&never, &text));
    assert_int_equal(text.len, 0);
    assert_true(raw_ended(&once, &text));
    assert_non_null(strstr(strbuf_str(&text), "HTTP/1.1 200"));
    raw_close(&never);
    raw_close(&once);
    fixture_finish(&f);
}

static void an_address_has_so_many_connections(void **state) {
    struct apiserver_limits few = {.per_address = 3};
    struct fixture f;
    struct raw c[3];
    char byte;
    fixture_new_limited(&f, true, 0, &few);
    fixture_start(&f);
    for (size_t i = 0; i < ARRAY_LEN(c); i++)
        raw_open(&c[i], &f);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t) apiserver_port(f.api)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *) &a, sizeof(a)), 0);
    assert_true(recv(fd, &byte, 1, 0) <= 0); /* hung up on */
    (void) close(fd);
    for (size_t i = 0; i < ARRAY_LEN(c); i++)
        raw_close(&c[i]);
    fixture_finish(&f);
}

static void addresses_and_heads_are_short(void **state) {
    struct fixture *f = *state;
    _cleanup_strbuf_ struct strbuf path = STRBUF_INIT;
    strbuf_adds(&path, CONFIGMAPS "?labelSelector=");
    while (path.len < 64 * 1024)
        strbuf_adds(&path, "aaaaaaaaaaaaaaaa");
    _cleanup_answer_ struct answer a = ask(f, "GET", strbuf_str(&path), NULL);
    assert_int_equal(a.code, 414);
    struct curl_slist *h = NULL;
    for (unsigned i = 0; i < 2000; i++) {
        _cleanup_free_ char *line = xasprintf("X-Header-%u: some value", i);
        h = curl_slist_append(h, line);
    }
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    curl_easy_setopt(f->curl, CURLOPT_URL, "http://api/livez");
    curl_easy_setopt(f->curl, CURLOPT_HTTPHEADER, h);
    curl_easy_setopt(f->curl, CURLOPT_WRITEDATA, &text);
    curl_easy_setopt(f->curl, CURLOPT_HEADERDATA, &text);
    assert_int_equal(curl_easy_perform(f->curl), CURLE_OK);
    long code;
    curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &code);
    assert_int_equal(code, 431);
    curl_slist_free_all(h);
    _cleanup_answer_ struct answer b = ask(f, "GET", "/livez", NULL);
    assert_int_equal(b.code, 200);
}

/* --- bodies --- */

struct source {
    size_t left;
};

static size_t give(char *p, size_t size, size_t n, void *userdata) {
    struct source *s = userdata;
    size_t some = size * n < s->left ? size * n : s->left;
    memset(p, ' ', some);
    s->left -= some;
    return some;
}

/* Chunked: the size is not said before. */
static CURLcode send_chunks(struct fixture *f, size_t bytes, struct strbuf *text) {
    struct source s = {.left = bytes};
    struct curl_slist *h = curl_slist_append(NULL, "Transfer-Encoding: chunked");
    _cleanup_free_ char *sock = fixture_path(f, "sock");
    h = curl_slist_append(h, "Expect:");
    CURL *c = curl_easy_init();
    curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, sock);
    curl_easy_setopt(c, CURLOPT_URL, "http://api" CONFIGMAPS);
    curl_easy_setopt(c, CURLOPT_POST, 1L);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, h);
    curl_easy_setopt(c, CURLOPT_READFUNCTION, give);
    curl_easy_setopt(c, CURLOPT_READDATA, &s);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, fixture_write);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, text);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, 20L);
    CURLcode r = curl_easy_perform(c);
    curl_slist_free_all(h);
    curl_easy_cleanup(c);
    return r;
}

static void bodies_end_somewhere(void **state) {
    static const char want[] = "Request entity too large: limit is 3145728";
    struct fixture *f = *state;
    struct strbuf text = STRBUF_INIT;
    assert_int_equal(send_chunks(f, OBJECT_BYTES_MAX + 1, &text), CURLE_OK);
    assert_non_null(strstr(strbuf_str(&text), want));
    assert_non_null(strstr(strbuf_str(&text), "\"code\":413"));
    strbuf_finish(&text);
    assert_int_not_equal(send_chunks(f, 64u << 20, &text), CURLE_OK); /* hung up on */
    strbuf_finish(&text);
    /* said in advance: answered without reading any of it */
    struct raw c;
    _cleanup_strbuf_ struct strbuf answer = STRBUF_INIT;
    struct fixture g;
    fixture_new(&g, true, 0);
    fixture_start(&g);
    raw_open(&c, &g);
    assert_true(raw_send(&c, "POST " CONFIGMAPS " HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer good\r\n"
                             "Content-Length: 10000000000\r\n\r\n"));
    assert_true(raw_ended(&c, &answer));
    assert_non_null(strstr(strbuf_str(&answer), "HTTP/1.1 413"));
    assert_non_null(strstr(strbuf_str(&answer), want));
    raw_close(&c);
    fixture_finish(&g);
}

static void nested(struct strbuf *b, const char *open, const char *close, unsigned depth) {
    for (unsigned i = 0; i < depth; i++)
        strbuf_adds(b, open);
    for (unsigned i = 0; i < depth; i++)
        strbuf_adds(b, close);
}

static void depth_and_number(void **state) {
    struct fixture *f = *state;
    _cleanup_strbuf_ struct strbuf json = STRBUF_INIT, yaml = STRBUF_INIT, bomb = STRBUF_INIT, ops = STRBUF_INIT;
    strbuf_adds(&json, "{\"metadata\":{\"name\":\"deep\"},\"data\":");
    nested(&json, "[", "]", 200000);
    strbuf_addc(&json, '}');
    _cleanup_answer_ struct answer a = ask(f, "POST", CONFIGMAPS, strbuf_str(&json));
    assert_int_equal(a.code, 400);
    strbuf_adds(&yaml, "metadata: {name: deep}\ndata: ");
    nested(&yaml, "[", "]", 2000);
    _cleanup_answer_ struct answer b =
        ask_as(f, "POST", CONFIGMAPS, "application/yaml", "application/json", strbuf_str(&yaml));
    assert_int_equal(b.code, 400);
    strbuf_adds(&bomb, "metadata: {name: bomb}\nx0: &x0 [a,a,a,a,a,a,a,a,a]\n");
    for (unsigned i = 1; i < 10; i++)
        strbuf_addf(&bomb, "x%u: &x%u [*x%u,*x%u,*x%u,*x%u,*x%u,*x%u,*x%u,*x%u,*x%u]\n", i, i, i - 1, i - 1, i - 1,
                    i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    _cleanup_answer_ struct answer c =
        ask_as(f, "POST", CONFIGMAPS, "application/yaml", "application/json", strbuf_str(&bomb));
    assert_int_equal(c.code, 400);
    _cleanup_answer_ struct answer made = ask(f, "POST", CONFIGMAPS, "{\"metadata\":{\"name\":\"p\"}}");
    assert_int_equal(made.code, 201);
    strbuf_addc(&ops, '[');
    for (unsigned i = 0; i <= JSON_PATCH_OPS_MAX; i++)
        strbuf_adds(&ops, i ? ",{\"op\":\"test\",\"path\":\"/data\",\"value\":null}"
                            : "{\"op\":\"test\",\"path\":\"/data\",\"value\":null}");
    strbuf_addc(&ops, ']');
    _cleanup_answer_ struct answer d =
        ask_as(f, "PATCH", CONFIGMAPS "/p", "application/json-patch+json", "application/json", strbuf_str(&ops));
    assert_status(d, 413, "RequestEntityTooLarge",
                  "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001");
}

/* --- time and number of requests --- */

/* Holds up the store's commit thread, as a disk does that hangs: it calls this after the first write, and waits. */
struct hold {
    sem_t held, go;
    struct store_watch *watch;
};

static void held_up(void *userdata) {
    struct hold *h = userdata;
    (void) sem_post(&h->held);
    while (sem_wait(&h->go) < 0)
        ;
}

static void hold_store(struct fixture *f, struct hold *h) {
    struct store_event e;
    (void) sem_init(&h->held, 0, 0);
    (void) sem_init(&h->go, 0, 0);
    assert_int_equal(store_watch_open(f->store, "secrets", NULL, store_revision(f->store), held_up, h, &h->watch), 0);
    assert_int_equal(store_watch_next(h->watch, &e), 0);
    _cleanup_answer_ struct answer a =
        ask(f, "POST", "/api/v1/namespaces/default/secrets", "{\"metadata\":{\"name\":\"held\"}}");
    assert_int_equal(a.code, 201);
    while (sem_wait(&h->held) < 0)
        ;
}

static void release_store(struct hold *h) {
    (void) sem_post(&h->go);
    store_watch_close(h->watch);
    (void) sem_destroy(&h->held);
    (void) sem_destroy(&h->go);
}

static void a_write_that_takes_too_long_is_given_up(void **state) {
    struct fixture f;
    struct hold h;
    fixture_new_limited(&f, false, 0, &short_times);
    fixture_start(&f);
    hold_store(&f, &h);
    _cleanup_answer_ struct answer a = ask(&f, "POST", CONFIGMAPS, "{\"metadata\":{\"name\":\"late\"}}");
    assert_status(a, 504, "Timeout", "Timeout: request did not complete within the allotted timeout");
    release_store(&h);
    /* it has come about all the same, as upstream's do; and the server has forgotten nothing of it */
    for (unsigned i = 0;; i++) {
        _cleanup_answer_ struct answer b = ask(&f, "GET", CONFIGMAPS "/late", NULL);
        if (b.code == 200)
            break;
        assert_true(i < 1000);
    }
    fixture_finish(&f);
}

struct asking {
    struct fixture *f;
    const char *user, *path, *body;
    struct answer answer;
    pthread_t thread;
};

static void *ask_impersonated(void *userdata) {
    struct asking *a = userdata;
    _cleanup_free_ char *sock = fixture_path(a->f, "sock"), *as = xasprintf("Impersonate-User: %s", a->user),
                        *url = xasprintf("http://api%s", a->path);
    struct curl_slist *h = curl_slist_append(NULL, as);
    CURL *c = curl_easy_init();
    h = curl_slist_append(h, "Content-Type: application/json");
    curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, sock);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, h);
    if (a->body)
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, a->body);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, 20L);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, fixture_write);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &a->answer.text);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, fixture_write);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, &a->answer.headers);
    if (curl_easy_perform(c) == CURLE_OK)
        curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &a->answer.code);
    curl_slist_free_all(h);
    curl_easy_cleanup(c);
    return NULL;
}

static void ask_later(struct asking *a) {
    assert_int_equal(pthread_create(&a->thread, NULL, ask_impersonated, a), 0);
}

static long metric(struct fixture *f, const char *name) {
    _cleanup_answer_ struct answer a = ask(f, "GET", "/metrics", NULL);
    const char *p = strstr(strbuf_str(&a.text), name);
    return p ? strtol(p + strlen(name), NULL, 10) : -1;
}

static void give_rights(struct fixture *f) {
    _cleanup_answer_ struct answer a =
        ask(f, "POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            "{\"metadata\":{\"name\":\"all\"},\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\","
            "\"kind\":\"ClusterRole\",\"name\":\"cluster-admin\"},\"subjects\":[{\"kind\":\"Group\","
            "\"apiGroup\":\"rbac.authorization.k8s.io\",\"name\":\"system:authenticated\"}]}");
    assert_int_equal(a.code, 201);
}

static void too_many_at_once_are_told_to_come_back(void **state) {
    struct apiserver_limits l = {.mutating_max = 4};
    struct fixture f;
    struct hold h;
    struct asking first[2] = {
        {.f = &f, .user = "alice", .path = CONFIGMAPS, .body = "{\"metadata\":{\"name\":\"a0\"}}"},
        {.f = &f, .user = "alice", .path = CONFIGMAPS, .body = "{\"metadata\":{\"name\":\"a1\"}}"}};
    struct asking more = {.f = &f, .user = "alice", .path = CONFIGMAPS, .body = "{\"metadata\":{\"name\":\"a2\"}}"},
                  bob = {.f = &f, .user = "bob", .path = CONFIGMAPS, .body = "{\"metadata\":{\"name\":\"b\"}}"},
                  reads = {.f = &f, .user = "alice", .path = CONFIGMAPS};
    fixture_new_limited(&f, false, 0, &l);
    fixture_start(&f);
    give_rights(&f);
    hold_store(&f, &h);
    ask_later(&first[0]);
    ask_later(&first[1]);
    while (metric(&f, "inflight_requests{request_kind=\"mutating\"} ") != 2)
        ;
    (void) ask_impersonated(&more);
    assert_int_equal(more.answer.code, 429);
    assert_string_equal(strbuf_str(&more.answer.text), "Too many requests, please try again later.\n");
    assert_non_null(strcasestr(strbuf_str(&more.answer.headers), "\r\nRetry-After: 1\r\n"));
    assert_int_equal(metric(&f, "apiserver_dropped_requests_total{request_kind=\"mutating\"} "), 1);
    (void) ask_impersonated(&reads);
    assert_int_equal(reads.answer.code, 200);
    ask_later(&bob); /* another user, and his share */
    while (metric(&f, "inflight_requests{request_kind=\"mutating\"} ") != 3)
        ;
    release_store(&h);
    (void) pthread_join(first[0].thread, NULL);
    (void) pthread_join(first[1].thread, NULL);
    (void) pthread_join(bob.thread, NULL);
    assert_int_equal(first[0].answer.code, 201);
    assert_int_equal(first[1].answer.code, 201);
    assert_int_equal(bob.answer.code, 201);
    answer_finish(&first[0].answer);
    answer_finish(&first[1].answer);
    answer_finish(&more.answer);
    answer_finish(&bob.answer);
    answer_finish(&reads.answer);
    fixture_finish(&f);
}

/* A state that another server of the same store has written and this one has not seen yet. */
static void a_state_that_comes_in_time_is_waited_for(void **state) {
    struct fixture *f = *state;
    static const char *const forms[] = {"/c?", "?", "?watch=1&timeoutSeconds=1&"};
    struct asking a[ARRAY_LEN(forms)];
    char paths[ARRAY_LEN(forms)][128];
    _cleanup_answer_ struct answer made = ask(f, "POST", CONFIGMAPS, "{\"metadata\":{\"name\":\"c\"}}");
    give_rights(f);
    unsigned long long next = store_revision(f->store) + 1;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        (void) snprintf(paths[i], sizeof(paths[i]), CONFIGMAPS "%sresourceVersion=%llu", forms[i], next);
        a[i] = (struct asking){.f = f, .user = "alice", .path = paths[i]};
        ask_later(&a[i]);
    }
    while (metric(f, "inflight_requests{request_kind=\"readOnly\"} ") != ARRAY_LEN(forms) + 1) /* and /metrics itself */
        ;
    _cleanup_answer_ struct answer other = ask(f, "POST", CONFIGMAPS, "{\"metadata\":{\"name\":\"other\"}}");
    assert_int_equal(other.code, 201);
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        (void) pthread_join(a[i].thread, NULL);
        assert_int_equal(a[i].answer.code, 200);
    }
    assert_non_null(strstr(strbuf_str(&a[1].answer.text), "\"other\""));
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        answer_finish(&a[i].answer);
}

/* Long lists from many connections and gets beside them: all are answered, the lists by turns. */
static void long_lists_take_turns(void **state) {
    struct fixture f;
    struct asking lists[12];
    fixture_new(&f, false, 0);
    fixture_start(&f);
    give_rights(&f);
    for (unsigned i = 0; i < 300; i++) {
        _cleanup_free_ char *body = xasprintf("{\"metadata\":{\"name\":\"c%u\"},\"data\":{\"k\":\"v\"}}", i);
        _cleanup_answer_ struct answer a = ask(&f, "POST", CONFIGMAPS, body);
        assert_int_equal(a.code, 201);
    }
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        lists[i] = (struct asking){.f = &f, .user = i % 4 ? "bad" : "good", .path = CONFIGMAPS};
        ask_later(&lists[i]);
    }
    for (unsigned i = 0; i < 20; i++) {
        _cleanup_answer_ struct answer a = ask(&f, "GET", CONFIGMAPS "/c7", NULL);
        assert_int_equal(a.code, 200);
    }
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        (void) pthread_join(lists[i].thread, NULL);
        assert_int_equal(lists[i].answer.code, 200);
        assert_non_null(strstr(strbuf_str(&lists[i].answer.text), "\"c299\""));
        answer_finish(&lists[i].answer);
    }
    assert_int_equal(metric(&f, "\npodium_turns_total "), ARRAY_LEN(lists));
    assert_int_equal(metric(&f, "\npodium_turns_waiting "), 0);
    _cleanup_answer_ struct answer page = ask(&f, "GET", CONFIGMAPS "?limit=100", NULL);
    _cleanup_answer_ struct answer gone = ask(&f, "DELETE", CONFIGMAPS, NULL);
    assert_int_equal(page.code, 200);
    assert_int_equal(gone.code, 200);
    assert_int_equal(metric(&f, "\npodium_turns_total "), ARRAY_LEN(lists) + 1); /* a page is short work */
    fixture_finish(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_and_bodies_that_trickle_are_cut_off),
        cmocka_unit_test(idle_connections_end),
        cmocka_unit_test(an_address_has_so_many_connections),
        cmocka_unit_test_setup_teardown(addresses_and_heads_are_short, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(bodies_end_somewhere, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(depth_and_number, fixture_setup_local, fixture_teardown),
        cmocka_unit_test(a_write_that_takes_too_long_is_given_up),
        cmocka_unit_test(too_many_at_once_are_told_to_come_back),
        cmocka_unit_test_setup_teardown(a_state_that_comes_in_time_is_waited_for, fixture_setup_local,
                                        fixture_teardown),
        cmocka_unit_test(long_lists_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
