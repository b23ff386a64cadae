/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The queue: order, back-off, and that events wake those they may help, and no others. */
#include "tests/unit/scheduler/cluster.h"

#include "orchestrator/scheduler/queue.h"
#include "podium/base/clock.h"

#define SEC USEC_PER_SEC

static void put(struct sched_queue *q, const char *name, const char *spec) {
    sched_queue_put(q, make_pod(name, spec), 0);
}

static void assert_pops(struct sched_queue *q, uint64_t now, const char *name) {
    const struct pod_info *p = sched_queue_pop(q, now);

    if (!name) {
        assert_null(p);
        return;
    }
    assert_non_null(p);
    assert_string_equal(p->name, name);
}

/* The registry index of a plugin, as a bit. */
static unsigned bit(const struct sched_plugin *plugin) {
    size_t n;
    const struct sched_plugin *const *all = sched_plugins(&n);

    for (size_t i = 0; i < n; i++)
        if (all[i] == plugin)
            return 1u << i;
    fail();
    return 0;
}

static void test_priority_then_first_come(void **state) {
    _cleanup_(sched_queue_freep) struct sched_queue *q = sched_queue_new();

    put(q, "a", "");
    put(q, "b", "'priority':10");
    put(q, "c", "");
    put(q, "d", "'priority':10");
    put(q, "e", "'priority':-5");
    put(q, "f", "'priority':1000");
    sched_queue_remove(q, "default/f");
    assert_int_equal(sched_queue_next_time(q), 0);
    assert_pops(q, 0, "b");
    assert_pops(q, 0, "d");
    assert_pops(q, 0, "a");
    assert_pops(q, 0, "c");
    assert_pops(q, 0, "e");
    assert_pops(q, 0, NULL);
    assert_int_equal(sched_queue_sizes(q).out, 5);
    assert_int_equal(sched_queue_next_time(q), UINT64_MAX);
}

static void test_many_pods_keep_their_order(void **state) {
    _cleanup_(sched_queue_freep) struct sched_queue *q = sched_queue_new();
    char name[16], spec[32];
    unsigned seed = 3;
    int64_t before = INT64_MAX;

    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        snprintf(spec, sizeof(spec), "'priority':%d", rand_r(&seed) % 50);
        put(q, name, spec);
        if (i % 3 == 0) {
            snprintf(name, sizeof(name), "default/p%d", rand_r(&seed) % (i + 1));
            sched_queue_remove(q, name);
        }
    }
    size_t n = 0;
    for (const struct pod_info *p; (p = sched_queue_pop(q, 0)); n++) {
        assert_true(p->priority <= before);
        before = p->priority;
    }
    assert_in_range(n, 334, 500);
}

static void test_back_off_doubles_to_ten_seconds(void **state) {
    static const unsigned waits[] = {1, 2, 4, 8, 10, 10};
    _cleanup_(sched_queue_freep) struct sched_queue *q = sched_queue_new();
    uint64_t now = 100 * SEC;

    put(q, "a", "");
    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        assert_pops(q, now, "a");
        sched_queue_back_off(q, "default/a", now);
        assert_int_equal(sched_queue_next_time(q), now + waits[i] * SEC);
        assert_pops(q, now + waits[i] * SEC - 1, NULL);
        now += waits[i] * SEC;
    }
    assert_pops(q, now, "a");
}

