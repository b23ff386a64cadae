/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/controller/cluster.h"

#include "orchestrator/controller/ownership.h"
#include "orchestrator/controller/replicaset/controller.h"
#include "orchestrator/controller/replicaset/decide.h"

static const char *const rs_text =
    "{'apiVersion':'apps/v1','kind':'ReplicaSet','metadata':{'name':'web','generation':1},"
    "'spec':{'replicas':3,'selector':{'matchLabels':{'app':'web'}},"
    "'template':{'metadata':{'labels':{'app':'web'}},'spec':{'containers':[{'name':'c','image':'i'}]}}}}";

static struct json *web(struct cluster *c) {
    return fake_get(c->fake, fake_resource("replicasets"), "default", "web");
}

/* --- end to end --- */

static void test_makes_the_pods_and_reports_them(void **state) {
    struct cluster *c = *state;
    cluster_start(c, &replicaset_controller);
    json_unref(fake_create(c->fake, rs_text));
    assert_count(c, "pods", 3);
    size_t n;
    _cleanup_free_ struct json **pods = fake_all(c->fake, fake_resource("pods"), "default", &n);
    assert_int_equal(strncmp(meta_name(pods[0]), "web-", 4), 0);
    assert_true(owner_is_controller(web(c), pods[0]));
    assert_string_equal(json_str(json_path(pods[0], "metadata", "labels", "app")), "web");
    assert_int_equal(int_at(web(c), "status", "replicas"), 3);
    assert_int_equal(int_at(web(c), "status", "readyReplicas"), 0);
    pods_run(c);
    fake_settle(c->loop);
    assert_int_equal(int_at(web(c), "status", "readyReplicas"), 3);
    assert_int_equal(int_at(web(c), "status", "availableReplicas"), 3);
    assert_int_equal(int_at(web(c), "status", "fullyLabeledReplicas"), 3);
    assert_int_equal(int_at(web(c), "status", "observedGeneration"), 1);
    assert_int_equal(fake_count(c->fake, fake_resource("events"), "default"), 3);
}

static void test_replaces_a_deleted_pod_while_it_still_terminates(void **state) {
    struct cluster *c = *state;
    cluster_start(c, &replicaset_controller);
    json_unref(fake_create(c->fake, rs_text));
    fake_settle(c->loop);
    pods_run(c);
    fake_settle(c->loop);
    size_t n;
    _cleanup_free_ struct json **pods = fake_all(c->fake, fake_resource("pods"), "default", &n);
    _cleanup_free_ char *victim = xstrdup(meta_name(pods[1]));
    fake_merge(c->fake, fake_resource("pods"), "default", victim,
               "{'metadata':{'deletionTimestamp':'2024-01-01T00:00:00Z','deletionGracePeriodSeconds':30}}");
    assert_count(c, "pods", 4);
    assert_int_equal(int_at(web(c), "status", "replicas"), 3);
    pods_stop(c);
    assert_count(c, "pods", 3);
}

static void test_scales_down_unassigned_pods_first(void **state) {
    struct cluster *c = *state;
    cluster_start(c, &replicaset_controller);
    json_unref(fake_create(c->fake, rs_text));
    fake_settle(c->loop);
    pods_run(c);
    fake_merge(c->fake, fake_resource("replicasets"), "default", "web", "{'spec':{'replicas':5}}");
    assert_count(c, "pods", 5);
    fake_merge(c->fake, fake_resource("replicasets"), "default", "web", "{'spec':{'replicas':3}}");
    assert_count(c, "pods", 3); /* the two new ones were not on a node: gone at once */
    fake_merge(c->fake, fake_resource("replicasets"), "default", "web", "{'spec':{'replicas':0}}");
    fake_settle(c->loop);
    pods_stop(c);
    assert_count(c, "pods", 0);
    assert_int_equal(int_at(web(c), "status", "replicas"), 0);
}

static void test_adopts_matching_orphans_and_releases_strangers(void **state) {
    struct cluster *c = *state;
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'lone','labels':{'app':'web'}},"
                                    "'spec':{'nodeName':'n1'}}"));
    cluster_start(c, &replicaset_controller);
    json_unref(fake_create(c->fake, rs_text));
    assert_count(c, "pods", 3);
    struct json *lone = fake_get(c->fake, fake_resource("pods"), "default", "lone");
    assert_true(owner_is_controller(web(c), lone));
    fake_merge(c->fake, fake_resource("pods"), "default", "lone", "{'metadata':{'labels':{'app':'other'}}}");
    assert_count(c, "pods", 4);
    lone = fake_get(c->fake, fake_resource("pods"), "default", "lone");
    assert_null(owner_controller(lone));
}

