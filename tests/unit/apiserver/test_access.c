/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who gets in and who may do what: certificates, tokens, anonymous, RBAC; renewed certificates while running. */
#include "podium/base/fd.h"
#include "tests/unit/apiserver/server_fixture.h"

/* Over HTTPS as a certificate's owner (NULL: nobody), on a fresh connection. */
static struct answer tls_ask(struct fixture *f, const char *who, const char *method, const char *path,
                             const char *body) {
    CURL *c = curl_easy_init();
    _cleanup_free_ char *url = xasprintf("https://127.0.0.1:%d%s", apiserver_port(f->api), path);
    _cleanup_free_ char *ca = fixture_path(f, "ca.crt"), *crt_name = xasprintf("%s.crt", who ? who : ""),
                        *key_name = xasprintf("%s.key", who ? who : ""), *crt = fixture_path(f, crt_name),
                        *key = fixture_path(f, key_name);
    curl_easy_setopt(c, CURLOPT_CAINFO, ca);
    if (who) {
        curl_easy_setopt(c, CURLOPT_SSLCERT, crt);
        curl_easy_setopt(c, CURLOPT_SSLKEY, key);
    }
    struct answer a = request_on(c, url, method, NULL, NULL, body);
    curl_easy_cleanup(c);
    return a;
}

static void test_certificates(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer admin = tls_ask(f, "admin", "GET", "/api/v1/namespaces/default", NULL);
    assert_code(admin, 200);
    _cleanup_answer_ struct answer guest = tls_ask(f, "guest", "GET", "/api/v1/namespaces/default/pods/x", NULL);
    assert_status(
        guest, 403, "Forbidden",
        "pods \"x\" is forbidden: User \"guest\" cannot get resource \"pods\" in API group \"\" in the namespace "
        "\"default\"");
    _cleanup_answer_ struct answer list = tls_ask(f, "guest", "GET", "/api/v1/nodes", NULL);
    assert_status(
        list, 403, "Forbidden",
        "nodes is forbidden: User \"guest\" cannot list resource \"nodes\" in API group \"\" at the cluster scope");
    _cleanup_answer_ struct answer discovery = tls_ask(f, "guest", "GET", "/apis", NULL);
    assert_code(discovery, 200);
    _cleanup_answer_ struct answer root = tls_ask(f, "guest", "GET", "/", NULL);
    assert_code(root, 403); /* as upstream: system:discovery does not name it */
    _cleanup_answer_ struct answer self =
        tls_ask(f, "guest", "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", "{}");
    assert_code(self, 201);
    assert_string_equal(json_str(json_path(self.body, "status", "userInfo", "username")), "guest");
}

static void test_anonymous(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer health = tls_ask(f, NULL, "GET", "/healthz", NULL);
    assert_code(health, 200);
    assert_string_equal(strbuf_str(&health.text), "ok");
    _cleanup_answer_ struct answer version = tls_ask(f, NULL, "GET", "/version", NULL);
    assert_code(version, 200);
    _cleanup_answer_ struct answer api = tls_ask(f, NULL, "GET", "/api/v1/namespaces", NULL);
    assert_status(api, 403, "Forbidden",
                  "namespaces is forbidden: User \"system:anonymous\" cannot list resource \"namespaces\" in API group "
                  "\"\" at the cluster scope");
    _cleanup_answer_ struct answer odd = tls_ask(f, NULL, "GET", "/api/v1/foos/x", NULL);
    assert_status(
        odd, 403, "Forbidden",
        "foos \"x\" is forbidden: User \"system:anonymous\" cannot get resource \"foos\" in API group \"\" at "
        "the cluster scope");
    _cleanup_answer_ struct answer discovery = tls_ask(f, NULL, "GET", "/apis", NULL);
    assert_status(discovery, 403, "Forbidden", "forbidden: User \"system:anonymous\" cannot get path \"/apis\"");
    _cleanup_answer_ struct answer nowhere = tls_ask(f, NULL, "GET", "/nowhere", NULL);
    assert_code(nowhere, 403);
}

static void test_roles(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer bind = ask(
        f, "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
        "{\"metadata\":{\"name\":\"g\"},\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":"
        "\"ClusterRole\",\"name\":"
        "\"view\"},\"subjects\":[{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"User\",\"name\":\"guest\"}]}");
    assert_code(bind, 201);
    _cleanup_answer_ struct answer here = tls_ask(f, "guest", "GET", "/api/v1/namespaces/default/pods", NULL);
    assert_code(here, 200);
    _cleanup_answer_ struct answer there = tls_ask(f, "guest", "GET", "/api/v1/namespaces/kube-system/pods", NULL);
    assert_code(there, 403);
    _cleanup_answer_ struct answer secret = tls_ask(f, "guest", "GET", "/api/v1/namespaces/default/secrets", NULL);
    assert_code(secret, 403);
    _cleanup_answer_ struct answer write =
        tls_ask(f, "guest", "POST", "/api/v1/namespaces/default/configmaps", "{\"metadata\":{\"name\":\"x\"}}");
    assert_code(write, 403);
    _cleanup_answer_ struct answer unbind =
        ask(f, "DELETE", "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings/g", NULL);
    assert_code(unbind, 200);
    _cleanup_answer_ struct answer after = tls_ask(f, "guest", "GET", "/api/v1/namespaces/default/pods", NULL);
    assert_code(after, 403);
}

