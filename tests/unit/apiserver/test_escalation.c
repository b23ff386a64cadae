/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Nobody gives what he has not: roles and bindings by people who hold some rights only. */
#include "tests/unit/apiserver/as.h"

#define ROLES    RBAC_PATH "/namespaces/default/roles"
#define BINDINGS RBAC_PATH "/namespaces/default/rolebindings"
#define C_ROLES  RBAC_PATH "/clusterroles"

static struct answer by(struct fixture *f, const char *method, const char *path, const char *body) {
    return request_as(f, "amy", "crew", method, path, body);
}

static char *role(const char *name, const char *rules) {
    return xasprintf("{\"metadata\":{\"name\":\"%s\"},\"rules\":[%s]}", name, rules);
}

static char *rule(const char *group, const char *resource, const char *verbs) {
    return xasprintf("{\"apiGroups\":[\"%s\"],\"resources\":[\"%s\"],\"verbs\":[%s]}", group, resource, verbs);
}

/* What is said of a role with this rule when amy writes it; "" when it is allowed. */
static char *creates(struct fixture *f, const char *path, const char *rules) {
    _cleanup_free_ char *body = role("new", rules), *dry = xasprintf("%s?dryRun=All", path);
    _cleanup_answer_ struct answer a = by(f, "POST", dry, body);
    if (a.code == 201)
        return xstrdup("");
    assert_int_equal(a.code, 403);
    return xstrdup(message_of(&a));
}

#define assert_creates(f, path, rules, want)                                                                           \
    do {                                                                                                               \
        _cleanup_free_ char *said = creates(f, path, rules);                                                           \
        assert_string_equal(said, want);                                                                               \
    } while (0)

#define HELD                                                                                                           \
    "user \"amy\" (groups=[\"crew\" \"system:authenticated\"]) is attempting to grant RBAC permissions not currently " \
    "held:\n"
#define SAID "roles.rbac.authorization.k8s.io \"new\" is forbidden: " HELD

/* amy may write roles and bindings, read pods in "default", and any Deployment's scale. */
static int setup(void **state) {
    assert_int_equal(fixture_setup_local(state), 0);
    struct fixture *f = *state;
    given(f, C_ROLES,
          "{\"metadata\":{\"name\":\"amy\"},\"rules\":["
          "{\"apiGroups\":[\"rbac.authorization.k8s.io\"],\"resources\":[\"roles\",\"rolebindings\",\"clusterroles\","
          "\"clusterrolebindings\"],\"verbs\":[\"create\",\"update\",\"patch\",\"get\",\"list\",\"delete\"]},"
          "{\"apiGroups\":[\"\"],\"resources\":[\"pods\"],\"verbs\":[\"get\",\"list\"]},"
          "{\"apiGroups\":[\"apps\"],\"resources\":[\"*/scale\"],\"verbs\":[\"*\"]},"
          "{\"apiGroups\":[\"\"],\"resources\":[\"secrets\"],\"resourceNames\":[\"one\"],\"verbs\":[\"get\"]},"
          "{\"nonResourceURLs\":[\"/logs/*\"],\"verbs\":[\"get\"]}]}");
    bind_to(f, NULL, "amy", "User", "amy");
    return 0;
}

