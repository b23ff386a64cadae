/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The scheduler as a whole on a fake API: pods become bound, or say why not, and are retried when it may help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "orchestrator/scheduler/scheduler.h"
#include "podium/base/clock.h"
#include "tests/unit/client/fake_client.c"

struct env {
    sd_event *loop;
    struct fake *fake;
    struct informer_set *informers;
    struct scheduler *scheduler;
    const struct resource *pods, *nodes, *events;
    const char *wanted; /* for conditions to wait for */
};

static int setup(void **state) {
    struct env *e = xnew0(struct env);
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    assert_true(sd_event_new(&e->loop) >= 0);
    e->fake = fake_new(e->loop);
    e->informers = informer_set_new(e->loop, fake_client(e->fake));
    e->pods = fake_resource("pods");
    e->nodes = fake_resource("nodes");
    e->events = resource_by_plural("", "v1", "events");
    assert_int_equal(scheduler_new(e->loop, fake_client(e->fake), e->informers, NULL, &e->scheduler, &err), 0);
    *state = e;
    return 0;
}

static int teardown(void **state) {
    struct env *e = *state;

    scheduler_free(e->scheduler);
    informer_set_free(e->informers);
    fake_free(e->fake);
    sd_event_unref(e->loop);
    free(e);
    return 0;
}

static void add_node(struct env *e, const char *name, const char *cpu, const char *spec) {
    _cleanup_free_ char *text = xasprintf("{'apiVersion':'v1','kind':'Node','metadata':{'name':'%s'},'spec':{%s},"
                                          "'status':{'allocatable':{'cpu':'%s','memory':'8Gi','pods':'110'}}}",
                                          name, spec, cpu);
    json_unref(fake_create(e->fake, text));
}

static void add_pod(struct env *e, const char *name, const char *spec) {
    _cleanup_free_ char *text =
        xasprintf("{'apiVersion':'v1','kind':'Pod','metadata':{'name':'%s','namespace':'default'},"
                  "'spec':{'containers':[{'name':'c'%s}]%s},'status':{'phase':'Pending'}}",
                  name, *spec == '@' ? spec + 1 : "", *spec == '@' ? "" : spec);
    json_unref(fake_create(e->fake, text));
}

#define ASKS(cpu) "@,'resources':{'requests':{'cpu':'" cpu "'}}"

static const char *node_of(struct env *e, const char *pod) {
    return json_str_or(json_path(fake_get(e->fake, e->pods, "default", pod), "spec", "nodeName"), "");
}

static const struct json *scheduled_condition(struct env *e, const char *pod) {
    const struct json *list = json_path(fake_get(e->fake, e->pods, "default", pod), "status", "conditions");

    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_str_or(json_get(json_at(list, i), "type"), ""), "PodScheduled") == 0)
            return json_at(list, i);
    return NULL;
}

/* An event about the pod with this reason and message (NULL: any). */
static bool has_event(struct env *e, const char *pod, const char *reason, const char *message) {
    size_t n;
    _cleanup_free_ struct json **all = fake_all(e->fake, e->events, NULL, &n);

    for (size_t i = 0; i < n; i++)
        if (strcmp(json_str_or(json_path(all[i], "involvedObject", "name"), ""), pod) == 0 &&
            strcmp(json_str_or(json_get(all[i], "reason"), ""), reason) == 0 &&
            (!message || strcmp(json_str_or(json_get(all[i], "message"), ""), message) == 0))
            return true;
    return false;
}

static bool is_bound(void *userdata) {
    struct env *e = userdata;

    return *node_of(e, e->wanted);
}

static void wait_bound(struct env *e, const char *pod) {
    e->wanted = pod;
    assert_true(fake_wait(e->loop, is_bound, e));
}

static void test_pods_are_spread_and_bound(void **state) {
    struct env *e = *state;

    add_node(e, "n1", "4", "");
    add_node(e, "n2", "4", "");
    add_pod(e, "a", ASKS("3"));
    add_pod(e, "b", ASKS("3"));
    fake_settle(e->loop);
    assert_true(*node_of(e, "a") && *node_of(e, "b"));
    assert_string_not_equal(node_of(e, "a"), node_of(e, "b"));
    _cleanup_free_ char *message = xasprintf("Successfully assigned default/a to %s", node_of(e, "a"));
    assert_true(has_event(e, "a", "Scheduled", message));
    struct scheduler_stats stats = scheduler_stats(e->scheduler);
    assert_int_equal(stats.scheduled, 2);
    assert_int_equal(stats.pods, 2);
    assert_int_equal(stats.active + stats.back_off + stats.unschedulable + stats.binding, 0);
}

