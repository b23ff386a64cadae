/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/controller/cluster.h"

#include "orchestrator/controller/podgc/controller.h"
#include "orchestrator/controller/podgc/decide.h"

static void pod(struct cluster *c, const char *name, const char *node, const char *phase, const char *created) {
    _cleanup_free_ char *text = xasprintf("{'apiVersion':'v1','kind':'Pod','metadata':{'name':'%s','creationTimestamp':"
                                          "'%s'},'spec':{'nodeName':'%s'},'status':{'phase':'%s'}}",
                                          name, created, node, phase);
    json_unref(fake_create(c->fake, text));
}

static bool is_there(struct cluster *c, const char *name) {
    return fake_get(c->fake, fake_resource("pods"), "default", name) != NULL;
}

static void test_pods_of_a_removed_node_go_others_stay(void **state) {
    struct cluster *c = *state;
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'Node','metadata':{'name':'n1'}}"));
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'Node','metadata':{'name':'n2'}}"));
    pod(c, "one", "n1", "Running", "2024-01-01T00:00:00Z");
    pod(c, "two", "n2", "Running", "2024-01-01T00:00:00Z");
    pod(c, "unbound", "", "Pending", "2024-01-01T00:00:00Z");
    cluster_start(c, &podgc_controller);
    fake_settle(c->loop);
    fake_remove(c->fake, fake_resource("nodes"), "", "n1");
    fake_run_for(c->loop, 2200 * USEC_PER_MSEC);
    assert_false(is_there(c, "one")); /* at once: nobody would confirm its end */
    assert_true(is_there(c, "two"));
    assert_true(is_there(c, "unbound"));
}

static void test_finished_pods_are_kept_to_a_number(void **state) {
    struct cluster *c = *state;
    c->env.options.terminated_pods_max = 2;
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'Node','metadata':{'name':'n1'}}"));
    pod(c, "newest", "n1", "Succeeded", "2024-01-04T00:00:00Z");
    pod(c, "oldest", "n1", "Failed", "2024-01-01T00:00:00Z");
    pod(c, "middle", "n1", "Failed", "2024-01-02T00:00:00Z");
    pod(c, "runs", "n1", "Running", "2023-01-02T00:00:00Z");
    cluster_start(c, &podgc_controller);
    fake_settle(c->loop);
    assert_false(is_there(c, "oldest"));
    assert_true(is_there(c, "middle"));
    assert_true(is_there(c, "newest"));
    assert_true(is_there(c, "runs"));
}

struct verdict_case {
    const char *pod, *node;
    enum podgc_verdict verdict;
};

static void test_verdicts(void **state) {
    static const struct verdict_case cases[] = {
        {"{'spec':{}}", NULL, PODGC_KEEP},
        {"{'metadata':{'deletionTimestamp':'x'},'spec':{}}", NULL, PODGC_UNBOUND},
        {"{'spec':{'nodeName':'n'}}", NULL, PODGC_NODE_GONE},
        {"{'spec':{'nodeName':'n'}}", "{}", PODGC_KEEP},
        {"{'metadata':{'deletionTimestamp':'x'},'spec':{'nodeName':'n'}}", "{}", PODGC_KEEP},
        {"{'metadata':{'deletionTimestamp':'x'},'spec':{'nodeName':'n'}}",
         "{'spec':{'taints':[{'key':'node.kubernetes.io/out-of-service'}]}}", PODGC_OUT_OF_SERVICE},
        {"{'metadata':{'deletionTimestamp':'x'},'spec':{'nodeName':'n'}}",
         "{'spec':{'taints':[{'key':'node.kubernetes.io/out-of-service'}]},'status':{'conditions':[{'type':'Ready',"
         "'status':'True'}]}}",
         PODGC_KEEP},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_json_ struct json *p = fake_json(cases[i].pod);
        _cleanup_json_ struct json *n = cases[i].node ? fake_json(cases[i].node) : NULL;
        assert_int_equal(podgc_judge(p, n), cases[i].verdict);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_pods_of_a_removed_node_go_others_stay),
        T(test_finished_pods_are_kept_to_a_number),
        cmocka_unit_test(test_verdicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