static void test_rules(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *held = rule("", "pods", "\"get\",\"list\""),
                        *more = rule("", "pods", "\"get\",\"watch\",\"delete\""),
                        *two =
                            xasprintf("%s,%s", more,
                                      "{\"apiGroups\":[\"\",\"apps\"],\"resources\":[\"nodes\"],\"verbs\":[\"get\"]}"),
                        *star = rule("", "pods", "\"*\""), *sub = rule("", "pods/log", "\"get\""),
                        *scale = rule("apps", "deployments/scale", "\"update\",\"patch\""),
                        *scales = rule("apps", "*/scale", "\"get\""), *any = rule("apps", "*", "\"get\"");
    assert_creates(f, ROLES, held, "");
    assert_creates(f, ROLES, more, SAID "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"watch\" \"delete\"]}");
    assert_creates(f, ROLES, two,
                   SAID "{APIGroups:[\"\"], Resources:[\"nodes\"], Verbs:[\"get\"]}\n"
                        "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"watch\" \"delete\"]}\n"
                        "{APIGroups:[\"apps\"], Resources:[\"nodes\"], Verbs:[\"get\"]}");
    assert_creates(f, ROLES, star, SAID "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"*\"]}");
    assert_creates(f, ROLES, sub, SAID "{APIGroups:[\"\"], Resources:[\"pods/log\"], Verbs:[\"get\"]}");
    assert_creates(f, ROLES, scale, "");
    assert_creates(f, ROLES, scales, "");
    assert_creates(f, ROLES, any, SAID "{APIGroups:[\"apps\"], Resources:[\"*\"], Verbs:[\"get\"]}");
}

static void test_names_and_paths(void **state) {
    struct fixture *f = *state;
    const char *one =
        "{\"apiGroups\":[\"\"],\"resources\":[\"secrets\"],\"resourceNames\":[\"one\"],\"verbs\":[\"get\"]}";
    const char *both =
        "{\"apiGroups\":[\"\"],\"resources\":[\"secrets\"],\"resourceNames\":[\"one\",\"two\"],\"verbs\":[\"get\"]}";
    const char *pod = "{\"apiGroups\":[\"\"],\"resources\":[\"pods\"],\"resourceNames\":[\"p\"],\"verbs\":[\"get\"]}";
    _cleanup_free_ char *all = rule("", "secrets", "\"get\"");
    assert_creates(f, ROLES, one, "");
    assert_creates(f, ROLES, pod, ""); /* all names hold any */
    assert_creates(f, ROLES, both,
                   SAID "{APIGroups:[\"\"], Resources:[\"secrets\"], ResourceNames:[\"two\"], Verbs:[\"get\"]}");
    assert_creates(f, ROLES, all, SAID "{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\"]}");
    assert_creates(f, C_ROLES, "{\"nonResourceURLs\":[\"/logs/x\",\"/logs/y/*\"],\"verbs\":[\"get\"]}", "");
    assert_creates(f, C_ROLES, "{\"nonResourceURLs\":[\"/logs\"],\"verbs\":[\"get\"]}",
                   "clusterroles.rbac.authorization.k8s.io \"new\" is forbidden: " HELD
                   "{NonResourceURLs:[\"/logs\"], Verbs:[\"get\"]}");
}

/* Every way to write, and that what is there already counts as much as what is new. */
static void test_verbs(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *held = rule("", "pods", "\"get\""), *more = rule("", "nodes", "\"get\""),
                        *mine = role("mine", held), *greedy = role("mine", more), *big = role("big", more);
    _cleanup_answer_ struct answer made = by(f, "POST", ROLES, mine), put = by(f, "PUT", ROLES "/mine", greedy),
                                   patched = by(f, "PATCH", ROLES "/mine", greedy);
    assert_code(made, 201);
    assert_code(put, 403);
    assert_code(patched, 403);
    given(f, ROLES, big); /* root's */
    _cleanup_answer_ struct answer labelled = by(f, "PATCH", ROLES "/big", "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}");
    assert_code(labelled, 403);
    _cleanup_answer_ struct answer owned = by(f, "PATCH", ROLES "/big", "{\"metadata\":{\"finalizers\":[\"a.b/c\"]}}");
    assert_code(owned, 200); /* the garbage collector's business only */
    _cleanup_answer_ struct answer root = ask(f, "PATCH", ROLES "/mine", greedy);
    assert_code(root, 200);
}