static void test_no_fit_says_why_and_waits(void **state) {
    struct env *e = *state;
    static const char why[] =
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {role: control}.";

    add_node(e, "n1", "1", "");
    add_node(e, "n2", "4", "'taints':[{'key':'role','value':'control','effect':'NoSchedule'}]");
    add_pod(e, "a", ASKS("2"));
    fake_settle(e->loop);
    assert_string_equal(node_of(e, "a"), "");
    assert_true(has_event(e, "a", "FailedScheduling", why));
    const struct json *c = scheduled_condition(e, "a");
    assert_string_equal(json_str_or(json_get(c, "status"), ""), "False");
    assert_string_equal(json_str_or(json_get(c, "reason"), ""), "Unschedulable");
    assert_string_equal(json_str_or(json_get(c, "message"), ""), why);
    assert_non_null(json_str(json_get(c, "lastTransitionTime")));
    assert_int_equal(scheduler_stats(e->scheduler).unschedulable, 1);
    assert_int_equal(scheduler_stats(e->scheduler).attempts, 1);

    /* what cannot help changes nothing; the taint going away does */
    fake_merge(e->fake, e->nodes, "", "n1", "{'metadata':{'labels':{'x':'y'}}}");
    fake_settle(e->loop);
    assert_int_equal(scheduler_stats(e->scheduler).unschedulable, 1);
    fake_merge(e->fake, e->nodes, "", "n2", "{'spec':{'taints':null}}");
    wait_bound(e, "a");
    assert_string_equal(node_of(e, "a"), "n2");
    assert_int_equal(scheduler_stats(e->scheduler).attempts, 2);
}

static void test_deleted_pod_makes_room(void **state) {
    struct env *e = *state;

    add_node(e, "n1", "4", "");
    add_pod(e, "a", ASKS("3"));
    fake_settle(e->loop);
    add_pod(e, "b", ASKS("3"));
    fake_settle(e->loop);
    assert_string_equal(node_of(e, "b"), "");
    fake_remove(e->fake, e->pods, "default", "a");
    wait_bound(e, "b");
}

static void test_finished_pod_makes_room(void **state) {
    struct env *e = *state;

    add_node(e, "n1", "4", "");
    add_pod(e, "a", ASKS("3"));
    fake_settle(e->loop);
    add_pod(e, "b", ASKS("3"));
    fake_settle(e->loop);
    fake_merge(e->fake, e->pods, "default", "a", "{'status':{'phase':'Succeeded'}}");
    wait_bound(e, "b");
}

static void test_first_node_wakes_all(void **state) {
    struct env *e = *state;

    add_pod(e, "a", "");
    fake_settle(e->loop);
    assert_true(has_event(e, "a", "FailedScheduling", "no nodes available to schedule pods"));
    add_node(e, "n1", "4", "");
    wait_bound(e, "a");
}

/* As nodes register: an empty object with a taint, then its resources, then the taint goes. */
static void test_a_node_that_comes_in_steps_wakes_all(void **state) {
    struct env *e = *state;

    add_pod(e, "a", ASKS("1"));
    add_pod(e, "b", ",'nodeSelector':{'zone':'x'}");
    fake_settle(e->loop);
    add_node(e, "other", "4", "");
    fake_settle(e->loop);
    assert_string_equal(node_of(e, "b"), "");
    json_unref(fake_create(e->fake, "{'apiVersion':'v1','kind':'Node','metadata':{'name':'n','labels':{'zone':'x'}},"
                                    "'spec':{'taints':[{'key':'node.kubernetes.io/not-ready','effect':'NoSchedule'}]},"
                                    "'status':{}}"));
    fake_settle(e->loop);
    fake_merge(e->fake, e->nodes, "", "n", "{'status':{'allocatable':{'cpu':'4','memory':'8Gi','pods':'110'}}}");
    fake_settle(e->loop);
    fake_merge(e->fake, e->nodes, "", "n", "{'spec':{'taints':null}}");
    fake_run_for(e->loop, 1200 * USEC_PER_MSEC); /* a back-off */
    assert_string_not_equal(node_of(e, "a"), "");
    assert_string_equal(node_of(e, "b"), "n");
}

/* The only node, in steps: nobody was refused by a plugin before it came. */
static void test_the_first_node_comes_in_steps(void **state) {
    struct env *e = *state;

    add_pod(e, "a", ASKS("1"));
    fake_settle(e->loop);
    json_unref(fake_create(e->fake, "{'apiVersion':'v1','kind':'Node','metadata':{'name':'n'},'spec':{},'status':{}}"));
    fake_settle(e->loop);
    fake_merge(e->fake, e->nodes, "", "n", "{'status':{'allocatable':{'cpu':'4','memory':'8Gi','pods':'110'}}}");
    fake_run_for(e->loop, 1200 * USEC_PER_MSEC);
    assert_string_equal(node_of(e, "a"), "n");
}

