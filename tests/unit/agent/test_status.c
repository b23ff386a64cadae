/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "orchestrator/object/strategy.h"
#include "orchestrator/agent/resources.h"
#include "orchestrator/agent/status.h"
#include "podium/base/strbuf.h"

static struct json *parse(const char *text) {
    struct json *v = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    if (json_parse(text, strlen(text), NULL, &v, &err) < 0)
        fail_msg("%s in %s", error_text(&err, -1), text);
    return v;
}

static struct json *status_of(const char *pod_text, const char *state_text, bool running) {
    _cleanup_json_ struct json *pod = parse(pod_text), *state = state_text ? parse(state_text) : NULL;
    const struct status_input in = {.pod = pod,
                                    .state = state,
                                    .running = running,
                                    .now = 2000000000ull * 1000000,
                                    .start_time = 1000000,
                                    .host_ip = "192.0.2.1",
                                    .pod_ip = "10.1.0.5"};
    return status_make(&in);
}

static const char *condition(const struct json *status, const char *type, const char *member) {
    const struct json *list = json_get(status, "conditions");

    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_str(json_get(json_at(list, i), "type")), type) == 0)
            return json_str(json_get(json_at(list, i), member));
    return NULL;
}

static const char *phase(const struct json *status) {
    return json_str(json_get(status, "phase"));
}

#define ALWAYS                                                                                                         \
    "{\"metadata\":{},\"spec\":{\"restartPolicy\":\"Always\",\"containers\":[{\"name\":\"a\",\"image\":\"i\"}]},"      \
    "\"status\":{\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"True\"}]}}"
#define RUNNING                                                                                                        \
    "{\"networkReady\":true,\"containers\":[{\"name\":\"a\",\"init\":false,\"state\":\"running\",\"started\":true,"    \
    "\"startedAt\":5000000,\"containerID\":\"abc\",\"restartCount\":2,"                                                \
    "\"last\":{\"exitCode\":137,\"signal\":9,\"reason\":\"Error\",\"startedAt\":1,\"finishedAt\":2}}]}"

static void test_running(void **state) {
    _cleanup_json_ struct json *s = status_of(ALWAYS, RUNNING, true);
    const struct json *c = json_at(json_get(s, "containerStatuses"), 0);

    assert_string_equal(phase(s), "Running");
    assert_string_equal(condition(s, "Ready", "status"), "True");
    assert_string_equal(condition(s, "Initialized", "status"), "True");
    assert_string_equal(condition(s, "PodReadyToStartContainers", "status"), "True");
    assert_string_equal(condition(s, "PodScheduled", "status"), "True"); /* not ours, kept */
    assert_string_equal(json_str(json_path(c, "state", "running", "startedAt")), "1970-01-01T00:00:05Z");
    assert_int_equal(json_int_or(json_path(c, "lastState", "terminated", "exitCode"), 0), 137);
    assert_string_equal(json_str(json_get(c, "containerID")), "baton://abc");
    assert_int_equal(json_int_or(json_get(c, "restartCount"), 0), 2);
    assert_string_equal(json_str(json_get(s, "podIP")), "10.1.0.5");
    assert_string_equal(json_str(json_path(json_at(json_get(s, "podIPs"), 0), "ip")), "10.1.0.5");
    assert_string_equal(json_str(json_get(s, "qosClass")), "BestEffort");
}

static void test_waiting(void **state) {
    _cleanup_json_ struct json *pod = parse(ALWAYS);
    _cleanup_json_ struct json *held =
        parse("{\"a\":{\"reason\":\"CreateContainerConfigError\",\"message\":\"not there\"}}");
    const struct status_input in = {.pod = pod, .host_ip = "", .pod_ip = "", .held = held};
    _cleanup_json_ struct json *s = status_make(&in);
    const struct json *c = json_at(json_get(s, "containerStatuses"), 0);

    assert_string_equal(phase(s), "Pending");
    assert_string_equal(json_str(json_path(c, "state", "waiting", "reason")), "CreateContainerConfigError");
    assert_string_equal(json_str(json_path(c, "state", "waiting", "message")), "not there");
    assert_string_equal(condition(s, "Ready", "status"), "False");
    assert_string_equal(condition(s, "Ready", "reason"), "ContainersNotReady");
    assert_string_equal(condition(s, "Ready", "message"), "containers with unready status: [a]");
    assert_null(json_get(s, "podIP"));
}

