/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each plugin by itself, and how pods and nodes are read. */
#include "tests/unit/scheduler/cluster.h"

/* Does the plugin let the pod (spec) onto the node? */
static bool lets(const struct sched_plugin *plugin, const struct pod_info *pod, const struct node_info *node,
                 const char *reason) {
    struct refusals r = {.n = 0};
    bool passes = (plugin->filters && !plugin->filters(pod)) || plugin->filter(pod, node, &r);

    if (!passes) {
        assert_int_equal(r.n, 1);
        if (reason)
            assert_string_equal(r.items[0].text, reason);
    }
    assert_int_equal(passes, r.n == 0);
    return passes;
}

static bool affine(const char *affinity, const char *labels) {
    _cleanup_free_ char *spec = xasprintf("'affinity':{'nodeAffinity':%s}", affinity);
    _cleanup_(pod_info_freep) struct pod_info *pod = make_pod("p", spec);
    _cleanup_(node_info_freep) struct node_info *node = make_node("n1", labels, "");

    return lets(&plugin_node_affinity, pod, node, "node(s) didn't match Pod's node affinity/selector");
}

static bool required(const char *terms, const char *labels) {
    _cleanup_free_ char *a =
        xasprintf("{'requiredDuringSchedulingIgnoredDuringExecution':{'nodeSelectorTerms':%s}}", terms);

    return affine(a, labels);
}

static void test_affinity_operators(void **state) {
    static const char in[] = "[{'matchExpressions':[{'key':'zone','operator':'In','values':['a','b']}]}]";
    static const char not_in[] = "[{'matchExpressions':[{'key':'zone','operator':'NotIn','values':['a','b']}]}]";
    static const char exists[] = "[{'matchExpressions':[{'key':'zone','operator':'Exists'}]}]";
    static const char absent[] = "[{'matchExpressions':[{'key':'zone','operator':'DoesNotExist'}]}]";
    static const char gt[] = "[{'matchExpressions':[{'key':'gen','operator':'Gt','values':['5']}]}]";
    static const char lt[] = "[{'matchExpressions':[{'key':'gen','operator':'Lt','values':['5']}]}]";

    assert_true(required(in, "'zone':'b'"));
    assert_false(required(in, "'zone':'c'"));
    assert_false(required(in, ""));
    assert_false(required(not_in, "'zone':'b'"));
    assert_true(required(not_in, "'zone':'c'"));
    assert_true(required(not_in, ""));
    assert_true(required(exists, "'zone':''"));
    assert_false(required(exists, "'other':'x'"));
    assert_false(required(absent, "'zone':'x'"));
    assert_true(required(absent, ""));
    assert_true(required(gt, "'gen':'6'"));
    assert_false(required(gt, "'gen':'5'"));
    assert_false(required(gt, "'gen':'abc'"));
    assert_false(required(gt, ""));
    assert_true(required(lt, "'gen':'-1'"));
    assert_false(required(lt, "'gen':'5'"));
}

static void test_affinity_terms(void **state) {
    /* terms are alternatives, requirements of a term must all hold, an empty term matches nothing */
    static const char two[] = "[{'matchExpressions':[{'key':'a','operator':'Exists'},{'key':'b','operator':'Exists'}]},"
                              "{'matchExpressions':[{'key':'c','operator':'Exists'}]}]";
    assert_true(required(two, "'a':'','b':''"));
    assert_true(required(two, "'c':''"));
    assert_false(required(two, "'a':''"));
    assert_false(required("[{}]", "'a':''"));
    assert_false(required("[]", "'a':''"));
    assert_true(affine("{}", ""));
    static const char field[] = "[{'matchFields':[{'key':'metadata.name','operator':'In','values':['n1']}]}]";
    static const char other[] = "[{'matchFields':[{'key':'metadata.name','operator':'In','values':['n2']}]}]";
    assert_true(required(field, ""));
    assert_false(required(other, ""));
}

