/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What monitoring asks: health, single checks, metrics, and who may. */
#include "tests/unit/apiserver/server_fixture.h"

#define CM "/api/v1/namespaces/default/configmaps"

static void expect_text(struct fixture *f, const char *path, long code, const char *text) {
    _cleanup_answer_ struct answer a = ask(f, "GET", path, NULL);
    assert_code(a, code);
    assert_string_equal(strbuf_str(&a.text), text);
}

static void test_health(void **state) {
    struct fixture *f = *state;
    expect_text(f, "/healthz", 200, "ok");
    expect_text(f, "/readyz/etcd", 200, "ok");
    expect_text(f, "/livez/poststarthook/rbac/bootstrap-roles", 200, "ok");
    expect_text(f, "/livez?verbose", 200,
                "[+]ping ok\n[+]log ok\n[+]etcd ok\n[+]poststarthook/rbac/bootstrap-roles ok\nlivez check passed\n");
    expect_text(f, "/readyz?verbose&exclude=etcd&exclude=tea", 200,
                "[+]ping ok\n[+]log ok\n[+]etcd excluded: ok\n[+]etcd-readiness ok\n[+]informer-sync ok\n"
                "[+]poststarthook/rbac/bootstrap-roles ok\n"
                "warn: some health checks cannot be excluded: no matches for \"tea\"\nreadyz check passed\n");
    _cleanup_answer_ struct answer none = ask(f, "GET", "/livez/etcd-readiness", NULL);
    assert_code(none, 404);
}

static void test_failing_check(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer d =
        ask(f, "DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin", NULL);
    assert_code(d, 200);
    expect_text(f, "/readyz/poststarthook/rbac/bootstrap-roles", 500, "internal server error: not ready\n");
    _cleanup_answer_ struct answer all = ask(f, "GET", "/livez", NULL);
    assert_code(all, 500);
    assert_non_null(strstr(strbuf_str(&all.text), "[-]poststarthook/rbac/bootstrap-roles failed: reason withheld\n"));
    expect_text(f, "/livez?exclude=poststarthook/rbac/bootstrap-roles", 200, "ok");
}

static void expect_line(const struct answer *a, const char *line) {
    const char *text = strbuf_str(&a->text), *at = strstr(text, line);
    while (at && at != text && at[-1] != '\n')
        at = strstr(at + 1, line);
    if (!at)
        fail_msg("no line %s in\n%.3000s", line, strbuf_str(&a->text));
}

static void test_metrics(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 3; i++) {
        _cleanup_answer_ struct answer none = ask(f, "GET", CM "/none", NULL);
        assert_code(none, 404);
    }
    _cleanup_answer_ struct answer made = ask(f, "POST", CM, "{\"metadata\":{\"name\":\"a\"}}");
    assert_code(made, 201);
    _cleanup_answer_ struct answer list = ask(f, "GET", CM, NULL);
    assert_code(list, 200);
    _cleanup_answer_ struct answer m = ask(f, "GET", "/metrics", NULL);
    assert_code(m, 200);
    assert_non_null(strstr(strbuf_str(&m.headers), "text/plain; version=0.0.4"));
#define CONFIGMAPS(scope, verb)                                                                                        \
    "component=\"apiserver\",dry_run=\"\",group=\"\",resource=\"configmaps\",scope=\"" scope                           \
    "\",subresource=\"\",verb=\"" verb "\",version=\"v1\""
    expect_line(&m, "apiserver_request_total{code=\"404\"," CONFIGMAPS("resource", "GET") "} 3\n");
    expect_line(&m, "apiserver_request_total{code=\"201\"," CONFIGMAPS("resource", "POST") "} 1\n");
    expect_line(&m, "apiserver_request_total{code=\"200\"," CONFIGMAPS("namespace", "LIST") "} 1\n");
    expect_line(&m, "apiserver_request_duration_seconds_count{" CONFIGMAPS("resource", "GET") "} 3\n");
    expect_line(&m, "apiserver_request_duration_seconds_bucket{" CONFIGMAPS("resource", "GET") ",le=\"+Inf\"} 3\n");
    expect_line(&m, "apiserver_current_inflight_requests{request_kind=\"readOnly\"} 1\n"); /* this one */
    expect_line(&m, "apiserver_current_inflight_requests{request_kind=\"mutating\"} 0\n");
    expect_line(&m, "apiserver_longrunning_requests{component=\"apiserver\",verb=\"WATCH\"} 0\n");
    expect_line(&m, "apiserver_storage_objects{resource=\"namespaces\"} 4\n");
    expect_line(&m, "process_start_time_seconds ");
    expect_line(&m, "process_resident_memory_bytes ");
}

/* Anybody may ask whether we are well; figures are for those whom a role lets. */
static void test_permission(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *ca = fixture_path(f, "ca.crt"), *crt = fixture_path(f, "guest.crt"),
                        *key = fixture_path(f, "guest.key");
    CURL *c = curl_easy_init();
    curl_easy_setopt(c, CURLOPT_CAINFO, ca);
    curl_easy_setopt(c, CURLOPT_SSLCERT, crt);
    curl_easy_setopt(c, CURLOPT_SSLKEY, key);
    _cleanup_free_ char *metrics = xasprintf("https://localhost:%d/metrics", apiserver_port(f->api)),
                        *health = xasprintf("https://localhost:%d/livez", apiserver_port(f->api));
    _cleanup_answer_ struct answer no = request_on(c, metrics, "GET", NULL, NULL, NULL);
    _cleanup_answer_ struct answer well = request_on(c, health, "GET", NULL, NULL, NULL);
    assert_status(no, 403, "Forbidden", "forbidden: User \"guest\" cannot get path \"/metrics\"");
    assert_code(well, 200);
    _cleanup_answer_ struct answer bound =
        ask(f, "POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            "{\"metadata\":{\"name\":\"watcher\"},\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\","
            "\"kind\":\"ClusterRole\",\"name\":\"system:monitoring\"},\"subjects\":[{\"apiGroup\":"
            "\"rbac.authorization.k8s.io\",\"kind\":\"User\",\"name\":\"guest\"}]}");
    assert_code(bound, 201);
    _cleanup_answer_ struct answer yes = request_on(c, metrics, "GET", NULL, NULL, NULL);
    assert_code(yes, 200);
    curl_easy_cleanup(c);
}

int main(void) {
    (void) curl_global_init(CURL_GLOBAL_ALL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_health, fixture_setup_tcp, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_failing_check, fixture_setup_tcp, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_metrics, fixture_setup_tcp, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_permission, fixture_setup_tcp, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
