/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"
#include "podium/base/path.h"
#include "tests/unit/pki/pki_folder.h"

static mode_t mode_of(const char *dir, const char *name) {
    _cleanup_free_ char *path = path_join(dir, name);
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static char *groups[] = {"system:nodes", "odd, \"group\"+=\\", NULL};
static char *names[] = {"localhost", "*.example.org", NULL};
static char *addresses[] = {"127.0.0.1", "fd00::1", NULL};

static struct pki_request node_request(void) {
    return (struct pki_request){
        .common_name = "system:node:n1",
        .organizations = groups,
        .dns_names = names,
        .ip_addresses = addresses,
        .server = true,
        .client = true,
    };
}

static void test_ca_is_made_once(void **state) {
    const char *dir = *state;
    char hash[PKI_SHA256_HEX_SIZE], again[PKI_SHA256_HEX_SIZE];

    assert_int_equal(pki_ca_ensure(dir, "test authority", NULL), 1);
    assert_int_equal(mode_of(dir, "ca.key"), 0600);
    assert_int_equal(mode_of(dir, "ca.crt"), 0644);
    assert_int_equal(pki_ca_hash(dir, hash, NULL), 0);
    assert_int_equal(strlen(hash), 64);
    assert_int_equal(pki_ca_ensure(dir, "test authority", NULL), 0);
    assert_int_equal(pki_ca_hash(dir, again, NULL), 0);
    assert_string_equal(hash, again);

    /* crash between the two files: the key is kept */
    _cleanup_free_ char *crt = path_join(dir, "ca.crt");
    assert_int_equal(unlink(crt), 0);
    assert_int_equal(pki_ca_ensure(dir, "test authority", NULL), 1);
    assert_int_equal(pki_ca_hash(dir, again, NULL), 0);
    assert_string_equal(hash, again);
}

static void test_ca_trouble_is_told(void **state) {
    const char *dir = *state;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_free_ char *other = path_join(dir, "other"), *key = path_join(dir, "ca.key");

    assert_int_equal(pki_ca_ensure(dir, "a", NULL), 1);
    assert_int_equal(pki_ca_ensure(other, "b", NULL), 1);
    _cleanup_free_ char *wrong = read_text(other, "ca.key");
    write_text(dir, "ca.key", wrong);
    assert_int_equal(pki_ca_ensure(dir, "a", &err), -EBADMSG);
    assert_int_equal(unlink(key), 0);
    assert_int_equal(pki_ca_ensure(dir, "a", &err), -ENOKEY);
    assert_non_null(strstr(error_text(&err, 0), "ca.key"));
    write_text(dir, "ca.key", "not a key");
    assert_int_equal(pki_ca_ensure(dir, "a", &err), -EINVAL);
}

static void test_issued_identity(void **state) {
    const char *dir = *state;
    struct pki_request request = node_request();
    _cleanup_free_ char *cert = NULL;
    _cleanup_pki_key_ char *key = NULL;
    _cleanup_(pki_identity_finish) struct pki_identity id = {0};

    assert_int_equal(pki_ca_ensure(dir, "a", NULL), 1);
    assert_int_equal(pki_issue(dir, &request, &cert, &key, NULL), 0);
    assert_int_equal(pki_identity_from_pem(cert, &id, NULL), 0);
    assert_string_equal(id.common_name, "system:node:n1");
    assert_int_equal(strv_len(id.organizations), 2);
    assert_string_equal(id.organizations[0], "system:nodes");
    assert_string_equal(id.organizations[1], "odd, \"group\"+=\\"); /* no escapes added */
    int64_t left = id.expires_sec - (int64_t) (now_realtime_usec() / USEC_PER_SEC);
    assert_true(left > 23 * 3600 && left <= 24 * 3600);
}

static void test_bad_requests(void **state) {
    const char *dir = *state;
    char *bad_ip[] = {"10.0.0.256", NULL}, *bad_dns[] = {"a b", NULL};
    char *cert = NULL, *key = NULL;
    struct pki_request no_name = {.client = true}, no_use = {.common_name = "x"};
    struct pki_request ip = {.common_name = "x", .client = true, .ip_addresses = bad_ip};
    struct pki_request dns = {.common_name = "x", .client = true, .dns_names = bad_dns};
    struct pki_request fine = {.common_name = "x", .client = true};

    assert_int_equal(pki_issue(dir, &fine, &cert, &key, NULL), -ENOENT); /* no authority yet */
    assert_int_equal(pki_ca_ensure(dir, "a", NULL), 1);
    assert_int_equal(pki_issue(dir, &no_name, &cert, &key, NULL), -EINVAL);
    assert_int_equal(pki_issue(dir, &no_use, &cert, &key, NULL), -EINVAL);
    assert_int_equal(pki_issue(dir, &ip, &cert, &key, NULL), -EINVAL);
    assert_int_equal(pki_issue(dir, &dns, &cert, &key, NULL), -EINVAL);
    assert_int_equal(pki_ensure(dir, dir, "../up", &fine, NULL), -EINVAL);
    assert_null(cert);
    assert_null(key);
}

static void test_ensure_reissues_when_needed(void **state) {
    const char *dir = *state;
    _cleanup_free_ char *leaf = path_join(dir, "leaf"), *path = path_join(dir, "leaf/node.crt");
    _cleanup_free_ char *other = path_join(dir, "other");
    struct pki_request request = node_request();
    char *more[] = {"localhost", "node1", NULL};

    assert_int_equal(pki_ca_ensure(dir, "a", NULL), 1);
    assert_int_equal(pki_renew_in_sec(path), 0);
    assert_int_equal(pki_ensure(dir, leaf, "node", &request, NULL), 1);
    assert_int_equal(mode_of(leaf, "node.key"), 0600);
    assert_int_equal(pki_ensure(dir, leaf, "node", &request, NULL), 0);
    assert_in_range(pki_renew_in_sec(path), 15 * 3600, 16 * 3600);

    request.dns_names = more;
    assert_int_equal(pki_ensure(dir, leaf, "node", &request, NULL), 1);
    request.client = false;
    assert_int_equal(pki_ensure(dir, leaf, "node", &request, NULL), 1);
    request.organizations = NULL;
    assert_int_equal(pki_ensure(dir, leaf, "node", &request, NULL), 1);
    assert_int_equal(pki_ensure(dir, leaf, "node", &request, NULL), 0);

    write_text(leaf, "node.key", "torn");
    assert_int_equal(pki_ensure(dir, leaf, "node", &request, NULL), 1);
    assert_int_equal(pki_ca_ensure(other, "a", NULL), 1); /* another authority of the same name */
    assert_int_equal(pki_ensure(other, leaf, "node", &request, NULL), 1);

    request.lifetime_sec = 3600; /* the setting was made shorter */
    assert_int_equal(pki_ensure(other, leaf, "node", &request, NULL), 1);
    assert_int_equal(pki_ensure(other, leaf, "node", &request, NULL), 0);

    request.lifetime_sec = 3; /* due after two seconds */
    request.common_name = "short";
    assert_int_equal(pki_ensure(dir, leaf, "node", &request, NULL), 1);
    sleep(3);
    assert_int_equal(pki_renew_in_sec(path), 0);
    assert_int_equal(pki_ensure(dir, leaf, "node", &request, NULL), 1);
}

static void test_signing_request(void **state) {
    const char *dir = *state;
    _cleanup_free_ char *csr = NULL, *cert = NULL, *leaf = path_join(dir, "leaf");
    _cleanup_pki_key_ char *key = NULL;
    _cleanup_pki_key_ char *foreign = NULL;
    _cleanup_free_ char *foreign_csr = NULL;
    _cleanup_(pki_identity_finish) struct pki_identity id = {0};
    struct pki_request decided = {.common_name = "system:node:n2", .organizations = groups, .client = true};

    assert_int_equal(pki_ca_ensure(dir, "a", NULL), 1);
    assert_int_equal(pki_csr_new("system:masters-please", &csr, &key, NULL), 0);
    assert_int_equal(pki_csr_sign(dir, csr, &decided, &cert, NULL), 0);
    assert_int_equal(pki_identity_from_pem(cert, &id, NULL), 0);
    assert_string_equal(id.common_name, "system:node:n2"); /* the server's word counts */
    assert_int_equal(pki_install(leaf, "node", cert, key, NULL), 0);
    assert_int_equal(pki_ensure(dir, leaf, "node", &decided, NULL), 0);
    assert_int_equal(pki_csr_new("x", &foreign_csr, &foreign, NULL), 0);
    assert_int_equal(pki_install(leaf, "node", cert, foreign, NULL), -EBADMSG);
    char *none = NULL;
    csr[strlen(csr) / 2] ^= 1;
    assert_int_equal(pki_csr_sign(dir, csr, &decided, &none, NULL), -EINVAL);
    assert_int_equal(pki_csr_sign(dir, "", &decided, &none, NULL), -EINVAL);
}

/* --- TLS between a server and a client thread --- */

struct tls_side {
    int fd;
    bool server;
    const char *ca_dir, *dir, *name, *host;
    int result; /* of pki_peer_identity */
    struct pki_identity peer;
};

static void *run_side(void *userdata) {
    struct tls_side *side = userdata;
    gnutls_certificate_credentials_t credentials;
    gnutls_session_t session;
    _cleanup_free_ char *ca = path_join(side->ca_dir, "ca.crt");
    _cleanup_free_ char *crt = xasprintf("%s/%s.crt", side->dir, side->name);
    _cleanup_free_ char *key = xasprintf("%s/%s.key", side->dir, side->name);
    int rc;

    gnutls_certificate_allocate_credentials(&credentials);
    gnutls_certificate_set_x509_trust_file(credentials, ca, GNUTLS_X509_FMT_PEM);
    if (side->name)
        gnutls_certificate_set_x509_key_file(credentials, crt, key, GNUTLS_X509_FMT_PEM);
    gnutls_init(&session, side->server ? GNUTLS_SERVER : GNUTLS_CLIENT);
    gnutls_set_default_priority(session);
    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
    if (side->server)
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
    gnutls_transport_set_int(session, side->fd);
    do
        rc = gnutls_handshake(session);
    while (rc < 0 && !gnutls_error_is_fatal(rc));
    side->result = rc < 0 ? -EPROTO : pki_peer_identity(session, side->host, &side->peer, NULL);
    gnutls_bye(session, GNUTLS_SHUT_WR);
    gnutls_deinit(session);
    gnutls_certificate_free_credentials(credentials);
    return NULL;
}

static void shake(struct tls_side *server, struct tls_side *client) {
    int pair[2];
    pthread_t thread;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    server->fd = pair[0];
    client->fd = pair[1];
    server->server = true;
    assert_int_equal(pthread_create(&thread, NULL, run_side, server), 0);
    run_side(client);
    pthread_join(thread, NULL);
    close(pair[0]);
    close(pair[1]);
}

static void test_tls_peers(void **state) {
    const char *dir = *state;
    _cleanup_free_ char *other = path_join(dir, "other");
    struct pki_request server_request = {
        .common_name = "api", .dns_names = names, .ip_addresses = addresses, .server = true};
    struct pki_request client_request = {.common_name = "alice", .organizations = groups, .client = true};

    assert_int_equal(pki_ca_ensure(dir, "a", NULL), 1);
    assert_int_equal(pki_ca_ensure(other, "a", NULL), 1);
    assert_int_equal(pki_ensure(dir, dir, "server", &server_request, NULL), 1);
    assert_int_equal(pki_ensure(dir, dir, "client", &client_request, NULL), 1);
    assert_int_equal(pki_ensure(other, other, "client", &client_request, NULL), 1);

    static const struct {
        const char *host, *client;
        bool foreign;
        int at_server, at_client;
    } cases[] = {
        {"localhost", "client", false, 0, 0},       {"fd00::1", "client", false, 0, 0},
        {"elsewhere", "client", false, 0, -EACCES}, {"", "client", false, 0, 0},
        {"127.0.0.1", NULL, false, -ENODATA, 0},    {"localhost", "client", true, -EACCES, -EACCES},
        {"localhost", "server", false, -EACCES, 0}, /* a server's certificate is no client's */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *client_dir = cases[i].foreign ? other : dir;
        struct tls_side server = {.ca_dir = dir, .dir = dir, .name = "server"};
        struct tls_side client = {
            .ca_dir = client_dir, .dir = client_dir, .name = cases[i].client, .host = cases[i].host};
        shake(&server, &client);
        assert_int_equal(server.result, cases[i].at_server);
        assert_int_equal(client.result, cases[i].at_client);
        if (server.result == 0)
            assert_string_equal(server.peer.common_name, "alice");
        if (client.result == 0)
            assert_string_equal(client.peer.common_name, "api");
        pki_identity_finish(&server.peer);
        pki_identity_finish(&client.peer);
    }
}

static void test_garbage_certificates(void **state) {
    struct pki_identity id = {0};
    unsigned char noise[200];
    int64_t sec;

    memset(noise, 0x30, sizeof(noise));
    assert_int_equal(pki_identity_from_der(noise, sizeof(noise), &id, NULL), -EINVAL);
    assert_int_equal(pki_identity_from_der(NULL, 0, &id, NULL), -EINVAL);
    assert_int_equal(pki_identity_from_pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &id, NULL),
                     -EINVAL);
    assert_int_equal(pki_expiry("/nonexistent", &sec, NULL), -ENOENT);
}