static void test_node_selector(void **state) {
    _cleanup_(pod_info_freep) struct pod_info *pod = make_pod("p", "'nodeSelector':{'disk':'ssd','zone':'a'}");
    _cleanup_(node_info_freep) struct node_info *good = make_node("n", "'zone':'a','disk':'ssd','x':'y'", "");
    _cleanup_(node_info_freep) struct node_info *half = make_node("n", "'disk':'ssd'", "");

    assert_true(lets(&plugin_node_affinity, pod, good, NULL));
    assert_false(lets(&plugin_node_affinity, pod, half, NULL));
}

static void test_preferred_affinity_adds_weights(void **state) {
    _cleanup_(pod_info_freep) struct pod_info *pod = make_pod(
        "p", "'affinity':{'nodeAffinity':{'preferredDuringSchedulingIgnoredDuringExecution':["
             "{'weight':30,'preference':{'matchExpressions':[{'key':'a','operator':'Exists'}]}},"
             "{'weight':12,'preference':{'matchExpressions':[{'key':'b','operator':'In','values':['1']}]}}]}}");
    _cleanup_(node_info_freep) struct node_info *both = make_node("n", "'a':'','b':'1'", "");
    _cleanup_(node_info_freep) struct node_info *one = make_node("n", "'b':'1'", "");
    _cleanup_(node_info_freep) struct node_info *none = make_node("n", "'b':'2'", "");

    assert_true(plugin_node_affinity.scores(pod));
    assert_int_equal(plugin_node_affinity.score(pod, both), 42);
    assert_int_equal(plugin_node_affinity.score(pod, one), 12);
    assert_int_equal(plugin_node_affinity.score(pod, none), 0);
    assert_true(lets(&plugin_node_affinity, pod, none, NULL));
}

static bool tolerated(const char *tolerations, const char *taints) {
    _cleanup_free_ char *pod_spec = xasprintf("'tolerations':[%s]", tolerations);
    _cleanup_free_ char *node_spec = xasprintf("'taints':[%s]", taints);
    _cleanup_(pod_info_freep) struct pod_info *pod = make_pod("p", pod_spec);
    _cleanup_(node_info_freep) struct node_info *node = make_node("n", "", node_spec);

    return lets(&plugin_taint_toleration, pod, node, "node(s) had untolerated taint");
}

static void test_taints(void **state) {
    static const char no_schedule[] = "{'key':'k','value':'v','effect':'NoSchedule'}";
    static const char no_execute[] = "{'key':'k','value':'v','effect':'NoExecute'}";
    static const char prefer[] = "{'key':'k','value':'v','effect':'PreferNoSchedule'}";

    assert_true(tolerated("", ""));
    assert_false(tolerated("", no_schedule));
    assert_false(tolerated("", no_execute));
    assert_true(tolerated("", prefer));
    assert_true(tolerated("{'key':'k','operator':'Equal','value':'v','effect':'NoSchedule'}", no_schedule));
    assert_true(tolerated("{'key':'k','value':'v'}", no_execute)); /* Equal is the default, no effect means all */
    assert_false(tolerated("{'key':'k','value':'w'}", no_schedule));
    assert_false(tolerated("{'key':'k','value':'v','effect':'NoExecute'}", no_schedule));
    assert_true(tolerated("{'key':'k','operator':'Exists'}", no_schedule));
    assert_true(tolerated("{'operator':'Exists'}", no_schedule));
    assert_false(tolerated("{'key':'k','operator':'Exists'}",
                           "{'key':'k','effect':'NoSchedule'},{'key':'other','effect':'NoSchedule'}"));
}

static void test_prefer_no_schedule_scores(void **state) {
    _cleanup_(pod_info_freep) struct pod_info *pod = make_pod("p", "'tolerations':[{'key':'a','operator':'Exists'}]");
    _cleanup_(node_info_freep) struct node_info *node = make_node(
        "n", "", "'taints':[{'key':'a','effect':'PreferNoSchedule'},{'key':'b','effect':'PreferNoSchedule'}]");

    assert_int_equal(plugin_taint_toleration.score(pod, node), 1);
    assert_int_equal(plugin_taint_toleration.normalize, SCORE_REVERSED);
}