/* Whom it may adopt: by the rarest label it asks for; without one, any. Others are not looked at. */
static void test_candidates_are_few_among_many_orphans(void **state) {
    static const struct {
        const char *selector;
        size_t n;
    } rows[] = {
        {"{'matchLabels':{'app':'web'}}", 11},
        {"{'matchLabels':{'app':'web','tier':'front'}}", 1},
        {"{'matchLabels':{'app':'nobody'}}", 0},
        {"{'matchLabels':{'app':'web'},'matchExpressions':[{'key':'tier','operator':'Exists'}]}", 11},
        {"{'matchExpressions':[{'key':'app','operator':'In','values':['web']}]}", 51},
        {"{'app':'web','tier':'front'}", 1}, /* a ReplicationController's */
    };
    struct cluster *c = *state;
    struct informer *pods = informer_set_get(c->env.informers, fake_resource("pods"));

    informer_add_index(pods, INDEX_CONTROLLER, index_by_controller);
    for (int i = 0; i < 51; i++) {
        _cleanup_free_ char *text =
            xasprintf("{'apiVersion':'v1','kind':'Pod','metadata':{'name':'p%d','labels':{'app':'%s'%s}}}", i,
                      i <= 10 ? "web" : "other", i == 10 ? ",'tier':'front'" : "");
        json_unref(fake_create(c->fake, text));
    }
    fake_settle(c->loop);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        size_t n;
        _cleanup_free_ char *text =
            xasprintf("{'kind':'X','metadata':{'namespace':'default','name':'x','uid':'u'},'spec':{'selector':%s}}",
                      rows[i].selector);
        _cleanup_json_ struct json *owner = fake_json(text);
        free(owner_candidates(pods, owner, &n));
        assert_int_equal(n, rows[i].n);
    }
}

static void test_a_failing_create_sets_the_condition_then_recovers(void **state) {
    struct cluster *c = *state;
    fake_fail(c->fake, CLIENT_CREATE, "pods", 422, "Invalid", 1000);
    cluster_start(c, &replicaset_controller);
    json_unref(fake_create(c->fake, rs_text));
    fake_settle(c->loop);
    const struct json *cond = json_at(json_path(web(c), "status", "conditions"), 0);
    assert_string_equal(json_str(json_get(cond, "type")), "ReplicaFailure");
    assert_string_equal(json_str(json_get(cond, "reason")), "FailedCreate");
    /* slow start: one failing request a sync, not three; and back-off between syncs */
    assert_in_range(fake_requests(c->fake, CLIENT_CREATE, "pods"), 1, 5);
    fake_heal(c->fake);
    fake_run_for(c->loop, 100 * USEC_PER_MSEC);
    assert_count(c, "pods", 3);
    assert_int_equal(json_len(json_path(web(c), "status", "conditions")), 0);
}

/* The back-off has grown to seconds when the quota gives way. */
static void test_a_quota_that_gives_way_is_used_at_once(void **state) {
    struct cluster *c = *state;
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'ResourceQuota','metadata':{'name':'q'},'spec':{'hard':{"
                                    "'pods':'0'}},'status':{'used':{'pods':'0'}}}"));
    fake_fail(c->fake, CLIENT_CREATE, "pods", 403, "Forbidden", 1000);
    cluster_start(c, &replicaset_controller);
    json_unref(fake_create(c->fake, rs_text));
    fake_run_for(c->loop, 700 * USEC_PER_MSEC);
    fake_heal(c->fake);
    fake_merge(c->fake, fake_resource("resourcequotas"), "default", "q", "{'status':{'used':{'pods':'1'}}}");
    fake_run_for(c->loop, 50 * USEC_PER_MSEC);
    assert_count(c, "pods", 0); /* less room is no news */
    fake_merge(c->fake, fake_resource("resourcequotas"), "default", "q", "{'spec':{'hard':{'pods':'9'}}}");
    fake_run_for(c->loop, 50 * USEC_PER_MSEC);
    assert_count(c, "pods", 3);
}

