/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The objects of a new cluster, and what a later start does with those that have changed. */
#include "orchestrator/apiserver/bootstrap.h"
#include "tests/unit/apiserver/as.h"

#define ROLES    RBAC_PATH "/clusterroles"
#define BINDINGS RBAC_PATH "/clusterrolebindings"
#define PUT_BACK "rbac.authorization.kubernetes.io/autoupdate"

static struct answer get(struct fixture *f, const char *path) {
    struct answer a = ask(f, "GET", path, NULL);
    assert_code(a, 200);
    return a;
}

static void start_again(struct fixture *f) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    if (bootstrap_objects(f->api, &err) < 0)
        fail_msg("%s", error_text(&err, 0));
}

static void test_complete(void **state) {
    static const char *const paths[] = {
        ROLES "/cluster-admin",
        ROLES "/system:node-bootstrapper",
        ROLES "/system:persistent-volume-provisioner",
        ROLES "/system:controller:replicaset-controller",
        ROLES "/system:certificates.k8s.io:kubelet-serving-approver",
        BINDINGS "/system:public-info-viewer",
        BINDINGS "/system:controller:job-controller",
        RBAC_PATH "/namespaces/kube-system/roles/extension-apiserver-authentication-reader",
        RBAC_PATH "/namespaces/kube-system/rolebindings/system::leader-locking-kube-scheduler",
        RBAC_PATH "/namespaces/kube-public/roles/system:controller:bootstrap-signer",
        "/api/v1/namespaces/kube-node-lease/serviceaccounts/default",
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        _cleanup_answer_ struct answer a = get(f, paths[i]);
        const struct json *meta = json_get(a.body, "metadata");
        if (!strstr(paths[i], "rbac"))
            continue;
        assert_string_equal(json_str(json_path(meta, "labels", "kubernetes.io/bootstrapping")), "rbac-defaults");
        assert_string_equal(json_str(json_path(meta, "annotations", PUT_BACK)), "true");
    }
    _cleanup_answer_ struct answer node = get(f, BINDINGS "/system:node"), admin = get(f, ROLES "/admin"),
                                   edit = get(f, ROLES "/edit"), view = get(f, ROLES "/view");
    assert_null(json_get(node.body, "subjects"));
    /* aggregated from the start: each holds what the next one does, and more */
    assert_true(json_len(json_get(view.body, "rules")) >= 8);
    assert_true(json_len(json_get(edit.body, "rules")) > json_len(json_get(view.body, "rules")));
    assert_true(json_len(json_get(admin.body, "rules")) > json_len(json_get(edit.body, "rules")));
}

static void test_nothing_to_do(void **state) {
    struct fixture *f = *state;
    uint64_t before = store_revision(f->store);
    start_again(f);
    assert_true(store_revision(f->store) == before);
}

static size_t rules_of(struct fixture *f, const char *role) {
    _cleanup_free_ char *path = xasprintf(ROLES "/%s", role);
    _cleanup_answer_ struct answer a = get(f, path);
    return json_len(json_get(a.body, "rules"));
}

static void expect_ok(struct fixture *f, const char *method, const char *path, const char *body) {
    _cleanup_answer_ struct answer a = ask(f, method, path, body);
    assert_code(a, 200);
}

static void test_put_back(void **state) {
    struct fixture *f = *state;
    expect_ok(
        f, "PATCH", ROLES "/system:basic-user",
        "{\"metadata\":{\"labels\":{\"kubernetes.io/bootstrapping\":null,\"mine\":\"x\"}},\"rules\":[{\"apiGroups\":["
        "\"\"],\"resources\":[\"nodes\"],\"verbs\":[\"get\"]}]}");
    expect_ok(f, "PATCH", BINDINGS "/system:monitoring",
              "{\"subjects\":[{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"User\",\"name\":\"me\"}]}");
    expect_ok(f, "DELETE", ROLES "/view", NULL);
    start_again(f);
    _cleanup_answer_ struct answer basic = get(f, ROLES "/system:basic-user"),
                                   monitoring = get(f, BINDINGS "/system:monitoring"), view = get(f, ROLES "/view");
    const struct json *rules = json_get(basic.body, "rules"), *subjects = json_get(monitoring.body, "subjects");
    assert_string_equal(json_str(json_at(json_get(json_at(rules, 0), "resources"), 0)), "nodes"); /* the user's stays */
    assert_int_equal(json_len(rules), 4); /* and three rights were missing */
    assert_string_equal(json_str(json_path(basic.body, "metadata", "labels", "kubernetes.io/bootstrapping")),
                        "rbac-defaults");
    assert_string_equal(json_str(json_path(basic.body, "metadata", "labels", "mine")), "x");
    assert_int_equal(json_len(subjects), 2);
    _cleanup_answer_ struct answer asks =
        request_as(f, "ann", "", "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
                   "{\"spec\":{\"namespace\":\"a\"}}");
    assert_code(asks, 201);
}

static void test_protected(void **state) {
    struct fixture *f = *state;
    expect_ok(f, "PATCH", ROLES "/system:basic-user",
              "{\"metadata\":{\"annotations\":{\"" PUT_BACK "\":\"false\"}},\"rules\":[]}");
    start_again(f);
    assert_int_equal(rules_of(f, "system:basic-user"), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup_local, fixture_teardown)

int main(void) {
    (void) curl_global_init(CURL_GLOBAL_ALL);
    const struct CMUnitTest tests[] = {CASE(test_complete), CASE(test_nothing_to_do), CASE(test_put_back),
                                       CASE(test_protected)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
