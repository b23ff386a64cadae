/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Clients that are slow in the middle of a TLS handshake: they cost nothing, and are served in the end. */
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "tests/unit/apiserver/server_fixture.h"

#define STALLED 20

struct client {
    int fd;
    gnutls_session_t session;
    gnutls_certificate_credentials_t credentials;
    bool halves;  /* each record goes in two, with a pause between them */
    bool stalled; /* reads nothing */
};

static ssize_t push(gnutls_transport_ptr_t p, const void *data, size_t n) {
    const struct client *c = p;
    size_t first = c->halves ? n / 2 : n;
    if (fd_write_all(c->fd, data, first) < 0)
        return -1;
    if (c->halves)
        (void) poll(NULL, 0, 20);
    return fd_write_all(c->fd, (const char *) data + first, n - first) < 0 ? -1 : (ssize_t) n;
}

static ssize_t pull(gnutls_transport_ptr_t p, void *data, size_t n) {
    const struct client *c = p;
    errno = EAGAIN;
    return c->stalled ? -1 : recv(c->fd, data, n, MSG_DONTWAIT);
}

static void client_init(struct client *c, const struct fixture *f) {
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t) apiserver_port(f->api)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *c = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(connect(c->fd, (struct sockaddr *) &a, sizeof(a)), 0);
    assert_true(gnutls_certificate_allocate_credentials(&c->credentials) >= 0);
    assert_true(gnutls_init(&c->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK) >= 0);
    assert_true(gnutls_set_default_priority(c->session) >= 0);
    assert_true(gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->credentials) >= 0);
    gnutls_transport_set_ptr(c->session, c);
    gnutls_transport_set_push_function(c->session, push);
    gnutls_transport_set_pull_function(c->session, pull);
}

static void client_finish(struct client *c) {
    gnutls_deinit(c->session);
    gnutls_certificate_free_credentials(c->credentials);
    (void) close(c->fd);
}

static void client_wait(const struct client *c) {
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 20000), 1);
}

/* The first message; then it says nothing although the server has answered. */
static void client_stall(struct client *c) {
    c->stalled = true;
    assert_int_equal(gnutls_handshake(c->session), GNUTLS_E_AGAIN);
    client_wait(c);
    c->stalled = false;
}

static void client_get(struct client *c) {
    static const char request[] = "GET /livez HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n";
    char answer[1024];
    ssize_t n;
    int r;
    while ((r = gnutls_handshake(c->session)) == GNUTLS_E_AGAIN)
        client_wait(c);
    assert_int_equal(r, GNUTLS_E_SUCCESS);
    assert_int_equal(gnutls_record_send(c->session, request, sizeof(request) - 1), sizeof(request) - 1);
    while ((n = gnutls_record_recv(c->session, answer, sizeof(answer) - 1)) == GNUTLS_E_AGAIN)
        client_wait(c);
    assert_true(n > 0);
    answer[n] = 0;
    assert_non_null(strstr(answer, "HTTP/1.1 200"));
}

static uint64_t cpu_usec(void) {
    struct timespec t;
    (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / 1000;
}

static void test_stalled_clients(void **state) {
    struct client c[STALLED];
    struct fixture f;
    fixture_new(&f, true, 0);
    fixture_start(&f);
    for (int i = 0; i < STALLED; i++) {
        client_init(&c[i], &f);
        client_stall(&c[i]);
    }
    uint64_t before = cpu_usec();
    (void) poll(NULL, 0, 500);
    assert_true(cpu_usec() - before < 100000);
    for (int i = 0; i < STALLED / 2; i++)
        client_get(&c[i]);
    struct client slow; /* records in pieces: waits inside of them */
    client_init(&slow, &f);
    slow.halves = true;
    client_get(&slow);
    client_finish(&slow);
    for (int i = 0; i < STALLED / 4; i++) /* some leave without a word */
        client_finish(&c[STALLED - 1 - i]);
    fixture_finish(&f); /* and some are there when the server stops */
    for (int i = 0; i < STALLED - STALLED / 4; i++)
        client_finish(&c[i]);
}

static void *get_soon(void *c) {
    (void) poll(NULL, 0, 100);
    client_get(c); /* what fails here ends the program */
    return NULL;
}

/* A client that was let in before the server began to stop is served, also when its handshake was not done. */
static void test_stop(void **state) {
    struct client c[2];
    struct fixture f;
    pthread_t thread;
    fixture_new(&f, true, 0);
    fixture_start(&f);
    for (int i = 0; i < 2; i++) {
        client_init(&c[i], &f);
        client_stall(&c[i]);
    }
    assert_int_equal(pthread_create(&thread, NULL, get_soon, &c[0]), 0);
    fixture_finish(&f); /* the other one says nothing more, and is not waited for */
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (int i = 0; i < 2; i++)
        client_finish(&c[i]);
}

/* --- tickets --- */

/* One request for what only the administrator may read; ticket: of an earlier connection, replaced by a new one. */
static bool admin_reads(const struct fixture *f, gnutls_datum_t *ticket) {
    static const char request[] = "GET /api/v1/namespaces/kube-system/configmaps HTTP/1.1\r\nHost: api\r\n\r\n";
    _cleanup_free_ char *crt = fixture_path(f, "admin.crt"), *key = fixture_path(f, "admin.key");
    struct client c;
    char answer[4096];
    ssize_t n;
    int r;
    client_init(&c, f);
    assert_true(gnutls_certificate_set_x509_key_file(c.credentials, crt, key, GNUTLS_X509_FMT_PEM) >= 0);
    if (ticket->size > 0)
        assert_int_equal(gnutls_session_set_data(c.session, ticket->data, ticket->size), 0);
    while ((r = gnutls_handshake(c.session)) == GNUTLS_E_AGAIN)
        client_wait(&c);
    assert_int_equal(r, GNUTLS_E_SUCCESS);
    assert_int_equal(gnutls_record_send(c.session, request, sizeof(request) - 1), sizeof(request) - 1);
    while ((n = gnutls_record_recv(c.session, answer, sizeof(answer) - 1)) == GNUTLS_E_AGAIN)
        client_wait(&c);
    assert_true(n > 0);
    answer[n] = 0;
    assert_non_null(strstr(answer, "HTTP/1.1 200"));
    bool resumed = gnutls_session_is_resumed(c.session);
    gnutls_free(ticket->data);
    assert_int_equal(gnutls_session_get_data2(c.session, ticket), 0);
    client_finish(&c);
    return resumed;
}

/* Who comes back with a ticket is who he was, and only as long as the certificates are those he came under. */
static void test_tickets(void **state) {
    struct fixture f;
    gnutls_datum_t ticket = {0};
    fixture_new(&f, true, 0);
    fixture_start(&f);
    assert_false(admin_reads(&f, &ticket));
    assert_true(admin_reads(&f, &ticket));
    assert_true(admin_reads(&f, &ticket));
    assert_int_equal(apiserver_reload_certificates(f.api, NULL), 0);
    assert_false(admin_reads(&f, &ticket));
    gnutls_free(ticket.data);
    fixture_finish(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stalled_clients),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_tickets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