static void test_events_wake_only_whom_they_help(void **state) {
    _cleanup_(sched_queue_freep) struct sched_queue *q = sched_queue_new();
    _cleanup_(node_info_freep) struct node_info *node = make_node("n", "'disk':'ssd'", "");
    _cleanup_(pod_info_freep) struct pod_info *filler = make_pod_asking("filler", "3", "1Gi");
    uint64_t now = 50 * SEC;

    node_info_add_pod(node, &filler->demand);
    sched_queue_put(q, make_pod_asking("small", "500m", "1Gi"), 0);
    sched_queue_put(q, make_pod_asking("big", "2", "1Gi"), 0);
    put(q, "picky", "'nodeSelector':{'disk':'ssd'},'containers':[{}]");
    for (int i = 0; i < 3; i++)
        assert_non_null(sched_queue_pop(q, now));
    sched_queue_unschedulable(q, "default/small", bit(&plugin_node_resources), now);
    sched_queue_unschedulable(q, "default/big", bit(&plugin_node_resources), now);
    sched_queue_unschedulable(q, "default/picky", bit(&plugin_node_affinity), now);
    now += 20 * SEC; /* back-off is over */
    assert_pops(q, now, NULL);

    /* a pod left the node: helps who lacked room and has it now */
    assert_int_equal(sched_queue_event(q, EVENT_POD_GONE, node, now), 1);
    assert_pops(q, now, "small");
    assert_pops(q, now, NULL);
    /* whatever changes a node may make it fit the picky one, which does */
    assert_int_equal(sched_queue_event(q, EVENT_NODE_LABELS, node, now), 1);
    assert_pops(q, now, "picky");
    /* room for the big one */
    node_info_remove_pod(node, &filler->demand);
    assert_int_equal(sched_queue_event(q, EVENT_NODE_ADDED, node, now), 1);
    assert_pops(q, now, "big");
    assert_int_equal(sched_queue_sizes(q).unschedulable, 0);
}

static void test_event_during_back_off_waits_for_its_end(void **state) {
    _cleanup_(sched_queue_freep) struct sched_queue *q = sched_queue_new();
    _cleanup_(node_info_freep) struct node_info *node = make_node("n", "", "");

    put(q, "a", "'containers':[{}]");
    assert_pops(q, 0, "a");
    sched_queue_unschedulable(q, "default/a", bit(&plugin_node_resources), 10 * SEC);
    assert_int_equal(sched_queue_event(q, EVENT_NODE_ADDED, node, 10 * SEC + 1), 1);
    assert_pops(q, 10 * SEC + 1, NULL);
    assert_int_equal(sched_queue_sizes(q).back_off, 1);
    assert_int_equal(sched_queue_next_time(q), 11 * SEC);
    assert_pops(q, 11 * SEC, "a");
}

static void test_five_minutes_are_enough(void **state) {
    _cleanup_(sched_queue_freep) struct sched_queue *q = sched_queue_new();

    put(q, "a", "");
    assert_pops(q, 0, "a");
    sched_queue_unschedulable(q, "default/a", 0, 0);
    assert_int_equal(sched_queue_next_time(q), 300 * SEC);
    assert_pops(q, 300 * SEC - 1, NULL);
    assert_pops(q, 300 * SEC, "a");
}

static void test_updates(void **state) {
    _cleanup_(sched_queue_freep) struct sched_queue *q = sched_queue_new();
    uint64_t now = 100 * SEC;

    put(q, "a", "'priority':1");
    assert_pops(q, 0, "a");
    sched_queue_unschedulable(q, "default/a", 0, 0);
    /* our own status write changes nothing that matters */
    sched_queue_put(q, make_pod("a", "'priority':1"), now);
    assert_pops(q, now, NULL);
    sched_queue_put(q, make_pod("a", "'priority':2"), now);
    assert_pops(q, now, "a");
    /* bound or deleted meanwhile: giving it back is harmless */
    sched_queue_remove(q, "default/a");
    sched_queue_unschedulable(q, "default/a", 0, now);
    sched_queue_back_off(q, "default/a", now);
    sched_queue_remove(q, "default/a");
    assert_int_equal(sched_queue_next_time(q), UINT64_MAX);
    /* another pod of the same name starts afresh */
    put(q, "b", "");
    assert_pops(q, 0, "b");
    sched_queue_unschedulable(q, "default/b", 0, now);
    _cleanup_json_ struct json *doc = quoted("{'metadata':{'name':'b','namespace':'default','uid':'new'},'spec':{}}");
    sched_queue_put(q, pod_info_new(doc), now);
    assert_pops(q, now, "b");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_priority_then_first_come),
        cmocka_unit_test(test_many_pods_keep_their_order),
        cmocka_unit_test(test_back_off_doubles_to_ten_seconds),
        cmocka_unit_test(test_events_wake_only_whom_they_help),
        cmocka_unit_test(test_event_during_back_off_waits_for_its_end),
        cmocka_unit_test(test_five_minutes_are_enough),
        cmocka_unit_test(test_updates),
    };

    return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