static void test_never_creates_twice_for_one_wish(void **state) {
    struct cluster *c = *state;
    cluster_start(c, &replicaset_controller);
    json_unref(fake_create(c->fake, rs_text));
    /* a change of the owner in every turn of the loop: each syncs again while creations are under way */
    for (int i = 0; i < 60; i++) {
        char text[80];
        snprintf(text, sizeof(text), "{'metadata':{'annotations':{'n':'%d'}}}", i);
        fake_merge(c->fake, fake_resource("replicasets"), "default", "web", text);
        (void) sd_event_run(c->loop, 0);
    }
    fake_run_for(c->loop, 30 * USEC_PER_MSEC);
    assert_count(c, "pods", 3);
    assert_int_equal(fake_requests(c->fake, CLIENT_CREATE, "pods"), 3);
}

static void test_finished_pods_are_replaced(void **state) {
    struct cluster *c = *state;
    cluster_start(c, &replicaset_controller);
    json_unref(fake_create(c->fake, rs_text));
    fake_settle(c->loop);
    size_t n;
    _cleanup_free_ struct json **pods = fake_all(c->fake, fake_resource("pods"), "default", &n);
    _cleanup_free_ char *name = xstrdup(meta_name(pods[0]));
    fake_merge(c->fake, fake_resource("pods"), "default", name, "{'status':{'phase':'Failed'}}");
    assert_count(c, "pods", 4);
}

static void test_min_ready_seconds_delay_availability(void **state) {
    struct cluster *c = *state;
    cluster_start(c, &replicaset_controller);
    json_unref(fake_create(c->fake, rs_text));
    fake_merge(c->fake, fake_resource("replicasets"), "default", "web", "{'spec':{'minReadySeconds':1}}");
    fake_settle(c->loop);
    size_t n;
    _cleanup_free_ struct json **pods = fake_all(c->fake, fake_resource("pods"), "default", &n);
    _cleanup_free_ char *name = xstrdup(meta_name(pods[0]));
    char now[TIMESTAMP_SIZE];
    timestamp_format(now_realtime_usec(), now);
    _cleanup_free_ char *ready = xasprintf(
        "{'status':{'phase':'Running','conditions':[{'type':'Ready','status':'True','lastTransitionTime':'%s'}]}}",
        now);
    fake_merge(c->fake, fake_resource("pods"), "default", name, ready);
    fake_settle(c->loop);
    assert_int_equal(int_at(web(c), "status", "readyReplicas"), 1);
    assert_int_equal(int_at(web(c), "status", "availableReplicas"), 0);
    fake_run_for(c->loop, 1100 * USEC_PER_MSEC);
    assert_int_equal(int_at(web(c), "status", "availableReplicas"), 1);
}

static void test_replication_controllers_do_the_same(void **state) {
    struct cluster *c = *state;
    cluster_start(c, &replication_controller);
    json_unref(fake_create(c->fake, "{'apiVersion':'v1','kind':'ReplicationController','metadata':{'name':'old'},"
                                    "'spec':{'replicas':2,'selector':{'app':'old'},'template':{'metadata':{'labels':{"
                                    "'app':'old'}},'spec':{}}}}"));
    assert_count(c, "pods", 2);
    assert_int_equal(
        int_at(fake_get(c->fake, fake_resource("replicationcontrollers"), "default", "old"), "status", "replicas"), 2);
}

static void test_ending_in_the_middle_leaks_nothing(void **state) {
    struct cluster *c = *state;
    cluster_start(c, &replicaset_controller);
    json_unref(fake_create(c->fake, rs_text));
    for (int i = 0; i < 12; i++)
        (void) sd_event_run(c->loop, 0);
    /* teardown frees the controller with requests under way; the sanitizer build looks for what is left */
}

/* --- the ranking --- */

struct rank_case {
    const char *name, *keeps, *goes;
};

static struct json *ranked_pod(const char *text, const char *name) {
    struct json *p = fake_json(text);
    json_set_path(&p, json_string(name), "metadata", "uid");
    return p;
}

