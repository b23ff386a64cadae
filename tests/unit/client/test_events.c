/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "orchestrator/client/events.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"
#include "tests/unit/client/fake_client.c"

struct env {
    sd_event *loop;
    struct fake *fake;
    struct event_recorder *rec;
    struct json *pod;
};

static int setup(void **state) {
    struct env *e = xnew0(struct env);
    assert_true(sd_event_new(&e->loop) >= 0);
    e->fake = fake_new(e->loop);
    e->rec = event_recorder_new(e->loop, fake_client(e->fake), "tester");
    e->pod = fake_json("{'apiVersion':'v1','kind':'Pod','metadata':{'name':'web','namespace':'team','uid':'u1'}}");
    *state = e;
    return 0;
}

static int teardown(void **state) {
    struct env *e = *state;
    event_recorder_free(e->rec);
    json_unref(e->pod);
    fake_free(e->fake);
    sd_event_unref(e->loop);
    free(e);
    return 0;
}

static struct json *only_event(struct env *e, const char *ns) {
    size_t n;
    fake_settle(e->loop);
    _cleanup_free_ struct json **all = fake_all(e->fake, fake_resource("events"), ns, &n);
    assert_int_equal(n, 1);
    return all[0];
}

static void test_an_event_says_what_happened_to_whom(void **state) {
    struct env *e = *state;
    event_recorder_set_host(e->rec, "n1");
    event_record(e->rec, e->pod, EVENT_WARNING, "BackOff", "restarting %s", "c");
    struct json *ev = only_event(e, "team");
    assert_string_equal(json_str(json_get(ev, "type")), "Warning");
    assert_string_equal(json_str(json_get(ev, "reason")), "BackOff");
    assert_string_equal(json_str(json_get(ev, "message")), "restarting c");
    assert_string_equal(json_str(json_path(ev, "involvedObject", "kind")), "Pod");
    assert_string_equal(json_str(json_path(ev, "involvedObject", "uid")), "u1");
    assert_string_equal(json_str(json_path(ev, "source", "component")), "tester");
    assert_string_equal(json_str(json_path(ev, "source", "host")), "n1");
    assert_int_equal(strncmp(json_str(json_path(ev, "metadata", "name")), "web.", 4), 0);
}

static void test_the_same_event_again_raises_its_count(void **state) {
    struct env *e = *state;
    for (int i = 0; i < 5; i++) {
        event_record(e->rec, e->pod, EVENT_NORMAL, "Pulled", "image there");
        fake_settle(e->loop);
    }
    assert_int_equal(json_int_or(json_get(only_event(e, "team"), "count"), 0), 5);
    assert_int_equal(fake_requests(e->fake, CLIENT_CREATE, "events"), 1);
}

static void test_an_event_that_expired_is_made_anew_and_goes_on_counting(void **state) {
    struct env *e = *state;
    event_record(e->rec, e->pod, EVENT_NORMAL, "Pulled", "image there");
    struct json *first = json_ref(only_event(e, "team"));
    fake_remove(e->fake, fake_resource("events"), "team", json_str(json_path(first, "metadata", "name")));
    event_record(e->rec, e->pod, EVENT_NORMAL, "Pulled", "image there");
    const struct json *again = only_event(e, "team");
    assert_int_equal(json_int_or(json_get(again, "count"), 0), 2);
    assert_string_equal(json_str(json_get(again, "firstTimestamp")), json_str(json_get(first, "firstTimestamp")));
    json_unref(first);
}

static void test_events_during_a_write_are_told_by_one_more(void **state) {
    struct env *e = *state;
    for (int i = 0; i < 10; i++)
        event_record(e->rec, e->pod, EVENT_NORMAL, "Pulled", "image there");
    assert_int_equal(json_int_or(json_get(only_event(e, "team"), "count"), 0), 10);
    assert_int_equal(fake_requests(e->fake, CLIENT_CREATE, "events"), 1);
    assert_int_equal(fake_requests(e->fake, CLIENT_PATCH, "events"), 1);
}

static void test_containers_of_a_pod_have_events_of_their_own(void **state) {
    struct env *e = *state;
    _cleanup_json_ struct json *a = json_ref(e->pod), *b = json_ref(e->pod);
    size_t n;
    json_set(&a, "fieldPath", json_string("spec.containers{a}"));
    json_set(&b, "fieldPath", json_string("spec.containers{b}"));
    event_record(e->rec, a, EVENT_NORMAL, "Pulled", "image there");
    event_record(e->rec, b, EVENT_NORMAL, "Pulled", "image there");
    fake_settle(e->loop);
    _cleanup_free_ struct json **all = fake_all(e->fake, fake_resource("events"), "team", &n);
    assert_int_equal(n, 2);
    assert_string_equal(json_str(json_path(all[0], "involvedObject", "fieldPath")), "spec.containers{a}");
    assert_string_equal(json_str(json_path(all[1], "involvedObject", "fieldPath")), "spec.containers{b}");
}

