/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pods when somebody sets the clock, or when the server's differs: nobody's life or grace gets shorter by it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "orchestrator/agent/model.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "podium/base/path.h"

#define HOUR 3600
#define YEAR (365 * 24 * HOUR)

static int64_t set_by; /* seconds */

uint64_t now_realtime_usec(void) {
    return (uint64_t) (time(NULL) + set_by) * USEC_PER_SEC;
}

struct node {
    char *dir;
    sd_event *loop;
    struct unit_manager *units;
    struct agent *agent;
};

static void node_new(struct node *n) {
    char template[] = "/tmp/podium-agent-XXXXXX";
    struct agent_options options = {.node_name = "n1", .node_address = "192.0.2.9", .no_network = true};

    set_by = 0;
    *n = (struct node){.dir = xstrdup(mkdtemp(template))};
    _cleanup_free_ char *run = path_join(n->dir, "run"), *state = path_join(n->dir, "state");
    assert_true(sd_event_new(&n->loop) >= 0);
    assert_int_equal(unit_manager_new_fake(&(struct unit_fake_options){.loop = n->loop}, &n->units, NULL), 0);
    options.run_dir = run;
    options.state_dir = state;
    options.units = n->units;
    assert_int_equal(agent_new(n->loop, &options, &n->agent, NULL), 0);
    agent_sync_begin(n->agent);
    agent_sync_end(n->agent);
}

static void node_finish(struct node *n) {
    agent_free(n->agent);
    unit_manager_free(n->units);
    sd_event_unref(n->loop);
    assert_int_equal(rm_tree(n->dir, NULL), 0);
    free(n->dir);
}

/* A pod of the node; its image is nowhere, which does not matter here. deleted_by: the server's clock, 0: it is not. */
static struct agent_pod *apply(struct node *n, int64_t deleted_by) {
    char date[TIMESTAMP_SIZE] = "";
    _cleanup_free_ char *deletion = NULL, *text = NULL;
    struct json *doc = NULL;

    if (deleted_by > 0) {
        timestamp_format((uint64_t) deleted_by * USEC_PER_SEC, date);
        deletion = xasprintf(",\"deletionTimestamp\":\"%s\",\"deletionGracePeriodSeconds\":30", date);
    }
    text = xasprintf("{\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"default\",\"uid\":\"u1\"%s},"
                     "\"spec\":{\"activeDeadlineSeconds\":1000,\"containers\":[{\"name\":\"c\",\"image\":\"no:1\","
                     "\"imagePullPolicy\":\"Never\"}]}}",
                     deletion ? deletion : "");
    assert_int_equal(json_parse(text, strlen(text), NULL, &doc, NULL), 0);
    assert_int_equal(agent_apply_pod(n->agent, doc, NULL), 0);
    json_unref(doc);
    struct agent_pod *pod = hashmap_get(n->agent->pods, "u1");
    assert_non_null(pod);
    return pod;
}

static void settle(struct node *n) {
    for (int i = 0; i < 20; i++)
        assert_true(sd_event_run(n->loop, 1000) >= 0);
}

static void test_deadline(void **state) {
    static const int64_t jumps[] = {YEAR, -HOUR, 0};
    struct node n;

    node_new(&n);
    struct agent_pod *pod = apply(&n, 0);
    settle(&n);
    for (size_t i = 0; i < ARRAY_LEN(jumps); i++) {
        set_by = jumps[i];
        agent_pod_mark(pod);
        settle(&n);
        assert_null(pod->refused_reason);
        uint64_t left = pod->expires_at - now_monotonic_usec();
        assert_in_range(left, 990 * USEC_PER_SEC, 1001 * USEC_PER_SEC);
    }
    node_finish(&n);
}

static void test_grace(void **state) {
    struct node n;

    node_new(&n);
    int64_t server = time(NULL);
    apply(&n, 0);
    set_by = YEAR; /* of the node alone */
    struct agent_pod *pod = apply(&n, server + 30);
    assert_true(pod->deleting);
    assert_int_equal(pod->grace, 30);
    set_by = -HOUR;
    assert_int_equal(apply(&n, server + 30)->grace, 30);
    node_finish(&n);
}

/* An agent that was away takes off what is over. */
static void test_grace_after_absence(void **state) {
    struct node n;

    node_new(&n);
    assert_in_range(apply(&n, time(NULL) + 10)->grace, 10, 11);
    node_finish(&n);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_deadline), cmocka_unit_test(test_grace),
                                       cmocka_unit_test(test_grace_after_absence)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