static void test_unschedulable(void **state) {
    static const char reason[] = "node(s) were unschedulable";
    _cleanup_(pod_info_freep) struct pod_info *pod = make_pod("p", "");
    _cleanup_(pod_info_freep) struct pod_info *daemon =
        make_pod("d", "'tolerations':[{'key':'node.kubernetes.io/unschedulable','operator':'Exists'}]");
    _cleanup_(node_info_freep) struct node_info *cordoned = make_node("n", "", "'unschedulable':true");
    _cleanup_(node_info_freep) struct node_info *open = make_node("n", "", "");

    assert_false(lets(&plugin_node_unschedulable, pod, cordoned, reason));
    assert_true(lets(&plugin_node_unschedulable, daemon, cordoned, reason));
    assert_true(lets(&plugin_node_unschedulable, pod, open, reason));
}

static void test_node_name(void **state) {
    _cleanup_(pod_info_freep) struct pod_info *pod = make_pod("p", "'nodeName':'n1'");
    _cleanup_(pod_info_freep) struct pod_info *free_pod = make_pod("p", "");
    _cleanup_(node_info_freep) struct node_info *n1 = make_node("n1", "", "");
    _cleanup_(node_info_freep) struct node_info *n2 = make_node("n2", "", "");

    assert_true(lets(&plugin_node_name, pod, n1, NULL));
    assert_false(lets(&plugin_node_name, pod, n2, "node(s) didn't match the requested node name"));
    assert_true(lets(&plugin_node_name, free_pod, n2, NULL));
}

static struct pod_info *pod_with_port(const char *port) {
    _cleanup_free_ char *spec = xasprintf("'containers':[{'name':'c','ports':[{'containerPort':80},%s]}]", port);

    return make_pod("p", spec);
}

static bool ports_clash(const char *there, const char *wanted) {
    _cleanup_(pod_info_freep) struct pod_info *a = pod_with_port(there);
    _cleanup_(pod_info_freep) struct pod_info *b = pod_with_port(wanted);
    _cleanup_(node_info_freep) struct node_info *node = make_node("n", "", "");

    node_info_add_pod(node, &a->demand);
    bool clash = !lets(&plugin_node_ports, b, node, "node(s) didn't have free ports for the requested pod ports");
    node_info_remove_pod(node, &a->demand);
    assert_true(lets(&plugin_node_ports, b, node, NULL));
    return clash;
}

static void test_host_ports(void **state) {
    assert_true(ports_clash("{'hostPort':80}", "{'hostPort':80}"));
    assert_false(ports_clash("{'hostPort':80}", "{'hostPort':81}"));
    assert_false(ports_clash("{'hostPort':80}", "{'hostPort':80,'protocol':'UDP'}"));
    assert_false(ports_clash("{'hostPort':80,'hostIP':'10.0.0.1'}", "{'hostPort':80,'hostIP':'10.0.0.2'}"));
    assert_true(ports_clash("{'hostPort':80,'hostIP':'10.0.0.1'}", "{'hostPort':80,'hostIP':'0.0.0.0'}"));
    assert_true(ports_clash("{'hostPort':80,'hostIP':'10.0.0.1'}", "{'hostPort':80,'hostIP':'10.0.0.1'}"));
    assert_false(ports_clash("{'containerPort':1}", "{'containerPort':1}"));
}

