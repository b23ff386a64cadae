/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Questions about rights: what is answered, with which reason, and what is no question. */
#include "tests/unit/apiserver/as.h"

#define REVIEWS "/apis/authorization.k8s.io/v1"
#define SELF    REVIEWS "/selfsubjectaccessreviews"
#define OTHERS  REVIEWS "/subjectaccessreviews"
#define LOCAL   REVIEWS "/namespaces/default/localsubjectaccessreviews"
#define RULES   REVIEWS "/selfsubjectrulesreviews"

static const char *status_str(const struct answer *a, const char *key) {
    return json_str_or(json_path(a->body, "status", key), "");
}

static bool allowed(const struct answer *a) {
    return json_bool_or(json_path(a->body, "status", "allowed"), false);
}

static void test_reasons(void **state) {
    static const char pods[] =
        "{\"spec\":{\"resourceAttributes\":{\"verb\":\"get\",\"resource\":\"pods\",\"namespace\":"
        "\"default\"}}}";
    struct fixture *f = *state;
    given(f, RBAC_PATH "/namespaces/default/rolebindings",
          "{\"metadata\":{\"name\":\"readers\"},\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":"
          "\"ClusterRole\",\"name\":\"view\"},\"subjects\":[{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":"
          "\"User\","
          "\"name\":\"ann\"},{\"kind\":\"ServiceAccount\",\"name\":\"bot\",\"namespace\":\"default\"}]}");
    given(f, RBAC_PATH "/clusterrolebindings",
          "{\"metadata\":{\"name\":\"all\"},\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":"
          "\"ClusterRole\",\"name\":\"view\"},\"subjects\":[{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":"
          "\"Group\","
          "\"name\":\"crew\"}]}");
    given(f, RBAC_PATH "/clusterrolebindings",
          "{\"metadata\":{\"name\":\"lost\"},\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":"
          "\"ClusterRole\",\"name\":\"gone\"},\"subjects\":[{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":"
          "\"User\","
          "\"name\":\"eve\"}]}");
    _cleanup_answer_ struct answer ann = request_as(f, "ann", "", "POST", SELF, pods),
                                   bot = request_as(f, "system:serviceaccount:default:bot", "", "POST", SELF, pods),
                                   bob = request_as(f, "bob", "crew", "POST", SELF, pods),
                                   eve = request_as(f, "eve", "", "POST", SELF, pods),
                                   root = ask(f, "POST", SELF, pods);
    assert_code(ann, 201);
    assert_true(allowed(&ann) && allowed(&bot) && allowed(&bob) && allowed(&root) && !allowed(&eve));
    assert_string_equal(status_str(&ann, "reason"),
                        "RBAC: allowed by RoleBinding \"readers/default\" of ClusterRole \"view\" to User \"ann\"");
    assert_string_equal(
        status_str(&bot, "reason"),
        "RBAC: allowed by RoleBinding \"readers/default\" of ClusterRole \"view\" to ServiceAccount \"bot/default\"");
    assert_string_equal(status_str(&bob, "reason"),
                        "RBAC: allowed by ClusterRoleBinding \"all\" of ClusterRole \"view\" to Group \"crew\"");
    assert_string_equal(status_str(&eve, "reason"), "RBAC: clusterrole.rbac.authorization.k8s.io \"gone\" not found");
    assert_string_equal(status_str(&root, "reason"), "");
    _cleanup_answer_ struct answer refused = request_as(f, "eve", "", "GET", "/api/v1/nodes", NULL);
    assert_status(
        refused, 403, "Forbidden",
        "nodes is forbidden: User \"eve\" cannot list resource \"nodes\" in API group \"\" at the cluster scope: "
        "RBAC: clusterrole.rbac.authorization.k8s.io \"gone\" not found");
}

/* The first cause of a 422. */
static void expect_cause(struct fixture *f, const char *path, const char *body, const char *field, const char *text) {
    _cleanup_answer_ struct answer a = ask(f, "POST", path, body);
    const struct json *cause = json_at(json_path(a.body, "details", "causes"), 0);
    assert_code(a, 422);
    assert_string_equal(json_get_str(cause, "field"), field);
    assert_non_null(strstr(json_get_str(cause, "message"), text));
}

#define ATTRIBUTES "\"resourceAttributes\":{\"verb\":\"get\",\"resource\":\"pods\"}"

