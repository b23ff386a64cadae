/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was allowed once is not looked up again, until it is allowed no more: in-process and on a connection. */
#include "orchestrator/apiserver/local_client.h"
#include "tests/unit/apiserver/as.h"

#define MAPS "/api/v1/namespaces/default/configmaps"

struct part {
    sd_event *loop;
    struct client *client;
    int code;
};

static void done(void *userdata, const struct client_result *r) {
    ((struct part *) userdata)->code = r->code;
}

static int lists(struct part *p, const char *plural, const char *ns) {
    const struct client_request r = {.verb = CLIENT_LIST, .resource = resource_by_plural("", "v1", plural), .ns = ns};
    p->code = 0;
    assert_non_null(client_start(p->client, &r, done, p));
    while (p->code == 0)
        assert_true(sd_event_run(p->loop, UINT64_MAX) >= 0);
    return p->code;
}

/* The binding's path, to take it back. */
static char *bound(struct fixture *f, const char *ns, const char *role, const char *user) {
    bind_to(f, ns, role, "User", user);
    _cleanup_free_ char *all =
        ns ? xasprintf(RBAC_PATH "/namespaces/%s/rolebindings", ns) : xstrdup(RBAC_PATH "/clusterrolebindings");
    _cleanup_answer_ struct answer a = ask(f, "GET", all, NULL);
    const struct json *items = json_get(a.body, "items");
    for (size_t i = 0; i < json_len(items); i++)
        if (strcmp(json_str_or(json_path(json_at(json_get(json_at(items, i), "subjects"), 0), "name"), ""), user) == 0)
            return xasprintf("%s/%s", all, json_str(json_path(json_at(items, i), "metadata", "name")));
    fail();
    return NULL;
}

static void take_back(struct fixture *f, const char *path) {
    _cleanup_answer_ struct answer a = ask(f, "DELETE", path, NULL);
    assert_code(a, 200);
}

static void test_part(void **state) {
    struct fixture *f = *state;
    struct part p = {0};
    assert_true(sd_event_new(&p.loop) >= 0);
    assert_int_equal(local_client_new(p.loop, f->api, "part", NULL, &p.client, NULL), 0);
    assert_int_equal(lists(&p, "configmaps", "default"), 403);
    _cleanup_free_ char *here = bound(f, "default", "view", "part");
    assert_int_equal(lists(&p, "configmaps", "default"), 200);
    assert_int_equal(lists(&p, "configmaps", "kube-system"),
                     403); /* what holds in one namespace is not remembered for all */
    _cleanup_free_ char *everywhere = bound(f, NULL, "view", "part");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(lists(&p, "configmaps", "default"), 200);
        assert_int_equal(lists(&p, "configmaps", "kube-system"), 200);
        assert_int_equal(lists(&p, "secrets", "default"), 403);
    }
    take_back(f, everywhere);
    assert_int_equal(lists(&p, "configmaps", "kube-system"), 403);
    assert_int_equal(lists(&p, "configmaps", "default"), 200);
    take_back(f, here);
    assert_int_equal(lists(&p, "configmaps", "default"), 403);
    client_free(p.client);
    sd_event_unref(p.loop);
}

static void test_connection(void **state) {
    struct fixture *f = *state;
    CURL *c = curl_easy_init();
    _cleanup_free_ char *url = xasprintf("https://127.0.0.1:%d" MAPS, apiserver_port(f->api)),
                        *ca = fixture_path(f, "ca.crt"), *crt = fixture_path(f, "guest.crt"),
                        *key = fixture_path(f, "guest.key");
    curl_easy_setopt(c, CURLOPT_CAINFO, ca);
    curl_easy_setopt(c, CURLOPT_SSLCERT, crt);
    curl_easy_setopt(c, CURLOPT_SSLKEY, key);
    for (int round = 0; round < 3; round++) {
        _cleanup_answer_ struct answer before = request_on(c, url, "GET", NULL, NULL, NULL);
        assert_code(before, 403);
        _cleanup_free_ char *path = bound(f, NULL, "view", "guest");
        for (int i = 0; i < 2; i++) {
            _cleanup_answer_ struct answer now = request_on(c, url, "GET", NULL, NULL, NULL);
            assert_code(now, 200);
        }
        take_back(f, path);
        _cleanup_answer_ struct answer after = request_on(c, url, "GET", NULL, NULL, NULL);
        assert_code(after, 403);
    }
    curl_easy_cleanup(c);
}

int main(void) {
    (void) curl_global_init(CURL_GLOBAL_ALL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_part, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_connection, fixture_setup_tcp, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