static void test_pod_requests(void **state) {
    /* containers 300m; sidecar 50m; the second init container runs beside the sidecar: 500m + 50m is the peak */
    _cleanup_(pod_info_freep) struct pod_info *pod =
        make_pod("p", "'containers':[{'resources':{'requests':{'cpu':'100m','memory':'1Gi'}}},"
                      "{'resources':{'requests':{'cpu':'200m','example.com/gpu':'1'}}}],"
                      "'initContainers':[{'resources':{'requests':{'cpu':'400m'}}},"
                      "{'restartPolicy':'Always','resources':{'requests':{'cpu':'50m'}}},"
                      "{'resources':{'requests':{'cpu':'500m','memory':'10Mi','example.com/gpu':'2'}}}],"
                      "'overhead':{'cpu':'7m','memory':'1Mi'}");

    assert_int_equal(pod->demand.request[SCHED_CPU], 557);
    assert_int_equal(pod->demand.request[SCHED_MEMORY], (1ll << 30) + (1 << 20));
    assert_int_equal(pod->demand.n_extended, 1);
    assert_int_equal(pod->demand.extended[0].amount, 2);
    _cleanup_(pod_info_freep) struct pod_info *nothing = make_pod("p", "'containers':[{},{}]");
    assert_int_equal(nothing->demand.request[SCHED_CPU], 0);
    assert_int_equal(nothing->demand.assumed[SCHED_CPU], 200);
    assert_int_equal(nothing->demand.assumed[SCHED_MEMORY], 400 << 20);
}

static void test_resources_fit(void **state) {
    _cleanup_(node_info_freep) struct node_info *node = make_node("n", "", "");
    _cleanup_(pod_info_freep) struct pod_info *big = make_pod_asking("a", "3", "6Gi");
    _cleanup_(pod_info_freep) struct pod_info *exact = make_pod_asking("b", "1", "2Gi");
    _cleanup_(pod_info_freep) struct pod_info *more = make_pod_asking("c", "1001m", "2049Mi");
    _cleanup_(pod_info_freep) struct pod_info *cpu_only = make_pod_asking("d", "1", "0");
    struct refusals r = {.n = 0};

    node_info_add_pod(node, &big->demand);
    assert_true(lets(&plugin_node_resources, exact, node, NULL));
    assert_false(plugin_node_resources.filter(more, node, &r)); /* both are said */
    _cleanup_free_ char *message = sched_refusal_message(&r, 1);
    assert_string_equal(message, "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory.");
    node_info_add_pod(node, &exact->demand);
    assert_false(lets(&plugin_node_resources, cpu_only, node, "Insufficient cpu"));
}

static void test_pods_without_requests_fit_a_full_node(void **state) {
    _cleanup_(node_info_freep) struct node_info *node = make_node("n", "", "");
    _cleanup_(pod_info_freep) struct pod_info *big = make_pod_asking("a", "4", "8Gi");
    _cleanup_(pod_info_freep) struct pod_info *nothing = make_pod("d", "'containers':[{}]");

    node_info_add_pod(node, &big->demand);
    for (int i = 0; i < 9; i++) {
        assert_true(lets(&plugin_node_resources, nothing, node, NULL));
        node_info_add_pod(node, &nothing->demand);
    }
    assert_false(lets(&plugin_node_resources, nothing, node, "Too many pods"));
}

static void test_extended_resources(void **state) {
    _cleanup_(node_info_freep) struct node_info *node = make_node("n", "", "");
    _cleanup_(pod_info_freep) struct pod_info *gpu =
        make_pod("a", "'containers':[{'resources':{'requests':{'example.com/gpu':'1'}}}]");
    _cleanup_(pod_info_freep) struct pod_info *other =
        make_pod("b", "'containers':[{'resources':{'requests':{'example.com/tpu':'1'}}}]");
    struct refusals r = {.n = 0};

    assert_true(lets(&plugin_node_resources, gpu, node, NULL));
    node_info_add_pod(node, &gpu->demand);
    node_info_add_pod(node, &gpu->demand);
    assert_false(lets(&plugin_node_resources, gpu, node, "Insufficient"));
    assert_false(plugin_node_resources.filter(other, node, &r));
    _cleanup_free_ char *message = sched_refusal_message(&r, 1);
    assert_string_equal(message, "0/1 nodes are available: 1 Insufficient example.com/tpu.");
    node_info_remove_pod(node, &gpu->demand);
    assert_true(lets(&plugin_node_resources, gpu, node, NULL));
}

