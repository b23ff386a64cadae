/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Limit ranges: what is filled in, what is refused, and that one answer names everything that is wrong. */
#include "tests/unit/apiserver/server_fixture.h"

#define PODS   "/api/v1/namespaces/default/pods"
#define RANGES "/api/v1/namespaces/default/limitranges"
#define CLAIMS "/api/v1/namespaces/default/persistentvolumeclaims"

static void range(struct fixture *f, const char *name, const char *limits) {
    _cleanup_free_ char *body = xasprintf(
        "{'apiVersion':'v1','kind':'LimitRange','metadata':{'name':'%s'},'spec':{'limits':[%s]}}", name, limits);
    _cleanup_answer_ struct answer a = say(f, "POST", RANGES, body);
    assert_code(a, 201);
}

static struct answer pod(struct fixture *f, const char *name, const char *resources) {
    _cleanup_free_ char *body = xasprintf("{'apiVersion':'v1','kind':'Pod','metadata':{'name':'%s'},'spec':{"
                                          "'containers':[{'name':'c','image':'i','resources':%s}]}}",
                                          name, resources);
    return say(f, "POST", PODS, body);
}

static void refused(struct fixture *f, const char *resources, const char *why) {
    _cleanup_answer_ struct answer a = pod(f, "p", resources);
    _cleanup_free_ char *message = xasprintf("pods \"p\" is forbidden: %s", why);
    assert_status(a, 403, "Forbidden", message);
}

static void accepted(struct fixture *f, const char *resources) {
    _cleanup_answer_ struct answer a = pod(f, "fine", resources);
    assert_code(a, 201);
    _cleanup_answer_ struct answer gone = ask(f, "DELETE", PODS "/fine", NULL);
    assert_code(gone, 200);
}

static void test_defaults(void **state) {
    struct fixture *f = *state;
    range(f, "usual", "{'type':'Container','default':{'cpu':'500m'},'defaultRequest':{'memory':'64Mi','cpu':'50m'}}");
    _cleanup_answer_ struct answer a =
        say(f, "POST", PODS,
            "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'p'},'spec':{'initContainers':[{'name':'i','image':'x',"
            "'resources':{'requests':{'cpu':'1m','memory':'1Mi'}}}],'containers':[{'name':'c','image':'x'}]}}");
    assert_code(a, 201);
    const struct json *spec = json_get(a.body, "spec");
    const struct json *r = json_get(json_at(json_get(spec, "containers"), 0), "resources");
    assert_string_equal(json_str(json_path(r, "requests", "cpu")), "50m");
    assert_string_equal(json_str(json_path(r, "requests", "memory")), "64Mi");
    assert_string_equal(json_str(json_path(r, "limits", "cpu")), "500m");
    assert_string_equal(
        json_str(json_path(a.body, "metadata", "annotations", "kubernetes.io/limit-ranger")),
        "LimitRanger plugin set: cpu, memory request for container c; cpu limit for container c; cpu limit for init "
        "container i");
    assert_string_equal(json_str(json_path(a.body, "status", "qosClass")), "Burstable");
    /* who says everything is left alone, and later changes of a pod are nobody's business */
    _cleanup_answer_ struct answer full = pod(f, "full", "{'limits':{'cpu':'1','memory':'1Gi'}}");
    assert_code(full, 201);
    assert_null(json_path(full.body, "metadata", "annotations"));
    range(f, "none", "{'type':'Container','max':{'cpu':'1m'}}");
    _cleanup_answer_ struct answer label = say(f, "PATCH", PODS "/full", "{'metadata':{'labels':{'a':'b'}}}");
    assert_code(label, 200);
}

static void test_bounds_of_containers(void **state) {
    struct fixture *f = *state;
    range(f, "bounds",
          "{'type':'Container','min':{'cpu':'100m'},'max':{'memory':'1Gi'},'default':{'memory':'512Mi'},"
          "'defaultRequest':{'cpu':'200m','memory':'256Mi'}}");
    accepted(f, "{}");
    refused(f, "{'requests':{'cpu':'50m'}}", "minimum cpu usage per Container is 100m, but request is 50m");
    refused(f, "{'requests':{'cpu':'50m'},'limits':{'memory':'2Gi'}}",
            "[minimum cpu usage per Container is 100m, but request is 50m, maximum memory usage per Container is 1Gi, "
            "but limit is 2Gi]");
    refused(f, "{'requests':{'cpu':'100m'},'limits':{'cpu':'200m','memory':'1025Mi'}}",
            "maximum memory usage per Container is 1Gi, but limit is 1025Mi");
    accepted(f, "{'requests':{'cpu':'0.1'},'limits':{'memory':'1024Mi'}}");
}

