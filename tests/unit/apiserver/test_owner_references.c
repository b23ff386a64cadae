/* SPDX-License-Identifier: GPL-2.0-or-later */
/* OwnerReferencesPermissionEnforcement: off by default, and what it refuses when it is on. */
#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/server.h"
#include "tests/unit/apiserver/as.h"

#define MAPS "/api/v1/namespaces/default/configmaps"
#define OWNED(name, block)                                                                                             \
    "{\"metadata\":{\"name\":\"" name "\",\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\","   \
    "\"name\":\"d\",\"uid\":\"u\",\"blockOwnerDeletion\":" block "}]}}"

/* ann may write ConfigMaps; deleting them, and finalizers of Deployments, is what she may be given. */
static int setup_with(void **state, const char *plugins) {
    struct fixture *f = xnew0(struct fixture);
    fixture_new(f, false, 0);
    if (plugins)
        assert_int_equal(admission_enable(plugins, &f->api->admission, NULL), 0);
    fixture_start(f);
    *state = f;
    given(f, RBAC_PATH "/clusterroles",
          "{\"metadata\":{\"name\":\"writer\"},\"rules\":[{\"apiGroups\":[\"\"],\"resources\":[\"configmaps\"],"
          "\"verbs\":["
          "\"create\",\"update\",\"patch\",\"get\"]}]}");
    given(f, RBAC_PATH "/clusterroles",
          "{\"metadata\":{\"name\":\"deleter\"},\"rules\":[{\"apiGroups\":[\"\"],\"resources\":[\"configmaps\"],"
          "\"verbs\":[\"delete\"]}]}");
    given(f, RBAC_PATH "/clusterroles",
          "{\"metadata\":{\"name\":\"finalizer\"},\"rules\":[{\"apiGroups\":[\"apps\"],\"resources\":["
          "\"deployments/finalizers\"],\"verbs\":[\"update\"]}]}");
    bind_to(f, NULL, "writer", "User", "ann");
    given(f, MAPS, "{\"metadata\":{\"name\":\"plain\"}}");
    return 0;
}
static int setup(void **state) {
    return setup_with(state, NULL);
}
static int setup_enforced(void **state) {
    return setup_with(state, "NodeRestriction,OwnerReferencesPermissionEnforcement");
}

static long writes(struct fixture *f, const char *method, const char *path, const char *body, const char *why) {
    _cleanup_answer_ struct answer a = request_as(f, "ann", "", method, path, body);
    if (a.code == 403)
        assert_non_null(strstr(message_of(&a), why));
    return a.code;
}

static void test_off(void **state) {
    struct fixture *f = *state;
    assert_int_equal(writes(f, "POST", MAPS, OWNED("a", "true"), ""), 201);
    assert_int_equal(writes(f, "PATCH", MAPS "/plain", OWNED("plain", "true"), ""), 200);
}

static void test_on(void **state) {
    const char *finalizers = "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set "
                             "finalizers on: , <nil>",
               *deletion = "cannot set an ownerRef on a resource you can't delete: , <nil>";
    struct fixture *f = *state;
    assert_int_equal(writes(f, "POST", MAPS, OWNED("a", "true"), finalizers), 403);
    assert_int_equal(writes(f, "POST", MAPS, OWNED("b", "false"), ""), 201);
    assert_int_equal(writes(f, "PATCH", MAPS "/plain", OWNED("plain", "false"), deletion), 403);
    assert_int_equal(writes(f, "PATCH", MAPS "/plain", "{\"data\":{\"k\":\"v\"}}", ""), 200);
    bind_to(f, NULL, "deleter", "User", "ann");
    assert_int_equal(writes(f, "PATCH", MAPS "/plain", OWNED("plain", "false"), ""), 200);
    assert_int_equal(writes(f, "PATCH", MAPS "/plain", OWNED("plain", "true"), finalizers), 403);
    bind_to(f, "default", "finalizer", "User", "ann");
    assert_int_equal(writes(f, "PATCH", MAPS "/plain", OWNED("plain", "true"), ""), 200);
    assert_int_equal(writes(f, "POST", MAPS, OWNED("a", "true"), ""), 201);
}

static void test_names(void **state) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    unsigned bits = 1;
    assert_int_equal(admission_enable(NULL, &bits, &err), 0);
    assert_int_equal(bits, 0);
    assert_int_equal(admission_enable("PodSecurity,Nonsense", &bits, &err), -EINVAL);
    assert_string_equal(error_text(&err, 0), "there is no admission plugin \"Nonsense\"");
}

int main(void) {
    (void) curl_global_init(CURL_GLOBAL_ALL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_off, setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_on, setup_enforced, fixture_teardown),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
