/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>

#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"
#include "podium/runtime.h"
#include "runtime/pod/lifecycle.h"
#include "runtime/pod/record.h"

#define SEC 1000000ull

static struct pod_config *parse(const char *text) {
    _cleanup_json_ struct json *doc = NULL;
    struct pod_config *c = NULL;

    assert_int_equal(json_parse(text, strlen(text), NULL, &doc, NULL), 0);
    assert_int_equal(pod_config_parse(doc, &c, NULL), 0);
    return c;
}

#define POD(policy, init, mains)                                                                                       \
    "{\"uid\":\"u\",\"namespace\":\"n\",\"name\":\"p\",\"restartPolicy\":\"" policy "\",\"initContainers\":[" init     \
    "],\"containers\":[" mains "]}"
#define C(name)       "{\"name\":\"" name "\",\"config\":{}}"
#define HELD(name)    "{\"name\":\"" name "\",\"held\":{\"reason\":\"CreateContainerConfigError\",\"message\":\"no map\"}}"
#define COMING(name)  "{\"name\":\"" name "\",\"held\":{\"reason\":\"ContainerCreating\",\"inOrder\":true}}"
#define SIDECAR(name) "{\"name\":\"" name "\",\"config\":{},\"restartPolicy\":\"Always\"}"

struct world {
    struct pod_config *config;
    struct pod_model m;
    uint64_t now;
};

static struct world world(const char *text) {
    struct world w = {.config = parse(text), .now = 1000 * SEC};

    pod_model_init(&w.m, w.config);
    w.m.network_ready = true;
    return w;
}

static void world_finish(struct world *w) {
    pod_model_finish(&w->m);
    pod_config_free(w->config);
}

/* What is started now, in order, each running at once ("a b"). */
static const char *starts(struct world *w, struct strbuf *out) {
    struct pod_next next;

    strbuf_reset(out);
    for (int i = 0; i < 20; i++) {
        pod_next(&w->m, w->now, &next);
        w->m.initialized = next.initialized;
        if (!next.start)
            break;
        strbuf_addf(out, "%s%s", out->len ? " " : "", next.start->config->name);
        pod_container_began(next.start, "id", 1, w->now, w->now);
        next.start->started = next.start->hooked = true;
    }
    return strbuf_str(out);
}

static void ends(struct world *w, const char *name, int code) {
    for (size_t i = 0; i < w->m.n; i++)
        if (strcmp(w->m.containers[i].config->name, name) == 0)
            pod_container_ended(&w->m, &w->m.containers[i], code, 0, code ? "Error" : "Completed", NULL, w->now,
                                w->now);
}

static void test_order(void **state) {
    struct world w = world(POD("Always", C("i1") "," SIDECAR("s") "," C("i2"), C("a") "," C("b")));
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;

    w.m.network_ready = false;
    assert_string_equal(starts(&w, &out), "");
    w.m.network_ready = true;
    assert_string_equal(starts(&w, &out), "i1");
    ends(&w, "i1", 0);
    assert_string_equal(starts(&w, &out), "s i2");
    assert_false(w.m.initialized);
    ends(&w, "i2", 0);
    assert_string_equal(starts(&w, &out), "a b");
    assert_true(w.m.initialized);
    /* a sidecar that dies later comes back without disturbing anyone */
    ends(&w, "s", 1);
    assert_string_equal(starts(&w, &out), "s");
    world_finish(&w);
}