static void test_ever_new_messages_are_joined(void **state) {
    struct env *e = *state;
    for (int i = 0; i < 20; i++) {
        event_record(e->rec, e->pod, EVENT_WARNING, "Failed", "attempt %d", i);
        fake_settle(e->loop);
    }
    size_t n;
    _cleanup_free_ struct json **all = fake_all(e->fake, fake_resource("events"), "team", &n);
    assert_int_equal(n, 11);
    assert_string_equal(json_str(json_get(all[10], "message")), "(combined from similar events): attempt 19");
    assert_int_equal(json_int_or(json_get(all[10], "count"), 0), 10);
}

static void test_a_flood_of_one_object_is_cut_and_does_not_hurt_others(void **state) {
    struct env *e = *state;
    for (int i = 0; i < 200; i++) {
        char reason[16];
        snprintf(reason, sizeof(reason), "R%d", i);
        event_record(e->rec, e->pod, EVENT_WARNING, reason, "x");
    }
    fake_settle(e->loop);
    assert_int_equal(fake_count(e->fake, fake_resource("events"), "team"), 25);
    _cleanup_json_ struct json *node =
        fake_json("{'apiVersion':'v1','kind':'Node','metadata':{'name':'n1','uid':'n1'}}");
    event_record(e->rec, node, EVENT_NORMAL, "Starting", "hello");
    assert_string_equal(json_str(json_path(only_event(e, "default"), "involvedObject", "name")), "n1");
}

static void test_refused_events_are_dropped_without_a_fuss(void **state) {
    struct env *e = *state;
    fake_fail(e->fake, CLIENT_CREATE, "events", 403, "Forbidden", 1);
    event_record(e->rec, e->pod, EVENT_NORMAL, "Pulled", "image there");
    fake_settle(e->loop);
    assert_int_equal(fake_count(e->fake, fake_resource("events"), NULL), 0);
    assert_int_equal(fake_requests(e->fake, CLIENT_CREATE, "events"), 1);
}

static void test_long_messages_are_cut_between_characters(void **state) {
    struct env *e = *state;
    char text[2001];
    for (int i = 0; i < 1000; i++)
        memcpy(text + 2 * i, "\xc3\xa4", 2);
    text[2000] = 0;
    event_record(e->rec, e->pod, EVENT_NORMAL, "Long", "a%s", text);
    size_t n = strlen(json_str(json_get(only_event(e, "team"), "message")));
    assert_int_equal(n, 1023);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
static void test_what_matters_no_more_is_forgotten(void **state) {
    struct env *e = *state;
    event_record(e->rec, e->pod, EVENT_NORMAL, "Pulled", "image there");
    fake_settle(e->loop);
    uint64_t now = now_monotonic_usec();
    assert_int_equal(event_recorder_forget(e->rec, now), 3);
    assert_int_equal(event_recorder_forget(e->rec, now + 9 * 60 * USEC_PER_SEC), 2);  /* it may be noisy again */
    assert_int_equal(event_recorder_forget(e->rec, now + 11 * 60 * USEC_PER_SEC), 1); /* and with new messages */
    event_record(e->rec, e->pod, EVENT_NORMAL, "Pulled", "image there");              /* but it is the same event */
    assert_int_equal(json_int_or(json_get(only_event(e, "team"), "count"), 0), 2);
    assert_int_equal(event_recorder_forget(e->rec, now + 2 * 3600 * USEC_PER_SEC), 0);
    /* a flood is remembered for as long as it is held against the object */
    for (int i = 0; i < 30; i++)
        event_record(e->rec, e->pod, EVENT_WARNING, "Failed", "again");
    fake_settle(e->loop);
    assert_int_equal(event_recorder_forget(e->rec, now + 1800 * USEC_PER_SEC), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_what_matters_no_more_is_forgotten),
        T(test_an_event_says_what_happened_to_whom),
        T(test_the_same_event_again_raises_its_count),
        T(test_an_event_that_expired_is_made_anew_and_goes_on_counting),
        T(test_events_during_a_write_are_told_by_one_more),
        T(test_containers_of_a_pod_have_events_of_their_own),
        T(test_ever_new_messages_are_joined),
        T(test_a_flood_of_one_object_is_cut_and_does_not_hurt_others),
        T(test_refused_events_are_dropped_without_a_fuss),
        T(test_long_messages_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
