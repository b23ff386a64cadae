/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/controller/cluster.h"

#include "orchestrator/controller/eventttl/controller.h"
#include "orchestrator/controller/eventttl/decide.h"
#include "orchestrator/object/timestamp.h"

#define NOW (1700000000ull * USEC_PER_SEC)

static void event(struct cluster *c, const char *name, int64_t seconds_ago) {
    char when[TIMESTAMP_SIZE];
    timestamp_format(now_realtime_usec() - (uint64_t) (seconds_ago * (int64_t) USEC_PER_SEC), when);
    _cleanup_free_ char *text = xasprintf("{'apiVersion':'v1','kind':'Event','metadata':{'name':'%s',"
                                          "'creationTimestamp':'%s'},'message':'m','lastTimestamp':'%s'}",
                                          name, when, when);
    json_unref(fake_create(c->fake, text));
}

static bool is_there(struct cluster *c, const char *name) {
    return fake_get(c->fake, fake_resource("events"), "default", name) != NULL;
}

static void test_old_events_go_fresh_ones_stay(void **state) {
    struct cluster *c = *state;
    c->env.options.event_ttl = 6 * USEC_PER_SEC;
    event(c, "old", 60);
    event(c, "fresh", 0);
    cluster_start(c, &event_ttl_controller);
    fake_run_for(c->loop, 1200 * USEC_PER_MSEC);
    assert_false(is_there(c, "old"));
    assert_true(is_there(c, "fresh"));
    event(c, "late", 60);
    fake_run_for(c->loop, 1200 * USEC_PER_MSEC);
    assert_false(is_there(c, "late"));
    assert_true(is_there(c, "fresh"));
}

static void test_an_event_that_happens_again_lives_on(void **state) {
    struct cluster *c = *state;
    char now[TIMESTAMP_SIZE];
    c->env.options.event_ttl = 3 * USEC_PER_SEC;
    event(c, "again", 0);
    event(c, "once", 0);
    cluster_start(c, &event_ttl_controller);
    /* stamps are whole seconds: it ends 2 to 3 s after it was made */
    fake_run_for(c->loop, 1300 * USEC_PER_MSEC);
    timestamp_format(now_realtime_usec() + 2 * USEC_PER_SEC, now);
    _cleanup_free_ char *patch = xasprintf("{'count':2,'lastTimestamp':'%s'}", now);
    fake_merge(c->fake, fake_resource("events"), "default", "again", patch);
    fake_run_for(c->loop, 2500 * USEC_PER_MSEC);
    assert_false(is_there(c, "once"));
    assert_true(is_there(c, "again"));
}

static void test_a_refused_deletion_is_tried_again(void **state) {
    struct cluster *c = *state;
    c->env.options.event_ttl = USEC_PER_SEC;
    event(c, "old", 60);
    fake_fail(c->fake, CLIENT_DELETE, "events", 500, "InternalError", 2);
    cluster_start(c, &event_ttl_controller);
    fake_run_for(c->loop, 1500 * USEC_PER_MSEC);
    assert_false(is_there(c, "old"));
}

static void test_the_last_time_counts(void **state) {
    static const struct {
        const char *event;
        uint64_t last;
    } cases[] = {
        {"{}", NOW},
        {"{'metadata':{'creationTimestamp':'2023-11-14T20:00:00Z'}}", NOW - 8000 * USEC_PER_SEC},
        {"{'metadata':{'creationTimestamp':'2023-11-14T20:00:00Z'},'lastTimestamp':'2023-11-14T22:00:00Z'}",
         NOW - 800 * USEC_PER_SEC},
        {"{'eventTime':'2023-11-14T20:00:00.000000Z','series':{'count':2,'lastObservedTime':"
         "'2023-11-14T22:13:00.500000Z'}}",
         NOW - 19500 * USEC_PER_MSEC},
        {"{'lastTimestamp':null,'metadata':{'creationTimestamp':'2023-11-14T22:00:00Z'}}", NOW - 800 * USEC_PER_SEC},
        {"{'lastTimestamp':'2033-11-14T22:00:00Z'}", NOW}, /* the clock was wrong */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_json_ struct json *e = fake_json(cases[i].event);
        assert_int_equal(event_last_usec(e, NOW), cases[i].last);
    }
}

static void test_a_digest_is_small(void **state) {
    _cleanup_json_ struct json *e =
        fake_json("{'metadata':{'name':'a','namespace':'b','uid':'u','resourceVersion':'7','labels':{'x':'y'}},"
                  "'message':'long','lastTimestamp':'2023-11-14T22:00:00Z'}");
    _cleanup_json_ struct json *digest = event_digest(e, NOW);
    _cleanup_json_ struct json *want =
        fake_json("{'metadata':{'namespace':'b','name':'a','uid':'u','resourceVersion':'7'},'last':1699999200000000}");
    assert_true(json_equal(digest, want));
    assert_int_equal(event_digest_last(digest), NOW - 800 * USEC_PER_SEC);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_old_events_go_fresh_ones_stay),     T(test_an_event_that_happens_again_lives_on),
        T(test_a_refused_deletion_is_tried_again), cmocka_unit_test(test_the_last_time_counts),
        cmocka_unit_test(test_a_digest_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
