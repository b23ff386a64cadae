/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Acting as somebody else: whose rights count, who may be it, and what is said where he may not. */
#include "tests/unit/apiserver/server_fixture.h"

#define REVIEW "/apis/authentication.k8s.io/v1/selfsubjectreviews"
#define RBAC   "/apis/rbac.authorization.k8s.io/v1/"

/* A GET as the owner of a certificate with headers of its own, ended by NULL; a POST of {} for reviews. */
static struct answer get_as(struct fixture *f, const char *who, const char *path, const char *const *headers) {
    struct answer a = {0};
    CURL *c = curl_easy_init();
    struct curl_slist *h = curl_slist_append(NULL, "Content-Type: application/json");
    _cleanup_free_ char *url = xasprintf("https://127.0.0.1:%d%s", apiserver_port(f->api), path),
                        *crt_name = xasprintf("%s.crt", who), *key_name = xasprintf("%s.key", who),
                        *crt = fixture_path(f, crt_name), *key = fixture_path(f, key_name),
                        *ca = fixture_path(f, "ca.crt");
    for (; *headers; headers++)
        h = curl_slist_append(h, *headers);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_CAINFO, ca);
    curl_easy_setopt(c, CURLOPT_SSLCERT, crt);
    curl_easy_setopt(c, CURLOPT_SSLKEY, key);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, h);
    if (strcmp(path, REVIEW) == 0)
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, "{}");
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, fixture_write);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &a.text);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, 20L);
    assert_int_equal(curl_easy_perform(c), CURLE_OK);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &a.code);
    curl_slist_free_all(h);
    curl_easy_cleanup(c);
    if (json_parse(strbuf_str(&a.text), a.text.len, NULL, &a.body, NULL) < 0)
        a.body = NULL;
    return a;
}
#define get_with(f, who, path, ...) get_as(f, who, path, (const char *const[]){__VA_ARGS__, NULL})

static void allow_guest(struct fixture *f, const char *rules) {
    _cleanup_free_ char *role = xasprintf("{\"metadata\":{\"name\":\"actor\"},\"rules\":[%s]}", rules);
    _cleanup_answer_ struct answer made = ask(f, "POST", RBAC "clusterroles", role);
    assert_code(made, 201);
    _cleanup_answer_ struct answer bound =
        ask(f, "POST", RBAC "clusterrolebindings",
            "{\"metadata\":{\"name\":\"actor\"},\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":"
            "\"ClusterRole\",\"name\":\"actor\"},\"subjects\":[{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":"
            "\"User\",\"name\":\"guest\"}]}");
    assert_code(bound, 201);
}

/* The administrator as somebody else has that one's rights and not his own. */
static void test_rights(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer own = get_with(f, "admin", "/api/v1/nodes", "Accept: application/json");
    assert_code(own, 200);
    _cleanup_answer_ struct answer jane = get_with(f, "admin", "/api/v1/nodes", "Impersonate-User: jane");
    assert_status(
        jane, 403, "Forbidden",
        "nodes is forbidden: User \"jane\" cannot list resource \"nodes\" in API group \"\" at the cluster scope");
    _cleanup_answer_ struct answer master =
        get_with(f, "admin", "/api/v1/nodes", "Impersonate-User: jane", "Impersonate-Group: system:masters");
    assert_code(master, 200);
}

static void test_identity(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer jane =
        get_with(f, "admin", REVIEW, "Impersonate-User: jane", "Impersonate-Group: one", "impersonate-group: two",
                 "Impersonate-Uid: 7", "Impersonate-Extra-Acme.com%2FProject: x", "Impersonate-Extra-scope: y");
    assert_code(jane, 201);
    const struct json *u = json_path(jane.body, "status", "userInfo");
    _cleanup_free_ char *text = json_to_text(u);
    assert_string_equal(text,
                        "{\"username\":\"jane\",\"uid\":\"7\",\"groups\":[\"one\",\"two\",\"system:authenticated\"],"
                        "\"extra\":{\"acme.com/project\":[\"x\"],\"scope\":[\"y\"]}}");
    _cleanup_answer_ struct answer account =
        get_with(f, "admin", REVIEW, "Impersonate-User: system:serviceaccount:default:robot");
    _cleanup_free_ char *groups = json_to_text(json_path(account.body, "status", "userInfo", "groups"));
    assert_string_equal(groups,
                        "[\"system:serviceaccounts\",\"system:serviceaccounts:default\",\"system:authenticated\"]");
    /* nobody is not authenticated, and may ask nothing about himself */
    _cleanup_answer_ struct answer nobody = get_with(f, "admin", REVIEW, "Impersonate-User: system:anonymous");
    assert_code(nobody, 403);
}

/* Each part needs a permission of its own. */
static void test_permissions(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer no = get_with(f, "guest", REVIEW, "Impersonate-User: jane");
    assert_status(no, 403, "Forbidden",
                  "users \"jane\" is forbidden: User \"guest\" cannot impersonate resource \"users\" in API group \"\" "
                  "at the cluster scope");
    allow_guest(f, "{\"apiGroups\":[\"\"],\"resources\":[\"users\"],\"verbs\":[\"impersonate\"],\"resourceNames\":["
                   "\"jane\"]},{\"apiGroups\":[\"authentication.k8s.io\"],\"resources\":[\"userextras/scope\"],"
                   "\"verbs\":[\"impersonate\"]}");
    _cleanup_answer_ struct answer yes =
        get_with(f, "guest", REVIEW, "Impersonate-User: jane", "Impersonate-Extra-Scope: y");
    assert_code(yes, 201);
    _cleanup_answer_ struct answer other = get_with(f, "guest", REVIEW, "Impersonate-User: joe");
    assert_code(other, 403);
    _cleanup_answer_ struct answer group =
        get_with(f, "guest", REVIEW, "Impersonate-User: jane", "Impersonate-Group: system:masters");
    assert_status(
        group, 403, "Forbidden",
        "groups \"system:masters\" is forbidden: User \"guest\" cannot impersonate resource \"groups\" in API "
        "group \"\" at the cluster scope");
    _cleanup_answer_ struct answer uid = get_with(f, "guest", REVIEW, "Impersonate-User: jane", "Impersonate-Uid: 1");
    assert_status(
        uid, 403, "Forbidden",
        "uids.authentication.k8s.io \"1\" is forbidden: User \"guest\" cannot impersonate resource \"uids\" in "
        "API group \"authentication.k8s.io\" at the cluster scope");
    _cleanup_answer_ struct answer extra =
        get_with(f, "guest", REVIEW, "Impersonate-User: jane", "Impersonate-Extra-Else: y");
    assert_code(extra, 403);
    _cleanup_answer_ struct answer account =
        get_with(f, "guest", REVIEW, "Impersonate-User: system:serviceaccount:default:robot");
    assert_status(account, 403, "Forbidden",
                  "serviceaccounts \"robot\" is forbidden: User \"guest\" cannot impersonate resource "
                  "\"serviceaccounts\" in API group \"\" in the namespace \"default\"");
}

static void test_without_user(void **state) {
    _cleanup_answer_ struct answer a = get_with(*state, "admin", "/api/v1/nodes", "Impersonate-Group: system:masters");
    assert_status(a, 500, "InternalError", "Internal Error: groups, a uid or extras without impersonating a user");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rights, fixture_setup_tcp, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_identity, fixture_setup_tcp, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_permissions, fixture_setup_tcp, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_without_user, fixture_setup_tcp, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