static void test_backoff(void **state) {
    struct world w = world(POD("Always", "", C("a")));
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    static const unsigned waits[] = {0, 10, 20, 40, 80, 160, 300, 300};
    struct pod_next next;

    assert_string_equal(starts(&w, &out), "a");
    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        w.now += SEC;
        ends(&w, "a", i % 2); /* Always: whatever the code */
        if (waits[i] > 0) {
            w.now += waits[i] * SEC - 1;
            assert_string_equal(starts(&w, &out), "");
            pod_next(&w.m, w.now, &next);
            assert_int_equal(next.wake_at, w.now + 1);
            w.now++;
        }
        assert_string_equal(starts(&w, &out), "a");
        assert_int_equal(w.m.containers[0].restart_count, i + 1);
    }
    w.now += 600 * SEC; /* ran long enough: begins anew */
    ends(&w, "a", 1);
    assert_string_equal(starts(&w, &out), "a");
    w.now += SEC;
    ends(&w, "a", 1);
    assert_string_equal(starts(&w, &out), "");
    world_finish(&w);
}

static void test_policies(void **state) {
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    struct pod_next next;

    struct world never = world(POD("Never", "", C("a") "," C("b")));
    assert_string_equal(starts(&never, &out), "a b");
    ends(&never, "a", 1);
    assert_string_equal(starts(&never, &out), "");
    pod_next(&never.m, never.now, &next);
    assert_false(next.complete);
    ends(&never, "b", 0);
    pod_next(&never.m, never.now, &next);
    assert_true(next.finished);
    world_finish(&never);

    struct world failure = world(POD("OnFailure", SIDECAR("s"), C("a")));
    assert_string_equal(starts(&failure, &out), "s a");
    ends(&failure, "a", 3);
    assert_string_equal(starts(&failure, &out), "a");
    ends(&failure, "a", 0);
    pod_next(&failure.m, failure.now, &next);
    assert_true(next.complete); /* the sidecar must go */
    assert_false(next.finished);
    ends(&failure, "s", 0);
    pod_next(&failure.m, failure.now, &next);
    assert_null(next.start);
    assert_true(next.finished);
    world_finish(&failure);

    struct world init = world(POD("Never", C("i"), C("a")));
    assert_string_equal(starts(&init, &out), "i");
    ends(&init, "i", 1);
    assert_string_equal(starts(&init, &out), "");
    pod_next(&init.m, init.now, &next);
    assert_true(next.finished);
    assert_int_equal(init.m.containers[1].state, POD_WAITING);
    world_finish(&init);
}

static void test_end_order(void **state) {
    struct world w = world(POD("Always", SIDECAR("s1") "," SIDECAR("s2"), C("a") "," C("b")));
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    bool told[4] = {false};

    assert_string_equal(starts(&w, &out), "s1 s2 a b");
    w.m.stopping = true;
    assert_string_equal(pod_next_to_end(&w.m, told)->config->name, "a");
    told[2] = true;
    assert_string_equal(pod_next_to_end(&w.m, told)->config->name, "b");
    told[3] = true;
    assert_null(pod_next_to_end(&w.m, told));
    ends(&w, "a", 0);
    assert_null(pod_next_to_end(&w.m, told));
    ends(&w, "b", 0);
    assert_string_equal(pod_next_to_end(&w.m, told)->config->name, "s2");
    told[1] = true;
    assert_null(pod_next_to_end(&w.m, told));
    ends(&w, "s2", 0);
    assert_string_equal(pod_next_to_end(&w.m, told)->config->name, "s1");
    assert_string_equal(starts(&w, &out), ""); /* nothing comes back while stopping */
    world_finish(&w);
}

