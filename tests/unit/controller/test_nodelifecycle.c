/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/controller/cluster.h"

#include "orchestrator/controller/nodelifecycle/controller.h"
#include "orchestrator/controller/nodelifecycle/decide.h"
#include "orchestrator/controller/replicaset/controller.h"

#define GRACE (150 * USEC_PER_MSEC)

static struct json *node(struct cluster *c) {
    return fake_get(c->fake, fake_resource("nodes"), "", "n1");
}

static void heartbeat(struct cluster *c, int beat) {
    _cleanup_free_ char *patch = xasprintf("{'spec':{'renewTime':'2024-01-01T00:00:%02d.000000Z'}}", beat);
    fake_merge(c->fake, fake_resource("leases"), "kube-node-lease", "n1", patch);
}

static const char *ready(struct cluster *c, const char *field) {
    const struct json *all = json_path(node(c), "status", "conditions");
    for (size_t i = 0; i < json_len(all); i++)
        if (strcmp(json_str(json_get(json_at(all, i), "type")), "Ready") == 0)
            return json_str_or(json_get(json_at(all, i), field), "");
    return "absent";
}

static void pod(struct cluster *c, const char *name, const char *tolerations) {
    _cleanup_free_ char *text =
        xasprintf("{'apiVersion':'v1','kind':'Pod','metadata':{'name':'%s','labels':{'app':'web'}},"
                  "'spec':{'nodeName':'n1','tolerations':[%s]},'status':{'phase':'Running','conditions':["
                  "{'type':'Ready','status':'True','lastTransitionTime':'2024-01-01T00:00:00Z'}]}}",
                  name, tolerations);
    json_unref(fake_create(c->fake, text));
}

static bool pod_leaves(struct cluster *c, const char *name) {
    const struct json *p = fake_get(c->fake, fake_resource("pods"), "default", name);
    return !p || json_path(p, "metadata", "deletionTimestamp");
}

static const char *pod_ready(struct cluster *c, const char *name) {
    const struct json *p = fake_get(c->fake, fake_resource("pods"), "default", name);
    return json_str_or(json_get(json_at(json_path(p, "status", "conditions"), 0), "status"), "");
}

static void start(struct cluster *c) {
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'Node','metadata':{'name':'n1'},'spec':{'taints':["
                                    "{'key':'mine','effect':'NoSchedule'}]},'status':{'conditions':["
                                    "{'type':'Ready','status':'True','lastHeartbeatTime':'2024-01-01T00:00:00Z'}]}}"));
    json_unref(fake_create(c->fake,
                           "{'apiVersion':'coordination.k8s.io/v1','kind':'Lease','metadata':{'name':'n1',"
                           "'namespace':'kube-node-lease'},'spec':{'renewTime':'2024-01-01T00:00:00.000000Z'}}"));
    c->env.options.node_monitor_grace = GRACE;
    c->env.options.pod_eviction_timeout = 100 * USEC_PER_MSEC;
    cluster_start(c, &node_lifecycle_controller);
    fake_settle(c->loop);
}

static void test_a_node_that_renews_its_lease_stays_ready(void **state) {
    struct cluster *c = *state;
    start(c);
    for (int i = 1; i <= 8; i++) {
        fake_run_for(c->loop, GRACE / 2);
        heartbeat(c, i);
    }
    assert_string_equal(ready(c, "status"), "True");
    assert_int_equal(json_len(json_path(node(c), "spec", "taints")), 1);
}

static void test_our_own_stall_is_not_the_nodes_silence(void **state) {
    struct cluster *c = *state;
    start(c);
    usleep(2 * GRACE); /* the loop stands still, heartbeats wait in the sockets */
    fake_run_for(c->loop, GRACE / 10);
    heartbeat(c, 1);
    fake_run_for(c->loop, GRACE / 2);
    assert_string_equal(ready(c, "status"), "True");
    fake_run_for(c->loop, GRACE); /* but real silence is found all the same */
    assert_string_equal(ready(c, "status"), "Unknown");
}