static void test_validation(void **state) {
    struct fixture *f = *state;
    expect_cause(f, SELF, "{\"spec\":{}}", "spec.resourceAttributes",
                 "exactly one of nonResourceAttributes or resourceAttributes must be specified");
    expect_cause(f, SELF, "{\"spec\":{" ATTRIBUTES ",\"nonResourceAttributes\":{\"path\":\"/\",\"verb\":\"get\"}}}",
                 "spec.nonResourceAttributes", "cannot be specified in combination with resourceAttributes");
    expect_cause(f, OTHERS, "{\"spec\":{" ATTRIBUTES "}}", "spec.user",
                 "at least one of user or group must be specified");
    expect_cause(f, LOCAL, "{\"spec\":{\"user\":\"u\"," ATTRIBUTES "}}", "spec.resourceAttributes.namespace",
                 "must match metadata.namespace");
    expect_cause(f, LOCAL, "{\"spec\":{\"user\":\"u\",\"nonResourceAttributes\":{\"path\":\"/\",\"verb\":\"get\"}}}",
                 "spec.nonResourceAttributes", "disallowed on this kind of request");
    expect_cause(f, SELF,
                 "{\"spec\":{\"resourceAttributes\":{\"verb\":\"list\",\"resource\":\"pods\",\"labelSelector\":{"
                 "\"rawSelector\":\"a=b\",\"requirements\":[{\"key\":\"a\",\"operator\":\"Exists\"}]}}}}",
                 "spec.resourceAttributes.labelSelector.rawSelector",
                 "may not specified at the same time as requirements");
    expect_cause(f, SELF, "{\"metadata\":{\"name\":\"x\"},\"spec\":{" ATTRIBUTES "}}", "metadata", "must be empty");
    expect_cause(
        f, LOCAL,
        "{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"user\":\"u\",\"resourceAttributes\":{\"verb\":\"get\","
        "\"resource\":\"pods\",\"namespace\":\"default\"}}}",
        "metadata", "must be empty except for namespace");
    _cleanup_answer_ struct answer fine = ask(
        f, "POST", OTHERS,
        "{\"spec\":{\"user\":\"system:node:n1\",\"groups\":[\"system:nodes\"],\"extra\":{\"k\":[\"v\"]},\"uid\":\"1\","
        "\"resourceAttributes\":{\"verb\":\"list\",\"resource\":\"pods\",\"fieldSelector\":{\"requirements\":[{"
        "\"key\":\"spec.nodeName\",\"operator\":\"In\",\"values\":[\"n1\"]}]}}}}");
    assert_code(fine, 201);
    assert_true(allowed(&fine));
    assert_string_equal(json_str(json_at(json_path(fine.body, "spec", "extra", "k"), 0)), "v");
}

static bool lists(const struct answer *a, const char *kind, const char *member, const char *value) {
    const struct json *rules = json_path(a->body, "status", kind);
    for (size_t i = 0; i < json_len(rules); i++)
        for (size_t k = 0; k < json_len(json_get(json_at(rules, i), member)); k++)
            if (strcmp(json_str(json_at(json_get(json_at(rules, i), member), k)), value) == 0)
                return true;
    return false;
}

static void test_rules(void **state) {
    struct fixture *f = *state;
    bind_to(f, "default", "view", "User", "ann");
    const char *here = "{\"spec\":{\"namespace\":\"default\"}}", *there = "{\"spec\":{\"namespace\":\"kube-system\"}}";
    _cleanup_answer_ struct answer mine = request_as(f, "ann", "", "POST", RULES, here),
                                   away = request_as(f, "ann", "", "POST", RULES, there),
                                   root = ask(f, "POST", RULES, here),
                                   node = request_as(f, "system:node:n", "system:nodes", "POST", RULES, here),
                                   none = request_as(f, "ann", "", "POST", RULES, "{\"spec\":{}}");
    assert_code(mine, 201);
    assert_true(lists(&mine, "resourceRules", "resources", "configmaps"));
    assert_true(lists(&mine, "resourceRules", "resources", "selfsubjectreviews"));
    assert_true(lists(&mine, "nonResourceRules", "nonResourceURLs", "/openapi/*"));
    assert_false(json_bool_or(json_path(mine.body, "status", "incomplete"), true));
    assert_false(lists(&away, "resourceRules", "resources", "configmaps"));
    assert_true(lists(&root, "resourceRules", "resources", "*"));
    assert_true(lists(&root, "nonResourceRules", "nonResourceURLs", "*"));
    assert_true(json_bool_or(json_path(node.body, "status", "incomplete"), false));
    assert_status(none, 400, "BadRequest", "no namespace on request");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup_local, fixture_teardown)

int main(void) {
    (void) curl_global_init(CURL_GLOBAL_ALL);
    const struct CMUnitTest tests[] = {CASE(test_reasons), CASE(test_validation), CASE(test_rules)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
