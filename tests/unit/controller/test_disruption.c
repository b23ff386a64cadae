/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How many pods a budget lets go. */
#include "tests/unit/controller/cluster.h"

#include "orchestrator/controller/disruption/controller.h"
#include "orchestrator/controller/disruption/decide.h"

#define NOW 1800000000000000ull /* 2027-01-15T08:00:00Z */

static struct json *parse(const char *text) {
    _cleanup_free_ char *copy = xstrdup(text);
    struct json *v = NULL;

    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    assert_int_equal(json_parse(copy, strlen(copy), NULL, &v, NULL), 0);
    return v;
}

struct budget_case {
    const char *spec;
    int64_t scale;
    int64_t allowed, healthy, desired, expected;
};

/* Five pods: three ready, one not, one ready and going. */
static void test_how_many_may_go(void **state) {
    static const char *const texts[] = {
        "{'metadata':{'name':'a'},'status':{'conditions':[{'type':'Ready','status':'True'}]}}",
        "{'metadata':{'name':'b'},'status':{'conditions':[{'type':'Ready','status':'True'}]}}",
        "{'metadata':{'name':'c'},'status':{'conditions':[{'type':'Ready','status':'True'}]}}",
        "{'metadata':{'name':'d'},'status':{'conditions':[{'type':'Ready','status':'False'}]}}",
        "{'metadata':{'name':'e','deletionTimestamp':'2027-01-15T07:59:59Z'},'status':{'conditions':[{'type':'Ready',"
        "'status':'True'}]}}"};
    static const struct budget_case cases[] = {
        {"{'minAvailable':2}", 0, 1, 3, 2, 5},       {"{'minAvailable':3}", 0, 0, 3, 3, 5},
        {"{'minAvailable':9}", 0, 0, 3, 9, 5},       {"{'minAvailable':'50%'}", 5, 0, 3, 3, 5},
        {"{'minAvailable':'40%'}", 5, 1, 3, 2, 5},   {"{'maxUnavailable':3}", 5, 1, 3, 2, 5},
        {"{'maxUnavailable':'30%'}", 5, 0, 3, 3, 5}, {"{'maxUnavailable':9}", 5, 3, 3, 0, 5},
        {"{'maxUnavailable':1}", 0, 0, 3, 0, 0},     {"{}", 0, 0, 3, 0, 0},
    };
    struct json *pods[5];
    for (size_t i = 0; i < 5; i++)
        pods[i] = parse(texts[i]);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct budget_case *k = &cases[i];
        _cleanup_free_ char *text = xasprintf("{'metadata':{'generation':4},'spec':%s}", k->spec);
        _cleanup_json_ struct json *pdb = parse(text);
        uint64_t wait;
        _cleanup_json_ struct json *s = disruption_status(pdb, pods, 5, k->scale, NOW, &wait);
        assert_int_equal(json_int_or(json_get(s, "disruptionsAllowed"), -1), k->allowed);
        assert_int_equal(json_int_or(json_get(s, "currentHealthy"), -1), k->healthy);
        assert_int_equal(json_int_or(json_get(s, "desiredHealthy"), -1), k->desired);
        assert_int_equal(json_int_or(json_get(s, "expectedPods"), -1), k->expected);
        assert_int_equal(json_int_or(json_get(s, "observedGeneration"), -1), 4);
        assert_string_equal(json_str(json_get(json_at(json_get(s, "conditions"), 0), "status")),
                            k->allowed > 0 ? "True" : "False");
        assert_true(wait == UINT64_MAX);
    }
    for (size_t i = 0; i < 5; i++)
        json_unref(pods[i]);
}

static void test_an_eviction_counts_until_its_pod_goes(void **state) {
    _cleanup_json_ struct json *a =
        parse("{'metadata':{'name':'a'},'status':{'conditions':[{'type':'Ready','status':'True'}]}}");
    _cleanup_json_ struct json *pdb = parse("{'metadata':{},'spec':{'minAvailable':0},'status':{'disruptedPods':{"
                                            "'a':'2027-01-15T07:59:50Z','gone':'2027-01-15T07:59:50Z'}}}");
    uint64_t wait;
    struct json *const pods[] = {a};
    _cleanup_json_ struct json *s = disruption_status(pdb, pods, 1, 0, NOW, &wait);
    assert_int_equal(json_int_or(json_get(s, "currentHealthy"), -1), 0);
    assert_int_equal(json_len(json_get(s, "disruptedPods")), 1);
    assert_int_equal(wait, 110 * USEC_PER_SEC);
    _cleanup_json_ struct json *later = disruption_status(pdb, pods, 1, 0, NOW + 111 * USEC_PER_SEC, &wait);
    assert_int_equal(json_int_or(json_get(later, "currentHealthy"), -1), 1);
    assert_null(json_get(later, "disruptedPods"));
}

static void test_shares_are_of_what_the_deployment_wants(void **state) {
    struct cluster *c = *state;
    static const char *const objects[] = {
        "{'apiVersion':'apps/v1','kind':'Deployment','metadata':{'name':'d','uid':'ud'},'spec':{'replicas':10}}",
        "{'apiVersion':'apps/"
        "v1','kind':'ReplicaSet','metadata':{'name':'r','uid':'ur','ownerReferences':[{'apiVersion':"
        "'apps/v1','kind':'Deployment','name':'d','uid':'ud','controller':true}]},'spec':{'replicas':7}}",
        "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'p','labels':{'a':'b'},'ownerReferences':[{'apiVersion':"
        "'apps/v1','kind':'ReplicaSet','name':'r','uid':'ur','controller':true}]},'spec':{},'status':{'conditions':[{"
        "'type':'Ready','status':'True'}]}}",
        "{'apiVersion':'policy/v1','kind':'PodDisruptionBudget','metadata':{'name':'x'},'spec':{'minAvailable':'20%',"
        "'selector':{'matchLabels':{'a':'b'}}}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(objects); i++)
        json_unref(fake_create(c->fake, objects[i]));
    cluster_start(c, &disruption_controller);
    fake_settle(c->loop);
    const struct json *pdb =
        fake_get(c->fake, resource_by_plural("policy", "v1", "poddisruptionbudgets"), "default", "x");
    assert_int_equal(json_int_or(json_path(pdb, "status", "expectedPods"), -1), 10);
    assert_int_equal(json_int_or(json_path(pdb, "status", "desiredHealthy"), -1), 2);
    assert_int_equal(json_int_or(json_path(pdb, "status", "currentHealthy"), -1), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_how_many_may_go),
        cmocka_unit_test(test_an_eviction_counts_until_its_pod_goes),
        cmocka_unit_test_setup_teardown(test_shares_are_of_what_the_deployment_wants, cluster_setup, cluster_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