static void test_a_silent_node_is_marked_with_its_pods(void **state) {
    struct cluster *c = *state;
    start(c);
    pod(c, "p", "{'operator':'Exists'}");
    fake_run_for(c->loop, GRACE + 80 * USEC_PER_MSEC);
    assert_string_equal(ready(c, "status"), "Unknown");
    assert_string_equal(ready(c, "reason"), "NodeStatusUnknown");
    assert_true(node_has_taint(node(c), TAINT_UNREACHABLE, "NoSchedule"));
    assert_true(node_has_taint(node(c), TAINT_UNREACHABLE, "NoExecute"));
    assert_true(node_has_taint(node(c), "mine", "NoSchedule"));
    assert_string_equal(pod_ready(c, "p"), "False");
    assert_false(pod_leaves(c, "p")); /* tolerates everything for ever */
}

static void test_pods_of_a_silent_node_are_evicted_in_time(void **state) {
    struct cluster *c = *state;
    start(c);
    pod(c, "plain", "");
    pod(c, "patient",
        "{'key':'node.kubernetes.io/unreachable','operator':'Exists','effect':'NoExecute',"
        "'tolerationSeconds':3600}");
    pod(c, "hasty",
        "{'key':'node.kubernetes.io/unreachable','operator':'Exists','effect':'NoExecute',"
        "'tolerationSeconds':0}");
    fake_run_for(c->loop, GRACE + 40 * USEC_PER_MSEC);
    assert_true(pod_leaves(c, "hasty"));
    assert_false(pod_leaves(c, "plain"));
    fake_run_for(c->loop, 150 * USEC_PER_MSEC);
    assert_true(pod_leaves(c, "plain"));
    assert_false(pod_leaves(c, "patient"));
}

static void test_a_node_that_comes_back_keeps_its_pods(void **state) {
    struct cluster *c = *state;
    c->env.options.pod_eviction_timeout = 0;
    start(c);
    pod(c, "p",
        "{'key':'node.kubernetes.io/unreachable','operator':'Exists','effect':'NoExecute',"
        "'tolerationSeconds':1}");
    fake_run_for(c->loop, GRACE + 50 * USEC_PER_MSEC);
    assert_true(node_has_taint(node(c), TAINT_UNREACHABLE, "NoExecute"));
    for (int i = 1; i < 20; i++) {
        heartbeat(c, i);
        if (i == 1)
            fake_merge(c->fake, fake_resource("nodes"), "", "n1",
                       "{'status':{'conditions':[{'type':'Ready','status':'True',"
                       "'lastHeartbeatTime':'2024-01-01T00:01:00Z'}]}}");
        fake_run_for(c->loop, GRACE / 2);
    }
    assert_string_equal(ready(c, "status"), "True");
    assert_int_equal(json_len(json_path(node(c), "spec", "taints")), 1);
    assert_false(pod_leaves(c, "p")); /* more than its second has passed */
}

static void test_cordon_becomes_a_taint_and_goes_with_it(void **state) {
    struct cluster *c = *state;
    start(c);
    fake_merge(c->fake, fake_resource("nodes"), "", "n1", "{'spec':{'unschedulable':true}}");
    fake_settle(c->loop);
    assert_true(node_has_taint(node(c), "node.kubernetes.io/unschedulable", "NoSchedule"));
    fake_merge(c->fake, fake_resource("nodes"), "", "n1", "{'spec':{'unschedulable':null}}");
    fake_settle(c->loop);
    assert_false(node_has_taint(node(c), "node.kubernetes.io/unschedulable", "NoSchedule"));
}

static void test_replacements_are_made_while_pods_linger_on_a_dead_node(void **state) {
    struct cluster *c = *state;
    start(c);
    cluster_start(c, &replicaset_controller);
    json_unref(fake_create(c->fake,
                           "{'apiVersion':'apps/v1','kind':'ReplicaSet','metadata':{'name':'web','generation':1},"
                           "'spec':{'replicas':1,'selector':{'matchLabels':{'app':'web'}},"
                           "'template':{'metadata':{'labels':{'app':'web'}},'spec':{}}}}"));
    fake_settle(c->loop);
    pods_run(c);
    fake_run_for(c->loop, GRACE + 350 * USEC_PER_MSEC);
    /* the old one waits for its agent, the new one is not bound yet */
    assert_count(c, "pods", 2);
}