static void test_signing_key(void **state) {
    const char *dir = *state;
    _cleanup_free_ char *path = path_join(dir, "sa.key"), *pub = path_join(dir, "sa.key.pub");

    assert_int_equal(pki_signing_key_ensure(path, NULL), 1);
    assert_int_equal(mode_of(dir, "sa.key"), 0600);
    _cleanup_free_ char *first = read_text(dir, "sa.key.pub");
    assert_non_null(strstr(first, "BEGIN PUBLIC KEY"));
    assert_int_equal(pki_signing_key_ensure(path, NULL), 0);
    assert_int_equal(unlink(pub), 0);
    assert_int_equal(pki_signing_key_ensure(path, NULL), 0);
    _cleanup_free_ char *second = read_text(dir, "sa.key.pub");
    assert_string_equal(first, second);
}

static void test_small_cryptography(void **state) {
    char hex[PKI_SHA256_HEX_SIZE], token[PKI_JOIN_TOKEN_SIZE], other[PKI_JOIN_TOKEN_SIZE];

    pki_sha256_hex("abc", 3, hex); /* FIPS 180-2 appendix B.1 */
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    pki_join_token_new(token);
    pki_join_token_new(other);
    assert_int_equal(strspn(token, "abcdefghijklmnopqrstuvwxyz0123456789"), 6);
    assert_int_equal(token[6], '.');
    assert_int_equal(strspn(token + 7, "abcdefghijklmnopqrstuvwxyz0123456789"), 16);
    assert_string_not_equal(token, other);
    assert_true(pki_secret_equal(token, token));
    assert_false(pki_secret_equal(token, other));
    assert_false(pki_secret_equal(token, ""));
    assert_false(pki_secret_equal("", token));
    assert_false(pki_secret_equal("ab", "abab"));
    assert_false(pki_secret_equal(NULL, token));
    assert_false(pki_secret_equal(NULL, NULL));
    assert_true(pki_secret_equal("", ""));
    _cleanup_free_ char *random = pki_random_hex(16);
    assert_int_equal(strlen(random), 32);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_ca_is_made_once),
        TEST(test_ca_trouble_is_told),
        TEST(test_issued_identity),
        TEST(test_bad_requests),
        TEST(test_ensure_reissues_when_needed),
        TEST(test_signing_request),
        TEST(test_tls_peers),
        TEST(test_garbage_certificates),
        TEST(test_signing_key),
        cmocka_unit_test(test_small_cryptography),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