static void test_crash_loop(void **state) {
    _cleanup_json_ struct json *s =
        status_of(ALWAYS,
                  "{\"networkReady\":true,\"containers\":[{\"name\":\"a\",\"state\":\"waiting\","
                  "\"reason\":\"CrashLoopBackOff\",\"message\":\"back-off 10s\",\"restartCount\":1,"
                  "\"last\":{\"exitCode\":1,\"reason\":\"Error\",\"startedAt\":1,\"finishedAt\":2}}]}",
                  true);

    assert_string_equal(phase(s), "Running"); /* as kubectl users know it */
    assert_string_equal(condition(s, "Ready", "status"), "False");
}

#define POLICY(p, init)                                                                                                \
    "{\"metadata\":{},\"spec\":{\"restartPolicy\":\"" p "\"," init "\"containers\":[{\"name\":\"a\",\"image\":\"i\"}]" \
    "}}"
#define ENDED(code)                                                                                                    \
    "{\"containers\":[{\"name\":\"a\",\"init\":false,\"state\":\"terminated\",\"exitCode\":" code ","                  \
    "\"reason\":\"x\",\"startedAt\":1,\"finishedAt\":2}]}"

static void test_ended(void **state) {
    static const struct {
        const char *pod, *state, *phase;
        bool final;
    } cases[] = {
        {POLICY("Never", ""), ENDED("0"), "Succeeded", true},
        {POLICY("Never", ""), ENDED("3"), "Failed", true},
        {POLICY("OnFailure", ""), ENDED("0"), "Succeeded", true},
        {POLICY("Always", ""), ENDED("0"), "Running", false},
        {POLICY("Never", "\"initContainers\":[{\"name\":\"i\"}],"),
         "{\"containers\":[{\"name\":\"i\",\"init\":true,\"state\":\"terminated\",\"exitCode\":1},"
         "{\"name\":\"a\",\"state\":\"waiting\",\"reason\":\"PodInitializing\"}]}",
         "Failed", true},
        {POLICY("Always", "\"initContainers\":[{\"name\":\"i\"}],"),
         "{\"containers\":[{\"name\":\"i\",\"init\":true,\"state\":\"running\"},"
         "{\"name\":\"a\",\"state\":\"waiting\",\"reason\":\"PodInitializing\"}]}",
         "Pending", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_json_ struct json *s = status_of(cases[i].pod, cases[i].state, false);
        _cleanup_json_ struct json *pod = parse(cases[i].pod), *st = parse(cases[i].state);
        if (!strstr(cases[i].state, "running"))
            assert_string_equal(phase(s), cases[i].phase);
        assert_int_equal(status_is_final(pod, st), cases[i].final);
    }
    _cleanup_json_ struct json *pending = status_of(cases[5].pod, cases[5].state, true);
    assert_string_equal(phase(pending), "Pending");
    assert_string_equal(condition(pending, "Initialized", "status"), "False");
    _cleanup_json_ struct json *done = status_of(cases[0].pod, cases[0].state, false);
    assert_string_equal(condition(done, "Ready", "reason"), "PodCompleted");
    assert_string_equal(condition(done, "PodReadyToStartContainers", "status"), "False");
}

/* What ran when the unit vanished without a last word is not shown as running for ever. */
static void test_lost(void **state) {
    _cleanup_json_ struct json *s = status_of(POLICY("Never", ""), RUNNING, false);
    const struct json *c = json_at(json_get(s, "containerStatuses"), 0);

    assert_int_equal(json_int_or(json_path(c, "state", "terminated", "exitCode"), 0), 137);
    assert_string_equal(json_str(json_path(c, "state", "terminated", "reason")), "ContainerStatusUnknown");
    assert_string_equal(phase(s), "Failed");
}

static void test_transition_times(void **state) {
    _cleanup_json_ struct json *pod = parse(ALWAYS), *st = parse(RUNNING);
    struct status_input in = {.pod = pod, .state = st, .running = true, .now = 10000000, .host_ip = "", .pod_ip = ""};
    _cleanup_json_ struct json *first = status_make(&in);
    in.previous = first;
    in.now = 20000000;
    _cleanup_json_ struct json *second = status_make(&in);
    assert_true(json_equal(first, second)); /* nothing changed: nothing to tell */
    in.running = false;
    _cleanup_json_ struct json *third = status_make(&in);
    assert_string_equal(condition(third, "Ready", "lastTransitionTime"), "1970-01-01T00:00:20Z");
    assert_string_equal(condition(third, "Initialized", "lastTransitionTime"), "1970-01-01T00:00:10Z");
}

static void test_qos(void **state) {
    static const struct {
        const char *resources, *qos;
    } cases[] = {
        {"{}", "BestEffort"},
        {"{\"requests\":{\"cpu\":\"100m\"}}", "Burstable"},
        {"{\"limits\":{\"cpu\":\"1\",\"memory\":\"1Gi\"},\"requests\":{\"cpu\":\"1000m\",\"memory\":\"1Gi\"}}",
         "Guaranteed"},
        {"{\"limits\":{\"cpu\":\"1\",\"memory\":\"1Gi\"},\"requests\":{\"cpu\":\"500m\"}}", "Burstable"},
        {"{\"limits\":{\"cpu\":\"1\"}}", "Burstable"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_json_ struct json *resources = parse(cases[i].resources), *c = json_object(), *pod = NULL,
                                   *list = json_array();
        json_set(&c, "resources", json_ref(resources));
        json_append(&list, json_ref(c));
        json_set_path(&pod, json_ref(list), "spec", "containers");
        const struct status_input in = {.pod = pod, .host_ip = "", .pod_ip = ""};
        _cleanup_json_ struct json *status = status_make(&in);
        assert_string_equal(json_str(json_get(status, "qosClass")), cases[i].qos);
    }
    _cleanup_json_ struct json *c = parse("{\"resources\":{\"limits\":{\"cpu\":\"1500m\",\"memory\":\"64Mi\"}}}");
    _cleanup_json_ struct json *r = container_resources(NULL, c, 0);
    assert_int_equal(json_int_or(json_path(r, "cpu", "quota"), 0), 150000);
    assert_int_equal(json_int_or(json_path(r, "cpu", "shares"), 0), 1536);
    assert_int_equal(json_int_or(json_path(r, "memory", "limit"), 0), 64 << 20);
}

/* What is kept, and where throttling begins: the kubelet's rule, cut to pages. */
static void test_memory_qos(void **state) {
    static const struct {
        const char *resources, *min, *high;
    } cases[] = {
        {"{}", "0", "max"},
        {"{\"requests\":{\"memory\":\"10Mi\"},\"limits\":{\"memory\":\"20Mi\"}}", "10485760", "19922944"},
        {"{\"requests\":{\"memory\":\"10Mi\"}}", "10485760", "95420416"}, /* towards the node's 100 Mi */
        {"{\"limits\":{\"memory\":\"20Mi\"}}", "20971520", "max"},
        {"{\"requests\":{\"memory\":\"20Mi\"},\"limits\":{\"memory\":\"20Mi\"}}", "20971520", "max"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_json_ struct json *c = json_object();
        json_set(&c, "resources", parse(cases[i].resources));
        _cleanup_json_ struct json *off = container_resources(NULL, c, 0),
                                   *on = container_resources(NULL, c, 100 << 20);
        assert_null(json_path(off, "unified", "memory.min"));
        assert_string_equal(json_str(json_path(on, "unified", "memory.min")), cases[i].min);
        assert_string_equal(json_str(json_path(on, "unified", "memory.high")), cases[i].high);
    }
}

static struct json *status_with(const char *pod_text, const char *state_text, const char *health, const char *words) {
    _cleanup_json_ struct json *pod = parse(pod_text), *state = parse(state_text), *h = parse(health),
                               *w = parse(words);
    const struct status_input in = {.pod = pod,
                                    .state = state,
                                    .running = true,
                                    .now = 2000000000ull * 1000000,
                                    .host_ip = "",
                                    .pod_ip = "",
                                    .health = h,
                                    .last_words = w};
    return status_make(&in);
}

/* A readiness probe decides, for the run it was about only. */
static void test_readiness_probe(void **state) {
    static const char pod[] = "{\"spec\":{\"containers\":[{\"name\":\"a\",\"readinessProbe\":{}}]}}";
    static const struct {
        const char *health, *ready;
    } cases[] = {
        {"{}", "False"},
        {"{\"a\":{\"containerID\":\"abc\",\"ready\":true}}", "True"},
        {"{\"a\":{\"containerID\":\"abc\",\"ready\":false}}", "False"},
        {"{\"a\":{\"containerID\":\"before\",\"ready\":true}}", "False"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_json_ struct json *s = status_with(pod, RUNNING, cases[i].health, "{}");
        assert_string_equal(condition(s, "Ready", "status"), cases[i].ready);
        assert_string_equal(condition(s, "ContainersReady", "status"), cases[i].ready);
        assert_string_equal(phase(s), "Running");
    }
}

static void test_sidecar_readiness(void **state) {
    static const char pod[] =
        "{\"spec\":{\"initContainers\":[{\"name\":\"s\",\"restartPolicy\":\"Always\",\"readinessProbe\":{}}],"
        "\"containers\":[{\"name\":\"a\"}]}}";
    static const char run[] =
        "{\"networkReady\":true,\"containers\":[{\"name\":\"s\",\"init\":true,\"sidecar\":true,\"state\":\"running\","
        "\"started\":true,\"containerID\":\"sc\"},{\"name\":\"a\",\"state\":\"running\",\"started\":true,"
        "\"containerID\":\"ac\"}]}";
    _cleanup_json_ struct json *unready = status_with(pod, run, "{}", "{}");
    _cleanup_json_ struct json *ready = status_with(pod, run, "{\"s\":{\"containerID\":\"sc\",\"ready\":true}}", "{}");

    assert_string_equal(condition(unready, "Ready", "status"), "False");
    assert_string_equal(condition(unready, "Ready", "message"), "containers with unready status: [s]");
    assert_string_equal(condition(unready, "Initialized", "status"), "True");
    assert_string_equal(condition(ready, "Ready", "status"), "True");
}

#define GATED(conditions)                                                                                              \
    "{\"spec\":{\"readinessGates\":[{\"conditionType\":\"x/a\"},{\"conditionType\":\"x/"                               \
    "b\"}],\"containers\":[{\"name\":"                                                                                 \
    "\"a\"}]},\"status\":{\"conditions\":[" conditions "]}}"

static void test_readiness_gates(void **state) {
    _cleanup_json_ struct json *closed =
        status_with(GATED("{\"type\":\"x/a\",\"status\":\"False\"}"), RUNNING, "{}", "{}");
    _cleanup_json_ struct json *open = status_with(
        GATED("{\"type\":\"x/a\",\"status\":\"True\"},{\"type\":\"x/b\",\"status\":\"True\"}"), RUNNING, "{}", "{}");

    assert_string_equal(condition(closed, "Ready", "status"), "False");
    assert_string_equal(condition(closed, "Ready", "reason"), "ReadinessGatesNotReady");
    assert_string_equal(
        condition(closed, "Ready", "message"),
        "the status of pod readiness gate \"x/a\" is not \"True\", but False, corresponding condition of "
        "pod readiness gate \"x/b\" does not exist.");
    assert_string_equal(condition(closed, "ContainersReady", "status"), "True");
    assert_string_equal(condition(closed, "x/a", "status"), "False"); /* kept */
    assert_string_equal(condition(open, "Ready", "status"), "True");
}

static const char *message_of(const struct json *status) {
    return json_str(json_path(json_at(json_get(status, "containerStatuses"), 0), "state", "terminated", "message"));
}

static void test_termination_messages(void **state) {
    static const char pod[] = "{\"spec\":{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"a\"},{\"name\":\"b\"}"
                              ",{\"name\":\"c\"},{\"name\":\"d\"}]}}";
    static const char ended[] =
        "{\"containers\":[{\"name\":\"a\",\"state\":\"terminated\",\"exitCode\":1,\"containerID\":\"r1\"}]}";
    _cleanup_strbuf_ struct strbuf words = STRBUF_INIT;

    strbuf_adds(&words, "{\"r1\":\"xx");
    for (int i = 0; i < 2000; i++)
        strbuf_adds(&words, "\xC3\xA9");
    strbuf_adds(&words, "\"}");
    _cleanup_json_ struct json *long_one = status_with(pod, ended, "{}", strbuf_str(&words));
    _cleanup_json_ struct json *other = status_with(pod, ended, "{}", "{\"r0\":\"of another run\"}");
    assert_int_equal(strlen(message_of(long_one)), 3072); /* a quarter of what a pod has */
    assert_memory_equal(message_of(long_one), "xx\xC3\xA9", 4);
    assert_null(message_of(other));
}

/* A pod that the node sends away has failed once it is down, not before; why is in a condition from the beginning. */
static void test_evicted(void **state) {
    _cleanup_json_ struct json *pod = parse(ALWAYS), *s = parse(RUNNING);
    struct status_input in = {.pod = pod,
                              .state = s,
                              .running = true,
                              .host_ip = "",
                              .pod_ip = "",
                              .refused_reason = "Evicted",
                              .refused_message = "The node was low on resource: memory. ",
                              .disrupted = true};
    _cleanup_json_ struct json *before = status_make(&in);

    assert_string_equal(phase(before), "Running");
    assert_null(json_get(before, "reason"));
    assert_string_equal(condition(before, "DisruptionTarget", "status"), "True");
    assert_string_equal(condition(before, "DisruptionTarget", "reason"), "TerminationByKubelet");
    in.running = false;
    in.previous = before;
    _cleanup_json_ struct json *after = status_make(&in);
    assert_string_equal(phase(after), "Failed");
    assert_string_equal(json_str(json_get(after, "reason")), "Evicted");
    assert_string_equal(json_str(json_get(after, "message")), "The node was low on resource: memory. ");
    assert_string_equal(condition(after, "DisruptionTarget", "message"), "The node was low on resource: memory. ");
    /* when the API shows it already, there is one of it */
    json_set_path(&pod, json_ref(json_get(after, "conditions")), "status", "conditions");
    in.pod = pod;
    _cleanup_json_ struct json *again = status_make(&in);
    size_t n = 0;
    for (size_t i = 0; i < json_len(json_get(again, "conditions")); i++)
        n += json_get_is(json_at(json_get(again, "conditions"), i), "type", "DisruptionTarget");
    assert_int_equal(n, 1);
    /* over a limit of its own: nobody's disruption */
    in.pod = pod = (json_unref(steal(&pod)), parse(ALWAYS));
    in.disrupted = false;
    _cleanup_json_ struct json *own = status_make(&in);
    assert_null(condition(own, "DisruptionTarget", "status"));
}

/* One that the node did not even take has nothing there that could be waiting: lists show why instead. */
static void test_rejected(void **state) {
    _cleanup_json_ struct json *pod = parse(ALWAYS), *s = parse(RUNNING);
    struct status_input in = {.pod = pod,
                              .host_ip = "",
                              .pod_ip = "",
                              .refused_reason = "Evicted",
                              .refused_message = "Pod was rejected: The node had condition: [MemoryPressure]. ",
                              .rejected = true};
    _cleanup_json_ struct json *never = status_make(&in);

    assert_string_equal(phase(never), "Failed");
    assert_string_equal(json_str(json_get(never, "reason")), "Evicted");
    assert_null(json_get(never, "containerStatuses"));
    assert_null(json_get(never, "initContainerStatuses"));
    /* an agent that takes it up after its settings changed knows more */
    in.state = s;
    _cleanup_json_ struct json *once = status_make(&in);
    assert_true(json_len(json_get(once, "containerStatuses")) > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evicted),
        cmocka_unit_test(test_rejected),
        cmocka_unit_test(test_memory_qos),
        cmocka_unit_test(test_readiness_probe),
        cmocka_unit_test(test_sidecar_readiness),
        cmocka_unit_test(test_readiness_gates),
        cmocka_unit_test(test_termination_messages),
        cmocka_unit_test(test_running),
        cmocka_unit_test(test_waiting),
        cmocka_unit_test(test_crash_loop),
        cmocka_unit_test(test_ended),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_transition_times),
        cmocka_unit_test(test_qos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