static void test_escalate(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *more = rule("", "nodes", "\"get\""), *named = role("named", more),
                        *other = role("other", more);
    given(f, ROLES, "{\"metadata\":{\"name\":\"named\"}}");
    given(f, ROLES, "{\"metadata\":{\"name\":\"other\"}}");
    given(f, C_ROLES,
          "{\"metadata\":{\"name\":\"esc\"},\"rules\":[{\"apiGroups\":[\"rbac.authorization.k8s.io\"],\"resources\":["
          "\"roles\"],\"resourceNames\":[\"named\"],\"verbs\":[\"escalate\"]}]}");
    bind_to(f, "default", "esc", "Group", "crew");
    _cleanup_answer_ struct answer yes = by(f, "PUT", ROLES "/named", named), no = by(f, "PUT", ROLES "/other", other);
    assert_code(yes, 200);
    assert_code(no, 403);
}

static void test_aggregation(void **state) {
    static const char body[] = "{\"metadata\":{\"name\":\"agg\"},\"aggregationRule\":{\"clusterRoleSelectors\":[{"
                               "\"matchLabels\":{\"a\":\"b\"}}]},\"rules\":[]}";
    struct fixture *f = *state;
    _cleanup_answer_ struct answer no = by(f, "POST", C_ROLES, body);
    assert_status(
        no, 403, "Forbidden",
        "clusterroles.rbac.authorization.k8s.io \"agg\" is forbidden: must have cluster-admin privileges to use the "
        "aggregationRule");
    bind_to(f, NULL, "cluster-admin", "User", "amy");
    _cleanup_answer_ struct answer yes = by(f, "POST", C_ROLES, body);
    assert_code(yes, 201);
}

static struct answer binds(struct fixture *f, const char *path, const char *kind, const char *name) {
    _cleanup_free_ char
        *body = xasprintf(
            "{\"metadata\":{\"name\":\"b\"},\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"%s\","
            "\"name\":\"%s\"},\"subjects\":[{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"User\",\"name\":"
            "\"amy\"}]}",
            kind, name),
        *dry = xasprintf("%s?dryRun=All", path);
    return by(f, "POST", dry, body);
}

static void test_bind(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *held = rule("", "pods", "\"get\""), *small = role("small", held);
    given(f, ROLES, small);
    _cleanup_answer_ struct answer fine = binds(f, BINDINGS, "Role", "small"),
                                   all = binds(f, BINDINGS, "ClusterRole", "cluster-admin"),
                                   wide = binds(f, RBAC_PATH "/clusterrolebindings", "ClusterRole", "view"),
                                   none = binds(f, BINDINGS, "Role", "none");
    assert_code(fine, 201);
    assert_status(all, 403, "Forbidden",
                  "rolebindings.rbac.authorization.k8s.io \"b\" is forbidden: " HELD
                  "{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}\n{NonResourceURLs:[\"*\"], Verbs:[\"*\"]}");
    assert_code(wide, 403);
    assert_status(none, 404, "NotFound", "roles.rbac.authorization.k8s.io \"none\" not found");
    given(
        f, C_ROLES,
        "{\"metadata\":{\"name\":\"binder\"},\"rules\":[{\"apiGroups\":[\"rbac.authorization.k8s.io\"],\"resources\":["
        "\"clusterroles\"],\"resourceNames\":[\"view\"],\"verbs\":[\"bind\"]}]}");
    bind_to(f, NULL, "binder", "User", "amy");
    _cleanup_answer_ struct answer view = binds(f, RBAC_PATH "/clusterrolebindings", "ClusterRole", "view"),
                                   edit = binds(f, BINDINGS, "ClusterRole", "edit");
    assert_code(view, 201);
    assert_code(edit, 403);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void) {
    (void) curl_global_init(CURL_GLOBAL_ALL);
    const struct CMUnitTest tests[] = {CASE(test_rules),    CASE(test_names_and_paths), CASE(test_verbs),
                                       CASE(test_escalate), CASE(test_aggregation),     CASE(test_bind)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