static void test_bounds_without_defaults(void **state) {
    struct fixture *f = *state;
    range(f, "pods", "{'type':'Pod','min':{'cpu':'100m'},'max':{'memory':'1Gi'}}");
    refused(f, "{}",
            "[minimum cpu usage per Pod is 100m.  No request is specified, maximum memory usage per Pod is "
            "1Gi.  No limit is specified]");
    refused(f, "{'requests':{'cpu':'1'},'limits':{'memory':'2Gi'}}",
            "maximum memory usage per Pod is 1Gi, but limit is 2Gi");
    accepted(f, "{'requests':{'cpu':'1'},'limits':{'memory':'1Gi'}}");
}

static void test_ratio(void **state) {
    struct fixture *f = *state;
    range(f, "ratio", "{'type':'Container','maxLimitRequestRatio':{'cpu':'2'}}");
    refused(f, "{}", "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0");
    refused(f, "{'requests':{'cpu':'1'}}",
            "cpu max limit to request ratio per Container is 2, but no limit is specified or limit is 0");
    refused(f, "{'requests':{'cpu':'400m'},'limits':{'cpu':'1'}}",
            "cpu max limit to request ratio per Container is 2, but provided ratio is 2.500000");
    accepted(f, "{'requests':{'cpu':'500m'},'limits':{'cpu':'1'}}");
}

static void test_claims(void **state) {
    struct fixture *f = *state;
    static const char claim[] = "{'apiVersion':'v1','kind':'PersistentVolumeClaim','metadata':{'name':'c'},'spec':{"
                                "'accessModes':['ReadWriteOnce'],'resources':{'requests':{'storage':'%s'}}}}";
    static const struct {
        const char *size, *why;
    } cases[] = {
        {"10Mi", "persistentvolumeclaims \"c\" is forbidden: minimum storage usage per PersistentVolumeClaim is 1Gi, "
                 "but request is 10Mi"},
        {"11Gi", "persistentvolumeclaims \"c\" is forbidden: maximum storage usage per PersistentVolumeClaim is 10Gi, "
                 "but request is 11Gi"},
        {"10Gi", NULL},
    };
    range(f, "disk", "{'type':'PersistentVolumeClaim','min':{'storage':'1Gi'},'max':{'storage':'10Gi'}}");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *body = xasprintf(claim, cases[i].size);
        _cleanup_answer_ struct answer a = say(f, "POST", CLAIMS, body);
        if (cases[i].why)
            assert_status(a, 403, "Forbidden", cases[i].why);
        else
            assert_code(a, 201);
    }
}

/* A claim made before the limits, which protects itself until it is let go. */
static void test_what_is_deleted_may_go(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer made =
        say(f, "POST", CLAIMS,
            "{'apiVersion':'v1','kind':'PersistentVolumeClaim','metadata':{'name':'c'},'spec':{'accessModes':["
            "'ReadWriteOnce'],'resources':{'requests':{'storage':'1Mi'}}}}");
    assert_code(made, 201);
    range(f, "disk", "{'type':'PersistentVolumeClaim','min':{'storage':'1Gi'}}");
    _cleanup_answer_ struct answer change = say(f, "PATCH", CLAIMS "/c", "{'metadata':{'labels':{'a':'b'}}}");
    assert_code(change, 403);
    _cleanup_answer_ struct answer gone = ask(f, "DELETE", CLAIMS "/c", NULL);
    assert_code(gone, 200);
    _cleanup_answer_ struct answer let_go = say(f, "PATCH", CLAIMS "/c", "{'metadata':{'finalizers':null}}");
    assert_code(let_go, 200);
    _cleanup_answer_ struct answer after = ask(f, "GET", CLAIMS "/c", NULL);
    assert_code(after, 404);
}

/* What LimitRanger fills in is what the quota counts. */
static void test_defaults_come_before_quotas(void **state) {
    struct fixture *f = *state;
    range(f, "usual", "{'type':'Container','defaultRequest':{'cpu':'300m'}}");
    _cleanup_answer_ struct answer q = say(f, "POST", "/api/v1/namespaces/default/resourcequotas",
                                           "{'apiVersion':'v1','kind':'ResourceQuota','metadata':{'name':'q'},'spec':{"
                                           "'hard':{'requests.cpu':'500m'}}}");
    assert_code(q, 201);
    _cleanup_answer_ struct answer a = pod(f, "a", "{}");
    assert_code(a, 201);
    refused(f, "{}",
            "exceeded quota: q, requested: requests.cpu=300m, used: requests.cpu=300m, limited: requests.cpu=500m");
}

#define F(t) cmocka_unit_test_setup_teardown(t, fixture_setup_local, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        F(test_defaults), F(test_bounds_of_containers),        F(test_bounds_without_defaults), F(test_ratio),
        F(test_claims),   F(test_defaults_come_before_quotas), F(test_what_is_deleted_may_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