struct taint_case {
    const char *condition, *key;
};

static void test_conditions_become_taints(void **state) {
    static const struct taint_case cases[] = {
        {"{'type':'Ready','status':'False'}", "node.kubernetes.io/not-ready"},
        {"{'type':'Ready','status':'Unknown'}", "node.kubernetes.io/unreachable"},
        {"{'type':'MemoryPressure','status':'True'}", "node.kubernetes.io/memory-pressure"},
        {"{'type':'DiskPressure','status':'True'}", "node.kubernetes.io/disk-pressure"},
        {"{'type':'PIDPressure','status':'True'}", "node.kubernetes.io/pid-pressure"},
        {"{'type':'NetworkUnavailable','status':'True'}", "node.kubernetes.io/network-unavailable"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *text = xasprintf("{'status':{'conditions':[%s]}}", cases[i].condition);
        struct json *n = fake_json(text);
        json_set_path(&n, node_taints_wanted(n, 0), "spec", "taints");
        assert_true(node_has_taint(n, cases[i].key, "NoSchedule"));
        _cleanup_json_ struct json *again = node_taints_wanted(n, 5000000);
        assert_true(json_equal(again, json_path(n, "spec", "taints"))); /* settled */
        json_unref(n);
    }
}

struct delay_case {
    const char *taints, *tolerations;
    uint64_t delay;
};

static void test_eviction_delays(void **state) {
    static const struct delay_case cases[] = {
        {"", "", EVICT_NEVER},
        {"{'key':'a','effect':'NoSchedule'}", "", EVICT_NEVER},
        {"{'key':'a','effect':'NoExecute'}", "", 0},
        {"{'key':'a','effect':'NoExecute'}", "{'key':'a','operator':'Exists'}", EVICT_NEVER},
        {"{'key':'a','value':'x','effect':'NoExecute'}", "{'key':'a','value':'x'}", EVICT_NEVER},
        {"{'key':'a','value':'x','effect':'NoExecute'}", "{'key':'a','value':'y'}", 0},
        {"{'key':'a','effect':'NoExecute'}", "{'key':'a','operator':'Exists','tolerationSeconds':7}", 7000000},
        {"{'key':'a','effect':'NoExecute'}", "{'key':'a','operator':'Exists','tolerationSeconds':-1}", 0},
        {"{'key':'a','effect':'NoExecute'},{'key':'b','effect':'NoExecute'}",
         "{'key':'a','operator':'Exists','tolerationSeconds':7},{'operator':'Exists','tolerationSeconds':5}", 5000000},
        {"{'key':'node.kubernetes.io/not-ready','effect':'NoExecute'}", "", 42},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *n_text = xasprintf("{'spec':{'taints':[%s]}}", cases[i].taints);
        _cleanup_free_ char *p_text = xasprintf("{'spec':{'tolerations':[%s]}}", cases[i].tolerations);
        _cleanup_json_ struct json *n = fake_json(n_text), *p = fake_json(p_text);
        if (node_eviction_delay(n, p, 42) != cases[i].delay)
            fail_msg("case %zu: %llu", i, (unsigned long long) node_eviction_delay(n, p, 42));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_a_node_that_renews_its_lease_stays_ready),
        T(test_our_own_stall_is_not_the_nodes_silence),
        T(test_a_silent_node_is_marked_with_its_pods),
        T(test_pods_of_a_silent_node_are_evicted_in_time),
        T(test_a_node_that_comes_back_keeps_its_pods),
        T(test_cordon_becomes_a_taint_and_goes_with_it),
        T(test_replacements_are_made_while_pods_linger_on_a_dead_node),
        cmocka_unit_test(test_conditions_become_taints),
        cmocka_unit_test(test_eviction_delays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