static void test_record(void **state) {
    struct world w = world(POD("Always", "", C("a") "," C("b")));
    struct world again = world(POD("Always", "", C("a") "," C("b")));
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    struct pod_record record = {.started_at = 5};

    starts(&w, &out);
    ends(&w, "a", 7);
    starts(&w, &out);
    ends(&w, "a", 8); /* now in back-off, restarted once before */
    _cleanup_json_ struct json *doc = pod_record_make(&w.m, &record);
    const struct json *a = json_at(json_get(doc, "containers"), 0), *b = json_at(json_get(doc, "containers"), 1);
    assert_string_equal(json_str(json_get(a, "state")), "waiting");
    assert_string_equal(json_str(json_get(a, "reason")), "CrashLoopBackOff");
    assert_string_equal(json_str(json_get(a, "message")), "back-off 10s restarting failed container=a pod=p_n(u)");
    assert_int_equal(json_int_or(json_path(a, "last", "exitCode"), -1), 8);
    assert_string_equal(json_str(json_get(b, "state")), "running");

    /* a supervisor that was killed goes on counting, and what ran counts as killed */
    pod_record_take_up(&again.m, doc, again.now + 5);
    assert_string_equal(starts(&again, &out), "a b");
    assert_int_equal(again.m.containers[0].restart_count, 2);
    assert_int_equal(again.m.containers[0].last.exit_code, 8);
    assert_int_equal(again.m.containers[1].restart_count, 1);
    assert_int_equal(again.m.containers[1].last.exit_code, 128 + SIGKILL);
    world_finish(&w);
    world_finish(&again);
}

/* A sidecar with a startup probe lets the next one start when the probe succeeded, not before. */
static void test_startup_probe(void **state) {
    struct world w = world(
        POD("Always", "{\"name\":\"s\",\"config\":{},\"restartPolicy\":\"Always\",\"startupProbe\":true}", C("a")));
    struct pod_container *s = &w.m.containers[0];
    struct pod_next next;

    pod_next(&w.m, w.now, &next);
    assert_ptr_equal(next.start, s);
    pod_container_began(s, "id", 7, w.now, w.now);
    pod_container_hooked(s);
    assert_true(s->hooked);
    assert_false(s->started);
    pod_next(&w.m, w.now, &next);
    assert_null(next.start);
    pod_container_probed(s);
    assert_true(s->started);
    pod_next(&w.m, w.now, &next);
    assert_ptr_equal(next.start, &w.m.containers[1]);
    pod_container_ended(&w.m, s, 1, 0, "Error", NULL, w.now, w.now);
    pod_container_began(s, "id2", 8, w.now, w.now);
    assert_false(s->probed); /* each run has its own */
    world_finish(&w);
}

/* A container ended because of its liveness probe comes back even when it ends well, but not against the policy. */
static void test_restart_asked(void **state) {
    static const struct {
        const char *policy;
        bool again;
    } cases[] = {
        {POD("OnFailure", "", C("a")), true}, {POD("Always", "", C("a")), true}, {POD("Never", "", C("a")), false}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world w = world(cases[i].policy);
        struct pod_container *a = &w.m.containers[0];
        pod_container_began(a, "id", 7, w.now, w.now);
        a->restart_asked = true;
        pod_container_ended(&w.m, a, 0, 0, "Completed", NULL, w.now, w.now);
        assert_int_equal(a->restart_pending, cases[i].again);
        world_finish(&w);
    }
}

static void test_bad_config(void **state) {
    static const char *const bad[] = {
        "{}",
        "{\"uid\":\"u\",\"namespace\":\"n\",\"name\":\"p\"}",
        POD("Sometimes", "", C("a")),
        POD("Always", "", C("a") "," C("a")),
        POD("Always", "", C("../a")),
        POD("Always", "", C("supervisor")),
        POD("Always", "", "{\"name\":\"a\"}"),
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        _cleanup_json_ struct json *doc = NULL;
        struct pod_config *c = NULL;
        assert_int_equal(json_parse(bad[i], strlen(bad[i]), NULL, &doc, NULL), 0);
        assert_int_equal(pod_config_parse(doc, &c, NULL), -EINVAL);
    }
}

static void release(struct world *w, const char *name) {
    for (size_t i = 0; i < w->m.n; i++)
        if (strcmp(w->config->containers[i].name, name) == 0) {
            free(w->config->containers[i].hold.reason);
            w->config->containers[i].hold.reason = NULL;
        }
}

static void hold(struct world *w, const char *name) {
    for (size_t i = 0; i < w->m.n; i++)
        if (strcmp(w->config->containers[i].name, name) == 0)
            w->config->containers[i].hold.reason = xstrdup("CreateContainerConfigError");
}