static void test_foreign_certificate(void **state) {
    struct fixture *f = *state;
    char *masters[] = {(char[]){"system:masters"}, NULL};
    struct pki_request r = {.common_name = "admin", .organizations = masters, .client = true};
    _cleanup_free_ char *other = fixture_path(f, "other");
    assert_true(pki_ca_ensure(other, "other", NULL) >= 0);
    assert_true(pki_ensure(other, f->dir, "intruder", &r, NULL) >= 0);
    _cleanup_answer_ struct answer a = tls_ask(f, "intruder", "GET", "/api/v1/namespaces", NULL);
    assert_true(a.code == 401 || a.code == 0); /* or refused in the handshake */
}

static long token_code(struct fixture *f, const char *token, const char *path) {
    CURL *c = curl_easy_init();
    _cleanup_free_ char *url = xasprintf("https://127.0.0.1:%d%s", apiserver_port(f->api), path);
    _cleanup_free_ char *ca = fixture_path(f, "ca.crt");
    curl_easy_setopt(c, CURLOPT_CAINFO, ca);
    curl_easy_setopt(c, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, token);
    _cleanup_answer_ struct answer a = request_on(c, url, "GET", NULL, NULL, NULL);
    curl_easy_cleanup(c);
    return a.code;
}

static void test_tokens(void **state) {
    struct fixture *f = *state;
    assert_int_equal(token_code(f, "good", "/api/v1/namespaces"), 200);
    assert_int_equal(token_code(f, "unknown", "/api/v1/namespaces"), 401);
    assert_int_equal(token_code(f, "bad", "/api/v1/namespaces"), 401);
    assert_int_equal(token_code(f, "bad", "/version"), 401); /* shown and wrong is worse than not shown */
}

static void test_reload(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *crt = fixture_path(f, "server.crt"), *key = fixture_path(f, "server.key");
    char *names[] = {(char[]){"localhost"}, NULL};
    struct pki_request wrong = {.common_name = "api", .dns_names = names, .server = true}; /* not for 127.0.0.1 */
    _cleanup_free_ char *cert_pem = NULL;
    _cleanup_pki_key_ char *key_pem = NULL;
    _cleanup_strbuf_ struct strbuf c = STRBUF_INIT, k = STRBUF_INIT;
    assert_int_equal(file_read(crt, 1 << 20, &c, NULL), 0);
    assert_int_equal(file_read(key, 1 << 20, &k, NULL), 0);
    assert_int_equal(pki_issue(f->dir, &wrong, &cert_pem, &key_pem, NULL), 0);
    assert_int_equal(pki_install(f->dir, "server", cert_pem, key_pem, NULL), 0);
    _cleanup_answer_ struct answer before = tls_ask(f, "admin", "GET", "/version", NULL);
    assert_code(before, 200); /* not read yet */
    assert_int_equal(apiserver_reload_certificates(f->api, NULL), 0);
    _cleanup_answer_ struct answer refused = tls_ask(f, "admin", "GET", "/version", NULL);
    assert_int_equal(refused.code, 0); /* the client does not accept the new name */
    assert_int_equal(file_write_atomic(key, "rubbish", 7, 0600, false, NULL), 0);
    assert_true(apiserver_reload_certificates(f->api, NULL) < 0); /* and the running one stays */
    assert_int_equal(file_write_atomic(crt, c.data, c.len, 0644, false, NULL), 0);
    assert_int_equal(file_write_atomic(key, k.data, k.len, 0600, false, NULL), 0);
    assert_int_equal(apiserver_reload_certificates(f->api, NULL), 0);
    _cleanup_answer_ struct answer again = tls_ask(f, "admin", "GET", "/version", NULL);
    assert_code(again, 200);
}

static void test_keep_alive(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 50; i++) {
        _cleanup_answer_ struct answer a = ask(f, "GET", "/api/v1/namespaces", NULL);
        assert_code(a, 200);
        long connects;
        curl_easy_getinfo(f->curl, CURLINFO_NUM_CONNECTS, &connects);
        assert_int_equal(connects, i == 0 ? 1 : 0);
    }
}

int main(void) {
    (void) curl_global_init(CURL_GLOBAL_ALL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_certificates, fixture_setup_tcp, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_anonymous, fixture_setup_tcp, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_roles, fixture_setup_tcp, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_foreign_certificate, fixture_setup_tcp, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_tokens, fixture_setup_tcp, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_reload, fixture_setup_tcp, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_keep_alive, fixture_setup_tcp, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
