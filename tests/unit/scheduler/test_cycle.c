/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The decision as a whole: who is chosen, what is said when nobody is, and that no node is ever over-committed. */
#include "tests/unit/scheduler/cluster.h"

struct choice {
    const char *node;
    char *message;
};

static struct sched_choice decide(const struct sched_cache *c, const struct pod_info *pod, uint64_t random,
                                  char **ret_message) {
    struct sched_scratch scratch = {0};
    struct sched_choice choice;
    struct sched_request q = {.pod = pod, .random = random};

    q.nodes = sched_cache_nodes(c, &q.n_nodes);
    sched_cycle(&q, &scratch, &choice);
    if (ret_message)
        *ret_message = sched_refusal_message(&scratch.refusals, q.n_nodes);
    sched_scratch_finish(&scratch);
    return choice;
}

static void add_node(struct sched_cache *c, const char *name, const char *labels, const char *spec) {
    _cleanup_json_ struct json *doc = node_document(name, labels, spec);

    (void) sched_cache_set_node(c, doc);
}

static void test_message_counts_reasons(void **state) {
    _cleanup_(sched_cache_freep) struct sched_cache *c = sched_cache_new();
    _cleanup_(pod_info_freep) struct pod_info *pod = make_pod_asking("p", "5", "1Gi");
    _cleanup_free_ char *none = NULL, *message = NULL;

    (void) decide(c, pod, 0, &none);
    assert_string_equal(none, "no nodes available to schedule pods");
    add_node(c, "a", "", "");
    add_node(c, "b", "", "'taints':[{'key':'k','value':'v','effect':'NoSchedule'}]");
    assert_null(decide(c, pod, 0, &message).node);
    assert_string_equal(message,
                        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {k: v}.");
    free(steal(&message));
    add_node(c, "c", "", "'unschedulable':true");
    add_node(c, "d", "", "");
    add_node(c, "e", "", "'taints':[{'key':'node.kubernetes.io/not-ready','effect':'NoExecute'}]");
    (void) decide(c, pod, 0, &message);
    assert_string_equal(message, "0/5 nodes are available: 1 node(s) had untolerated taint "
                                 "{k: v}, 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }, 1 node(s) "
                                 "were unschedulable, 2 Insufficient cpu.");
}

static void test_pods_of_one_owner_spread(void **state) {
    _cleanup_(sched_cache_freep) struct sched_cache *c = sched_cache_new();
    int count[3] = {0};

    add_node(c, "n0", "", "");
    add_node(c, "n1", "", "");
    add_node(c, "n2", "", "");
    for (int i = 0; i < 9; i++) {
        _cleanup_free_ char *text = xasprintf(
            "{'metadata':{'name':'p%d','namespace':'d','uid':'u%d','ownerReferences':[{'uid':'rs','controller':"
            "true}]},'spec':{'containers':[{}]}}",
            i, i);
        _cleanup_json_ struct json *doc = quoted(text);
        _cleanup_(pod_info_freep) struct pod_info *pod = pod_info_new(doc);
        const struct node_info *n = decide(c, pod, (uint64_t) i * 7919, NULL).node;
        assert_non_null(n);
        count[n->name[1] - '0']++;
        sched_cache_assume(c, pod, n->name);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(count[i], 3);
}

static void test_preferences_decide(void **state) {
    _cleanup_(sched_cache_freep) struct sched_cache *c = sched_cache_new();
    _cleanup_(pod_info_freep) struct pod_info *pod = make_pod(
        "p", "'containers':[{}],'affinity':{'nodeAffinity':{'preferredDuringSchedulingIgnoredDuringExecution':["
             "{'weight':1,'preference':{'matchExpressions':[{'key':'liked','operator':'Exists'}]}}]}}");
    _cleanup_(pod_info_freep) struct pod_info *plain = make_pod("q", "'containers':[{}]");

    add_node(c, "a", "", "");
    add_node(c, "b", "'liked':''", "");
    for (uint64_t random = 0; random < 5; random++)
        assert_string_equal(decide(c, pod, random, NULL).node->name, "b");
    add_node(c, "b", "", "'taints':[{'key':'k','effect':'PreferNoSchedule'}]");
    for (uint64_t random = 0; random < 5; random++)
        assert_string_equal(decide(c, plain, random, NULL).node->name, "a");
}

static void test_ties_fall_by_the_random_number(void **state) {
    _cleanup_(sched_cache_freep) struct sched_cache *c = sched_cache_new();
    _cleanup_(pod_info_freep) struct pod_info *pod = make_pod("p", "'containers':[{}]");
    bool seen[4] = {false};

    for (int i = 0; i < 4; i++) {
        char name[4] = {'n', (char) ('0' + i), 0};
        add_node(c, name, "", "");
    }
    for (uint64_t random = 0; random < 4; random++)
        seen[decide(c, pod, random, NULL).node->name[1] - '0'] = true;
    for (int i = 0; i < 4; i++)
        assert_true(seen[i]);
    assert_ptr_equal(decide(c, pod, 2, NULL).node, decide(c, pod, 2, NULL).node);
}

static void test_big_clusters_are_sampled_in_turn(void **state) {
    _cleanup_(sched_cache_freep) struct sched_cache *c = sched_cache_new();
    _cleanup_(pod_info_freep) struct pod_info *pod = make_pod("p", "'containers':[{}]");
    struct sched_scratch scratch = {0};
    struct sched_choice choice;
    struct sched_request q = {.pod = pod};

    assert_int_equal(sched_enough_nodes(99, 0), 99);
    assert_int_equal(sched_enough_nodes(100, 0), 100);
    assert_int_equal(sched_enough_nodes(1000, 0), 420);
    assert_int_equal(sched_enough_nodes(5000, 0), 500);
    assert_int_equal(sched_enough_nodes(20000, 0), 1000);
    assert_int_equal(sched_enough_nodes(1000, 30), 300);
    assert_int_equal(sched_enough_nodes(1000, 100), 1000);
    for (int i = 0; i < 1000; i++) {
        char name[8];
        snprintf(name, sizeof(name), "n%d", i);
        add_node(c, name, "", i < 500 ? "'unschedulable':true" : "");
    }
    q.nodes = sched_cache_nodes(c, &q.n_nodes);
    sched_cycle(&q, &scratch, &choice);
    assert_int_equal(choice.feasible, 420);
    assert_int_equal(choice.examined, 920); /* the first half is refused */
    assert_int_equal(choice.next_start, 920);
    q.start = choice.next_start;
    sched_cycle(&q, &scratch, &choice);
    assert_int_equal(choice.feasible, 420);
    assert_int_equal(choice.next_start, (920 + choice.examined) % 1000);
    sched_scratch_finish(&scratch);
}

/* --- the cache --- */

static void test_assume_forget_confirm(void **state) {
    _cleanup_(sched_cache_freep) struct sched_cache *c = sched_cache_new();
    _cleanup_(pod_info_freep) struct pod_info *pod = make_pod_asking("p", "3", "1Gi");
    _cleanup_(pod_info_freep) struct pod_info *bound =
        make_pod("p", "'nodeName':'a','containers':[{'resources':{'requests':{'cpu':'3','memory':'1Gi'}}}]");

    add_node(c, "a", "", "");
    sched_cache_assume(c, pod, "a");
    assert_true(sched_cache_is_assumed(c, "default/p"));
    assert_int_equal(sched_cache_node(c, "a")->requested[SCHED_CPU], 3000);
    assert_null(sched_cache_forget(c, "default/p", "another-uid"));
    assert_ptr_equal(sched_cache_forget(c, "default/p", "uid-p"), sched_cache_node(c, "a"));
    assert_int_equal(sched_cache_node(c, "a")->requested[SCHED_CPU], 0);

    sched_cache_assume(c, pod, "a");
    assert_null(sched_cache_set_pod(c, bound));
    assert_false(sched_cache_is_assumed(c, "default/p"));
    assert_null(sched_cache_forget(c, "default/p", "uid-p")); /* confirmed: stays */
    assert_int_equal(sched_cache_node(c, "a")->requested[SCHED_CPU], 3000);
    assert_int_equal(sched_cache_node(c, "a")->n_pods, 1);
    assert_non_null(sched_cache_remove_pod(c, "default/p"));
    assert_int_equal(sched_cache_node(c, "a")->n_pods, 0);
}

static void test_pods_before_their_node(void **state) {
    _cleanup_(sched_cache_freep) struct sched_cache *c = sched_cache_new();
    _cleanup_(pod_info_freep) struct pod_info *bound =
        make_pod("p", "'nodeName':'late','containers':[{'resources':{'requests':{'cpu':'3'}}}]");
    size_t n;

    assert_null(sched_cache_set_pod(c, bound));
    (void) sched_cache_nodes(c, &n);
    assert_int_equal(n, 0);
    add_node(c, "late", "", "");
    assert_int_equal(sched_cache_node(c, "late")->requested[SCHED_CPU], 3000);
    sched_cache_remove_node(c, "late");
    assert_null(sched_cache_node(c, "late"));
    add_node(c, "late", "", "");
    assert_int_equal(sched_cache_node(c, "late")->requested[SCHED_CPU], 3000);
    sched_cache_remove_node(c, "late");
    assert_null(sched_cache_remove_pod(c, "default/p"));
}

static void test_node_changes_are_named(void **state) {
    _cleanup_(sched_cache_freep) struct sched_cache *c = sched_cache_new();
    _cleanup_json_ struct json *plain = node_document("n", "", ""), *labelled = node_document("n", "'a':'b'", ""),
                               *tainted = node_document("n", "'a':'b'", "'taints':[{'key':'k','effect':'NoSchedule'}]"),
                               *cordoned = node_document("n", "", "'unschedulable':true");

    assert_true(sched_cache_set_node(c, plain) & EVENT_NODE_ADDED);
    assert_int_equal(sched_cache_set_node(c, plain), 0);
    assert_int_equal(sched_cache_set_node(c, labelled), EVENT_NODE_LABELS);
    assert_int_equal(sched_cache_set_node(c, tainted), EVENT_NODE_TAINTS);
    assert_int_equal(sched_cache_set_node(c, cordoned), EVENT_NODE_LABELS | EVENT_NODE_TAINTS | EVENT_NODE_SCHEDULABLE);
}

/* --- property: whatever comes and goes, no node has more on it than it offers --- */

static void check_not_over_committed(const struct sched_cache *c) {
    size_t n;
    struct node_info *const *nodes = sched_cache_nodes(c, &n);

    for (size_t i = 0; i < n; i++) {
        for (size_t r = 0; r < SCHED_RESOURCES; r++) {
            assert_true(nodes[i]->requested[r] >= 0);
            assert_true(nodes[i]->requested[r] <= nodes[i]->allocatable[r]);
        }
        assert_in_range(nodes[i]->n_pods, 0, nodes[i]->allowed_pods);
        for (size_t e = 0; e < nodes[i]->n_extended; e++)
            assert_in_range(nodes[i]->extended[e].requested, 0, nodes[i]->extended[e].allocatable);
        for (size_t a = 0; a < nodes[i]->n_ports; a++)
            for (size_t b = a + 1; b < nodes[i]->n_ports; b++)
                assert_false(nodes[i]->ports[a].port == nodes[i]->ports[b].port &&
                             nodes[i]->ports[a].protocol == nodes[i]->ports[b].protocol);
    }
}

static struct pod_info *random_pod(unsigned *seed, int id) {
    _cleanup_free_ char *name = xasprintf("p%d", id), *port = NULL, *gpu = NULL;

    if (rand_r(seed) % 4 == 0)
        port = xasprintf("{'hostPort':%d}", 8000 + rand_r(seed) % 3);
    if (rand_r(seed) % 4 == 0)
        gpu = xasprintf("'example.com/gpu':'%d',", rand_r(seed) % 3);
    _cleanup_free_ char *spec =
        xasprintf("'containers':[{'ports':[%s],'resources':{'requests':{%s'cpu':'%dm','memory':'%dMi'}}}]",
                  port ? port : "", gpu ? gpu : "", rand_r(seed) % 2000, rand_r(seed) % 4096);
    return make_pod(name, spec);
}

static void test_never_over_commits(void **state) {
    for (unsigned run = 1; run <= 10; run++) {
        _cleanup_(sched_cache_freep) struct sched_cache *c = sched_cache_new();
        unsigned seed = run, placed = 0, refused = 0;
        for (int i = 0; i < 6; i++) {
            char name[4] = {'n', (char) ('0' + i), 0};
            add_node(c, name, "", "");
        }
        for (int step = 0; step < 400; step++) {
            _cleanup_(pod_info_freep) struct pod_info *pod = random_pod(&seed, step);
            const struct node_info *n = decide(c, pod, (uint64_t) rand_r(&seed), NULL).node;
            size_t n_nodes;
            struct node_info *const *nodes = sched_cache_nodes(c, &n_nodes);
            if (n) {
                placed++;
                sched_cache_assume(c, pod, n->name);
            } else {
                refused++; /* and rightly so */
                for (size_t i = 0; i < n_nodes; i++)
                    assert_false(sched_would_fit(pod, nodes[i]));
            }
            if (rand_r(&seed) % 3 == 0) {
                char key[32];
                snprintf(key, sizeof(key), "default/p%d", rand_r(&seed) % (step + 1));
                (void) sched_cache_remove_pod(c, key);
            }
            check_not_over_committed(c);
        }
        assert_true(placed > 30);
        assert_true(refused > 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message_counts_reasons),
        cmocka_unit_test(test_pods_of_one_owner_spread),
        cmocka_unit_test(test_preferences_decide),
        cmocka_unit_test(test_ties_fall_by_the_random_number),
        cmocka_unit_test(test_big_clusters_are_sampled_in_turn),
        cmocka_unit_test(test_assume_forget_confirm),
        cmocka_unit_test(test_pods_before_their_node),
        cmocka_unit_test(test_node_changes_are_named),
        cmocka_unit_test(test_never_over_commits),
    };

    return cmocka_run_group_tests_name("cycle", tests, NULL, NULL);
}