static void test_emptier_node_scores_higher(void **state) {
    _cleanup_(node_info_freep) struct node_info *node = make_node("n", "", "");
    _cleanup_(pod_info_freep) struct pod_info *pod = make_pod_asking("a", "1", "2Gi");

    assert_int_equal(plugin_node_resources.score(pod, node), 75); /* a quarter of both used */
    node_info_add_pod(node, &pod->demand);
    assert_int_equal(plugin_node_resources.score(pod, node), 50);
    _cleanup_(pod_info_freep) struct pod_info *huge = make_pod_asking("a", "9", "0");
    assert_int_equal(plugin_node_resources.score(huge, node), 37); /* no CPU left, three quarters of memory */
}

static void test_balance(void **state) {
    _cleanup_(node_info_freep) struct node_info *node = make_node("n", "", "");
    _cleanup_(pod_info_freep) struct pod_info *even = make_pod_asking("a", "2", "4Gi");
    _cleanup_(pod_info_freep) struct pod_info *uneven = make_pod_asking("a", "4", "0");

    assert_int_equal(plugin_balanced.score(even, node), 100);
    assert_int_equal(plugin_balanced.score(uneven, node), 50);
    _cleanup_(pod_info_freep) struct pod_info *nothing = make_pod("d", "'containers':[{}]");
    assert_false(plugin_balanced.scores(nothing));
}

static void test_spread_counts_the_owners_pods(void **state) {
    _cleanup_json_ struct json *doc = quoted(
        "{'metadata':{'name':'a','namespace':'d','ownerReferences':[{'uid':'x'},{'uid':'rs','controller':true}]},"
        "'spec':{}}");
    _cleanup_json_ struct json *doc2 = quoted(
        "{'metadata':{'name':'b','namespace':'d','ownerReferences':[{'uid':'rs2','controller':true}]},'spec':{}}");
    _cleanup_(pod_info_freep) struct pod_info *owned = pod_info_new(doc), *other = pod_info_new(doc2);
    _cleanup_(pod_info_freep) struct pod_info *orphan = make_pod("p", "");
    _cleanup_(node_info_freep) struct node_info *node = make_node("n", "", "");

    assert_true(plugin_spread.scores(owned));
    assert_false(plugin_spread.scores(orphan));
    node_info_add_pod(node, &owned->demand);
    node_info_add_pod(node, &owned->demand);
    node_info_add_pod(node, &other->demand);
    node_info_add_pod(node, &orphan->demand);
    assert_int_equal(plugin_spread.score(owned, node), 2);
    node_info_remove_pod(node, &owned->demand);
    assert_int_equal(plugin_spread.score(owned, node), 1);
    assert_int_equal(plugin_spread.score(other, node), 1);
    node_info_remove_pod(node, &owned->demand);
    assert_int_equal(plugin_spread.score(owned, node), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_affinity_operators),
        cmocka_unit_test(test_affinity_terms),
        cmocka_unit_test(test_node_selector),
        cmocka_unit_test(test_preferred_affinity_adds_weights),
        cmocka_unit_test(test_taints),
        cmocka_unit_test(test_prefer_no_schedule_scores),
        cmocka_unit_test(test_unschedulable),
        cmocka_unit_test(test_node_name),
        cmocka_unit_test(test_host_ports),
        cmocka_unit_test(test_pod_requests),
        cmocka_unit_test(test_resources_fit),
        cmocka_unit_test(test_pods_without_requests_fit_a_full_node),
        cmocka_unit_test(test_extended_resources),
        cmocka_unit_test(test_emptier_node_scores_higher),
        cmocka_unit_test(test_balance),
        cmocka_unit_test(test_spread_counts_the_owners_pods),
    };

    return cmocka_run_group_tests_name("plugins", tests, NULL, NULL);
}