#define READY(t) "'conditions':[{'type':'Ready','status':'True','lastTransitionTime':'" t "'}]"
static const struct rank_case rank_cases[] = {
    {"unassigned", "{'spec':{'nodeName':'a'},'status':{'phase':'Pending'}}",
     "{'spec':{},'status':{'phase':'Running'}}"},
    {"pending", "{'spec':{'nodeName':'a'},'status':{'phase':'Running'}}",
     "{'spec':{'nodeName':'a'},'status':{'phase':'Pending'}}"},
    {"unknown phase", "{'spec':{'nodeName':'a'},'status':{'phase':'Running'}}",
     "{'spec':{'nodeName':'a'},'status':{'phase':'Unknown'}}"},
    {"not ready", "{'spec':{'nodeName':'a'},'status':{'phase':'Running'," READY("2024-01-01T00:00:00Z") "}}",
     "{'spec':{'nodeName':'a'},'status':{'phase':'Running'}}"},
    {"cheaper to delete",
     "{'metadata':{'annotations':{'controller.kubernetes.io/pod-deletion-cost':'5'}},'spec':{'nodeName':'crowded'}}",
     "{'metadata':{'annotations':{'controller.kubernetes.io/pod-deletion-cost':'-5'}},'spec':{'nodeName':'a'}}"},
    {"on the crowded node", "{'spec':{'nodeName':'a'}}", "{'spec':{'nodeName':'crowded'}}"},
    {"ready for a shorter time",
     "{'spec':{'nodeName':'a'},'status':{" READY("2020-01-01T00:00:00Z") ",'containerStatuses':[{'restartCount':9}]}}",
     "{'spec':{'nodeName':'a'},'status':{" READY("2023-12-31T23:59:00Z") "}}"},
    {"restarted more often", "{'spec':{'nodeName':'a'},'status':{'containerStatuses':[{'restartCount':1}]}}",
     "{'spec':{'nodeName':'a'},'status':{'containerStatuses':[{'restartCount':0},{'restartCount':4}]}}"},
    {"younger", "{'metadata':{'creationTimestamp':'2020-01-01T00:00:00Z'},'spec':{'nodeName':'a'}}",
     "{'metadata':{'creationTimestamp':'2023-12-31T23:59:00Z'},'spec':{'nodeName':'a'}}"},
};

static void test_the_most_expendable_pod_goes_first(void **state) {
    _cleanup_json_ struct json *owner = fake_json("{'spec':{'replicas':1}}");
    uint64_t now = 0;
    assert_int_equal(timestamp_parse("2024-01-01T00:00:00Z", &now), 0);
    for (size_t i = 0; i < ARRAY_LEN(rank_cases); i++)
        for (int order = 0; order < 2; order++) {
            const struct rank_case *k = &rank_cases[i];
            /* the survivor has the smaller uid, which alone would let it go first */
            struct json *pods[2] = {ranked_pod(k->keeps, "a"), ranked_pod(k->goes, "z")};
            struct json *both[2] = {pods[order], pods[1 - order]};
            struct json *crowd = fake_json("{'spec':{'nodeName':'crowded'},'status':{'phase':'Running'}}");
            _cleanup_(replicaset_plan_finish) struct replicaset_plan plan = {0};
            replicaset_decide(owner, both, 2, &crowd, 1, now, &plan);
            assert_int_equal(plan.n_remove, 1);
            if (plan.remove[0] != pods[1])
                fail_msg("kept the wrong pod: %s", k->name);
            json_unref(pods[0]);
            json_unref(pods[1]);
            json_unref(crowd);
        }
}

static void test_a_sync_is_bounded(void **state) {
    _cleanup_json_ struct json *owner = fake_json("{'spec':{'replicas':100000}}");
    _cleanup_(replicaset_plan_finish) struct replicaset_plan plan = {0};
    replicaset_decide(owner, NULL, 0, NULL, 0, 0, &plan);
    assert_int_equal(plan.create, REPLICASET_BURST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_makes_the_pods_and_reports_them),
        T(test_replaces_a_deleted_pod_while_it_still_terminates),
        T(test_scales_down_unassigned_pods_first),
        T(test_adopts_matching_orphans_and_releases_strangers),
        T(test_candidates_are_few_among_many_orphans),
        T(test_a_failing_create_sets_the_condition_then_recovers),
        T(test_a_quota_that_gives_way_is_used_at_once),
        T(test_never_creates_twice_for_one_wish),
        T(test_finished_pods_are_replaced),
        T(test_min_ready_seconds_delay_availability),
        T(test_replication_controllers_do_the_same),
        T(test_ending_in_the_middle_leaks_nothing),
        cmocka_unit_test(test_the_most_expendable_pod_goes_first),
        cmocka_unit_test(test_a_sync_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