static const char *waiting_reason(const struct world *w, const char *name) {
    static char reason[64];
    const struct pod_record record = {0};
    _cleanup_json_ struct json *doc = pod_record_make(&w->m, &record);
    const struct json *list = json_get(doc, "containers");

    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_str(json_get(json_at(list, i), "name")), name) == 0)
            (void) snprintf(reason, sizeof(reason), "%s", json_str_or(json_get(json_at(list, i), "reason"), "-"));
    return reason;
}

/* A container that cannot be started leaves the others alone; one that just comes holds the first start of those after
 * it; an init container holds everything. */
static void test_held(void **state) {
    struct world w = world(POD("Always", "", C("a") "," HELD("b") "," C("c") "," COMING("d") "," C("e")));
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;

    assert_string_equal(starts(&w, &out), "a c");
    assert_string_equal(waiting_reason(&w, "b"), "CreateContainerConfigError");
    assert_string_equal(waiting_reason(&w, "d"), "ContainerCreating");
    assert_string_equal(starts(&w, &out), "");
    release(&w, "d");
    assert_string_equal(starts(&w, &out), "d e");
    release(&w, "b");
    assert_string_equal(starts(&w, &out), "b");
    hold(&w, "a"); /* what it runs with is gone: it runs on until it ends */
    assert_string_equal(starts(&w, &out), "");
    ends(&w, "a", 1);
    assert_string_equal(starts(&w, &out), "");
    assert_string_equal(waiting_reason(&w, "a"), "CreateContainerConfigError");
    release(&w, "a");
    assert_string_equal(starts(&w, &out), "a");
    world_finish(&w);
}

static void test_held_init(void **state) {
    struct world w = world(POD("Always", C("i1") "," HELD("i2") "," C("i3"), HELD("a") "," C("b")));
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;

    assert_string_equal(waiting_reason(&w, "i2"), "PodInitializing"); /* not its turn */
    assert_string_equal(starts(&w, &out), "i1");
    ends(&w, "i1", 0);
    assert_string_equal(starts(&w, &out), "");
    assert_string_equal(waiting_reason(&w, "i2"), "CreateContainerConfigError");
    assert_string_equal(waiting_reason(&w, "a"), "PodInitializing");
    release(&w, "i2");
    assert_string_equal(starts(&w, &out), "i2");
    ends(&w, "i2", 0);
    assert_string_equal(starts(&w, &out), "i3");
    ends(&w, "i3", 0);
    assert_string_equal(starts(&w, &out), "b");
    assert_string_equal(waiting_reason(&w, "a"), "CreateContainerConfigError");
    world_finish(&w);
}

/* As upstream: the next container is started when the postStart hook of the one before is done. */
static void test_first_starts_wait_for_hooks(void **state) {
    struct world w = world(POD("Always", "", C("a") "," C("b")));
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    struct pod_next next;

    pod_next(&w.m, w.now, &next);
    pod_container_began(next.start, "id", 1, w.now, w.now);
    pod_next(&w.m, w.now, &next);
    assert_null(next.start);
    pod_container_hooked(&w.m.containers[0]);
    assert_string_equal(starts(&w, &out), "b");
    ends(&w, "b", 1);
    w.m.containers[0].hooked = false; /* restarted, and at its hook again: restarts wait for nobody */
    assert_string_equal(starts(&w, &out), "b");
    world_finish(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),         cmocka_unit_test(test_held),
        cmocka_unit_test(test_held_init),     cmocka_unit_test(test_first_starts_wait_for_hooks),
        cmocka_unit_test(test_backoff),       cmocka_unit_test(test_policies),
        cmocka_unit_test(test_end_order),     cmocka_unit_test(test_record),
        cmocka_unit_test(test_bad_config),    cmocka_unit_test(test_startup_probe),
        cmocka_unit_test(test_restart_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