static void test_pods_that_are_not_ours(void **state) {
    struct env *e = *state;

    add_node(e, "n1", "4", "");
    add_pod(e, "other", ",'schedulerName':'mine'");
    add_pod(e, "bound", ",'nodeName':'elsewhere'");
    add_pod(e, "gated", ",'schedulingGates':[{'name':'wait'}]");
    fake_settle(e->loop);
    assert_string_equal(node_of(e, "other"), "");
    assert_string_equal(node_of(e, "bound"), "elsewhere");
    assert_string_equal(node_of(e, "gated"), "");
    assert_string_equal(json_str_or(json_get(scheduled_condition(e, "gated"), "reason"), ""), "SchedulingGated");
    assert_null(scheduled_condition(e, "other"));
    assert_int_equal(scheduler_stats(e->scheduler).attempts, 0);
    fake_merge(e->fake, e->pods, "default", "gated", "{'spec':{'schedulingGates':null}}");
    fake_settle(e->loop);
    assert_string_equal(node_of(e, "gated"), "n1");
}

static void test_failed_binding_gives_the_room_back(void **state) {
    struct env *e = *state;

    add_node(e, "n1", "4", "");
    fake_settle(e->loop);
    fake_fail(e->fake, CLIENT_CREATE, "pods", 500, "InternalError", 1);
    add_pod(e, "a", ASKS("3"));
    fake_settle(e->loop);
    assert_string_equal(node_of(e, "a"), "");
    assert_true(has_event(e, "a", "FailedScheduling", NULL));
    assert_int_equal(scheduler_stats(e->scheduler).pods, 0);
    assert_int_equal(scheduler_stats(e->scheduler).back_off, 1);
    /* the room is free for another one at once, and the first comes back after its back-off */
    add_pod(e, "b", ASKS("1"));
    fake_settle(e->loop);
    assert_string_equal(node_of(e, "b"), "n1");
    wait_bound(e, "a");
}

static void test_pod_deleted_while_being_bound(void **state) {
    struct env *e = *state;

    add_node(e, "n1", "4", "");
    fake_settle(e->loop);
    fake_fail(e->fake, CLIENT_CREATE, "pods", 404, "NotFound", 1);
    add_pod(e, "a", ASKS("3"));
    fake_settle(e->loop);
    fake_remove(e->fake, e->pods, "default", "a");
    fake_settle(e->loop);
    struct scheduler_stats stats = scheduler_stats(e->scheduler);
    assert_int_equal(stats.pods + stats.active + stats.back_off + stats.unschedulable + stats.binding, 0);
    add_pod(e, "a", ASKS("3")); /* a new life */
    fake_settle(e->loop);
    assert_string_equal(node_of(e, "a"), "n1");
}

static void test_burst_never_over_commits(void **state) {
    struct env *e = *state;
    size_t n, bound[3] = {0};
    char name[16];

    add_node(e, "n0", "4", "");
    add_node(e, "n1", "4", "");
    add_node(e, "n2", "4", "");
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        add_pod(e, name, ASKS("300m"));
    }
    fake_settle(e->loop);
    _cleanup_free_ struct json **all = fake_all(e->fake, e->pods, NULL, &n);
    for (size_t i = 0; i < n; i++) {
        const char *node = json_str_or(json_path(all[i], "spec", "nodeName"), "");
        if (*node)
            bound[node[1] - '0']++;
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(bound[i], 13); /* 13 × 300m of 4 CPUs */
    assert_int_equal(scheduler_stats(e->scheduler).unschedulable, 60 - 39);
}

static void test_restart_finds_its_place(void **state) {
    struct env *e = *state;

    add_node(e, "n1", "4", "");
    add_pod(e, "a", ASKS("3"));
    fake_settle(e->loop);
    scheduler_free(e->scheduler);
    add_pod(e, "b", ASKS("3"));
    add_pod(e, "c", ASKS("1"));
    fake_settle(e->loop);
    assert_int_equal(scheduler_new(e->loop, fake_client(e->fake), e->informers, NULL, &e->scheduler, NULL), 0);
    fake_settle(e->loop);
    assert_string_equal(node_of(e, "b"), "");
    assert_string_equal(node_of(e, "c"), "n1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pods_are_spread_and_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_fit_says_why_and_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deleted_pod_makes_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_finished_pod_makes_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_first_node_wakes_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_node_that_comes_in_steps_wakes_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_first_node_comes_in_steps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pods_that_are_not_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed_binding_gives_the_room_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pod_deleted_while_being_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_burst_never_over_commits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart_finds_its_place, setup, teardown),
    };

    return cmocka_run_group_tests_name("scheduler", tests, NULL, NULL);
}
