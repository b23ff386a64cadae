/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rules of eviction: settings, when a node is short, whose turn it is, and in which words. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "orchestrator/agent/eviction/decide.h"
#include "orchestrator/agent/eviction/rank.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define MI  (1ll << 20)
#define SEC USEC_PER_SEC

static void parse_settings(const struct eviction_settings *s, struct eviction_config *ret) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r = eviction_config_parse(s, ret, &err);

    if (r < 0)
        fail_msg("%s", error_text(&err, r));
}
#define CONFIG(ret, ...) parse_settings(&(struct eviction_settings){__VA_ARGS__}, (ret))

static struct json *parse(const char *text) {
    struct json *v = NULL;

    assert_int_equal(json_parse(text, strlen(text), NULL, &v, NULL), 0);
    return v;
}

/* --- settings --- */

static void test_defaults(void **state) {
    struct eviction_config c;

    CONFIG(&c, 0);
    assert_int_equal(c.n, 5);
    assert_int_equal(c.transition_usec, 300 * SEC);
    assert_int_equal(c.max_pod_grace, 0);
    assert_int_equal(eviction_amount_of(&eviction_hard(&c, EVICTION_MEMORY)->amount, 1 << 30), 100 * MI);
    assert_string_equal(eviction_hard(&c, EVICTION_MEMORY)->amount.quantity, "100Mi");
    /* in single precision, as upstream */
    assert_int_equal(eviction_amount_of(&eviction_hard(&c, EVICTION_NODEFS)->amount, 1 << 30), 107374184);
    assert_int_equal(eviction_amount_of(&eviction_hard(&c, EVICTION_IMAGEFS)->amount, 100), 15);
    assert_null(eviction_hard(&c, EVICTION_PIDS));
}

static void test_settings(void **state) {
    struct eviction_config c;

    CONFIG(&c, .hard = "");
    assert_int_equal(c.n, 0);
    CONFIG(&c, .hard = "memory.available<1Gi,nodefs.available<0%,imagefs.available<100%,pid.available<10%");
    assert_int_equal(c.n, 2);
    CONFIG(&c, .soft = "memory.available<1.5Gi", .soft_grace = "memory.available=1m30s", .transition = "30s",
           .minimum_reclaim = "memory.available=200Mi", .max_pod_grace = 7);
    assert_int_equal(c.n, 6);
    assert_true(c.thresholds[5].is_soft);
    assert_int_equal(c.thresholds[5].grace_usec, 90 * SEC);
    assert_string_equal(c.thresholds[5].amount.quantity, "1536Mi");
    assert_int_equal(c.thresholds[0].minimum.bytes, 200 * MI);
    assert_int_equal(c.thresholds[5].minimum.bytes, 200 * MI);
    assert_int_equal(c.thresholds[1].minimum.bytes, 0);
    assert_int_equal(c.transition_usec, 30 * SEC);
    assert_int_equal(c.max_pod_grace, 7);
    CONFIG(&c, .transition = "1.5h");
    assert_int_equal(c.transition_usec, 5400 * SEC);
    CONFIG(&c, .transition = "500ms");
    assert_int_equal(c.transition_usec, SEC / 2);
}

static void test_bad_settings(void **state) {
    static const struct {
        struct eviction_settings s;
        const char *text;
    } cases[] = {
        {{.hard = "memory.free<1Mi"}, "unsupported eviction signal memory.free"},
        {{.hard = "memory.available=1Mi"}, "should be SIGNAL<VALUE"},
        {{.hard = "memory.available<"}, ""},
        {{.hard = "memory.available<1Mi,memory.available<2Mi"}, "memory.available is given twice"},
        {{.hard = "memory.available<-1Mi"}, "eviction threshold memory.available must be positive: -1Mi"},
        {{.hard = "nodefs.available<-3%"}, "must be >= 0%: -3%"},
        {{.hard = "nodefs.available<101%"}, "must be <= 100%: 101%"},
        {{.hard = "nodefs.available<x%"}, "\"x%\" is no percentage"},
        {{.soft = "memory.available<1Gi"},
         "grace period must be specified for the soft eviction threshold memory.available"},
        {{.soft = "memory.available<1Gi", .soft_grace = "nodefs.available=1m"}, "grace period must be specified"},
        {{.soft_grace = "memory.available=1x"}, "\"1x\" is no duration"},
        {{.transition = ""}, "is no duration"},
        {{.transition = "-5s"}, "is no duration"},
        {{.minimum_reclaim = "memory.available=much"}, ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        struct eviction_config c;
        assert_int_equal(eviction_config_parse(&cases[i].s, &c, &err), -EINVAL);
        if (!strstr(error_text(&err, -EINVAL), cases[i].text))
            fail_msg("case %zu: %s", i, error_text(&err, -EINVAL));
    }
}

/* --- decisions --- */

struct machine {
    struct eviction_config config;
    struct eviction_observation seen[EVICTION_SIGNALS];
    struct eviction_state state;
    struct eviction_decision d;
};

static void at(struct machine *m, uint64_t second, int64_t memory) {
    struct eviction_observation *seen = m->seen; /* gcc 12 with sanitizers misjudges the member's size */

    seen[EVICTION_MEMORY] = (struct eviction_observation){true, memory, 1000 * MI};
    eviction_decide(&m->config, seen, second * SEC, &m->state, &m->d);
}

#define MEMORY_BIT (1u << EVICTION_MEMORY_PRESSURE)
#define DISK_BIT   (1u << EVICTION_DISK_PRESSURE)

static void test_hard(void **state) {
    struct machine m = {0};

    CONFIG(&m.config, .hard = "memory.available<100Mi", .transition = "60s");
    at(&m, 1000, 500 * MI);
    assert_int_equal(m.d.conditions, 0);
    assert_null(m.d.reclaim);
    at(&m, 1001, 100 * MI); /* at the threshold is not below it */
    assert_null(m.d.reclaim);
    at(&m, 1002, 100 * MI - 1);
    assert_int_equal(m.d.conditions, MEMORY_BIT);
    assert_non_null(m.d.reclaim);
    assert_int_equal(m.d.reclaim->signal, EVICTION_MEMORY);
    /* over: nothing to reclaim, but the condition stays for a while */
    at(&m, 1003, 500 * MI);
    assert_null(m.d.reclaim);
    assert_int_equal(m.d.conditions, MEMORY_BIT);
    at(&m, 1061, 500 * MI);
    assert_int_equal(m.d.conditions, MEMORY_BIT);
    assert_int_equal(m.d.look_at, 1062 * SEC); /* when it ends somebody looks */
    at(&m, 1062, 500 * MI);
    assert_int_equal(m.d.conditions, 0);
}

static void test_transition_begins_anew(void **state) {
    struct machine m = {0};

    CONFIG(&m.config, .hard = "memory.available<100Mi", .transition = "60s");
    at(&m, 1000, 50 * MI);
    at(&m, 1050, 50 * MI);
    at(&m, 1100, 500 * MI);
    assert_int_equal(m.d.conditions, MEMORY_BIT);
    at(&m, 1110, 500 * MI);
    assert_int_equal(m.d.conditions, 0);
    /* without a period it ends with the pressure */
    CONFIG(&m.config, .hard = "memory.available<100Mi", .transition = "0s");
    at(&m, 1200, 50 * MI);
    assert_int_equal(m.d.conditions, MEMORY_BIT);
    at(&m, 1201, 500 * MI);
    assert_int_equal(m.d.conditions, 0);
}

static void test_soft(void **state) {
    struct machine m = {0};

    CONFIG(&m.config, .hard = "memory.available<100Mi", .soft = "memory.available<300Mi",
           .soft_grace = "memory.available=45s", .transition = "10s");
    at(&m, 1000, 200 * MI);
    assert_int_equal(m.d.conditions, MEMORY_BIT); /* the condition does not wait for the grace */
    assert_null(m.d.reclaim);
    at(&m, 1040, 200 * MI);
    assert_null(m.d.reclaim);
    assert_int_equal(m.d.look_at, 1045 * SEC); /* before the next ten seconds are over */
    at(&m, 1045, 200 * MI);
    assert_non_null(m.d.reclaim);
    assert_true(m.d.reclaim->is_soft);
    /* a moment above it, and the grace begins anew */
    at(&m, 1050, 400 * MI);
    at(&m, 1051, 200 * MI);
    assert_null(m.d.reclaim);
    /* the hard one waits for nothing */
    at(&m, 1052, 99 * MI);
    assert_non_null(m.d.reclaim);
    assert_false(m.d.reclaim->is_soft);
}

static void test_minimum_reclaim(void **state) {
    struct machine m = {0};

    CONFIG(&m.config, .hard = "memory.available<100Mi", .minimum_reclaim = "memory.available=50Mi");
    at(&m, 1000, 120 * MI); /* does not count before it is met */
    assert_null(m.d.reclaim);
    at(&m, 1001, 90 * MI);
    at(&m, 1002, 120 * MI);
    assert_non_null(m.d.reclaim);
    at(&m, 1003, 150 * MI);
    assert_null(m.d.reclaim);
    at(&m, 1004, 120 * MI);
    assert_null(m.d.reclaim);
    m.seen[EVICTION_MEMORY].available = 120 * MI;
    assert_false(eviction_satisfied(&m.config, m.seen));
    m.seen[EVICTION_MEMORY].available = 150 * MI;
    assert_true(eviction_satisfied(&m.config, m.seen));
}

static void test_several_signals(void **state) {
    struct machine m = {0};

    CONFIG(&m.config, .hard = "nodefs.available<10%,nodefs.inodesFree<5%,imagefs.available<15%,memory.available<100Mi");
    m.seen[EVICTION_NODEFS] = m.seen[EVICTION_IMAGEFS] = (struct eviction_observation){true, 12, 100};
    at(&m, 1, 500 * MI);
    assert_int_equal(m.d.conditions, DISK_BIT);
    assert_int_equal(m.d.reclaim->signal, EVICTION_IMAGEFS);
    m.seen[EVICTION_NODEFS].available = 9;
    at(&m, 2, 500 * MI);
    assert_int_equal(m.d.reclaim->signal, EVICTION_NODEFS);
    /* memory before the disk */
    at(&m, 3, 50 * MI);
    assert_int_equal(m.d.conditions, DISK_BIT | MEMORY_BIT);
    assert_int_equal(m.d.reclaim->signal, EVICTION_MEMORY);
    /* what nobody can tell is not short */
    m.seen[EVICTION_NODEFS].known = m.seen[EVICTION_IMAGEFS].known = false;
    at(&m, 1000, 500 * MI);
    assert_int_equal(m.d.conditions, 0);
    assert_null(m.d.reclaim);
}

static void test_when_to_look_again(void **state) {
    struct machine m = {0};

    CONFIG(&m.config, .hard = "memory.available<100Mi");
    at(&m, 1000, 90 * MI);
    assert_int_equal(m.d.look_at, 1010 * SEC);
    CONFIG(&m.config, .hard = "nodefs.available<100Mi");
    m.state = (struct eviction_state){0};
    static const struct {
        int64_t available;
        uint64_t wait;
    } cases[] = {{101 * MI, 10}, {(100 + 2000) * MI, 20}, {(100 + 10000) * MI, 100}, {1ll << 40, 300}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        m.seen[EVICTION_NODEFS] = (struct eviction_observation){true, cases[i].available, 2ll << 40};
        eviction_decide(&m.config, m.seen, 1000 * SEC, &m.state, &m.d);
        assert_int_equal(m.d.look_at, (1000 + cases[i].wait) * SEC);
    }
}

static void test_admission(void **state) {
    static const struct {
        unsigned conditions;
        bool critical;
        const char *qos;
        bool tolerates, admitted;
    } cases[] = {
        {0, false, "BestEffort", false, true},
        {MEMORY_BIT, false, "BestEffort", false, false},
        {MEMORY_BIT, false, "BestEffort", true, true},
        {MEMORY_BIT, false, "Burstable", false, true},
        {MEMORY_BIT, false, "Guaranteed", false, true},
        {MEMORY_BIT, true, "BestEffort", false, true},
        {DISK_BIT, false, "Guaranteed", true, false},
        {DISK_BIT, true, "BestEffort", false, true},
        {DISK_BIT | MEMORY_BIT, false, "Burstable", true, false},
        {1u << EVICTION_PID_PRESSURE, false, "Guaranteed", false, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (eviction_admits(cases[i].conditions, cases[i].critical, cases[i].qos, cases[i].tolerates) !=
            cases[i].admitted)
            fail_msg("case %zu", i);
}

/* --- turns --- */

static void assert_order(enum eviction_signal signal, const char *expected, const struct eviction_candidate *given) {
    struct eviction_candidate c[8];
    char order[9] = "";
    size_t n = 0;

    for (; given[n].pod; n++)
        c[n] = given[n];
    eviction_rank(signal, c, n);
    for (size_t i = 0; i < n; i++)
        order[i] = *(const char *) c[i].pod;
    assert_string_equal(order, expected);
}

#define POD(name, prio, member, u, r)                                                                                  \
    { .pod = (void *) (name), .priority = (prio), .used.member = (u), .requested.member = (r) }

/* Each line is a table of its own, in the order in which the agent may come across them. */
static void test_rank_tables(void **state) {
    /* a BestEffort hog, one over its request, one within, a full Guaranteed one */
    const struct eviction_candidate classes[] = {POD("guaranteed", 0, memory, 90, 90),
                                                 POD("over", 0, memory, 120, 100),
                                                 POD("hog", 0, memory, 110, 0),
                                                 POD("normal", 0, memory, 50, 200),
                                                 {0}};
    const struct eviction_candidate exceeding_before_priority[] = {
        POD("within", -5, memory, 10, 100), POD("exceeds", 1000, memory, 101, 100), {0}};
    const struct eviction_candidate priority_before_usage[] = {
        POD("large", 10, memory, 900, 0), POD("small", 0, memory, 1, 0), {0}};
    const struct eviction_candidate usage_above_request[] = {
        POD("a", 0, memory, 900, 800), POD("b", 0, memory, 300, 100), POD("c", 0, memory, 250, 0), {0}};
    const struct eviction_candidate equals[] = {POD("a", 0, memory, 5, 0), POD("b", 0, memory, 5, 0), {0}};
    const struct eviction_candidate disk[] = {
        POD("a", 0, disk, 50, 0), POD("b", 0, disk, 500, 490), POD("c", 0, disk, 100, 200), {0}};
    const struct eviction_candidate pids[] = {
        POD("a", 5, processes, 500, 0), POD("b", 0, processes, 5, 0), POD("c", 0, processes, 50, 0), {0}};
    const struct eviction_candidate inodes[] = {POD("a", 0, inodes, 5, 0), POD("b", 0, inodes, 50, 0), {0}};

    assert_order(EVICTION_MEMORY, "hogn", classes);
    assert_order(EVICTION_MEMORY, "ew", exceeding_before_priority);
    assert_order(EVICTION_MEMORY, "sl", priority_before_usage);
    assert_order(EVICTION_MEMORY, "cba", usage_above_request);
    assert_order(EVICTION_MEMORY, "ab", equals);
    assert_order(EVICTION_NODEFS, "abc", disk);
    assert_order(EVICTION_IMAGEFS, "abc", disk);
    assert_order(EVICTION_PIDS, "cba", pids);
    assert_order(EVICTION_NODEFS_INODES, "ba", inodes);
}

static void test_critical_and_tolerations(void **state) {
    static const struct {
        const char *spec;
        bool critical, tolerates;
    } cases[] = {
        {"{}", false, false},
        {"{\"priority\":1999999999}", false, false},
        {"{\"priority\":2000000000}", true, false},
        {"{\"tolerations\":[{\"operator\":\"Exists\"}]}", false, true},
        {"{\"tolerations\":[{\"operator\":\"Exists\",\"effect\":\"NoExecute\"}]}", false, false},
        {"{\"tolerations\":[{\"key\":\"node.kubernetes.io/memory-pressure\",\"operator\":\"Exists\",\"effect\":"
         "\"NoSchedule\"}]}",
         false, true},
        {"{\"tolerations\":[{\"key\":\"node.kubernetes.io/memory-pressure\"}]}", false, true},
        {"{\"tolerations\":[{\"key\":\"node.kubernetes.io/memory-pressure\",\"value\":\"x\"}]}", false, false},
        {"{\"tolerations\":[{\"key\":\"node.kubernetes.io/disk-pressure\",\"operator\":\"Exists\"}]}", false, false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_json_ struct json *spec = parse(cases[i].spec);
        if (eviction_priority_is_critical(spec) != cases[i].critical ||
            eviction_tolerates_memory_pressure(spec) != cases[i].tolerates)
            fail_msg("%s", cases[i].spec);
    }
}

/* --- words --- */

static void test_message(void **state) {
    _cleanup_json_ struct json *spec = parse(
        "{\"containers\":[{\"name\":\"hog\"},{\"name\":\"over\",\"resources\":{\"requests\":{\"memory\":\"10Mi\"}}},"
        "{\"name\":\"calm\",\"resources\":{\"requests\":{\"memory\":\"1Gi\"}}}]}");
    _cleanup_json_ struct json *used = parse("{\"hog\":419430400,\"over\":11534337,\"calm\":1000,\"init\":5}");
    _cleanup_json_ struct json *annotations = NULL, *disk = NULL;
    struct eviction_observation seen = {true, 53248, 1ll << 30};
    struct eviction_config c;

    CONFIG(&c, 0);
    _cleanup_free_ char *text =
        eviction_message(EVICTION_MEMORY, &eviction_hard(&c, EVICTION_MEMORY)->amount, &seen, spec, used, &annotations);
    assert_string_equal(text, "The node was low on resource: memory. Threshold quantity: 100Mi, available: 52Ki. "
                              "Container hog was using 400Mi, request is 0, has larger consumption of memory. "
                              "Container over was using 11534337, request is 10Mi, has larger consumption of memory. ");
    assert_string_equal(json_get_str(annotations, "starved_resource"), "memory");
    assert_string_equal(json_get_str(annotations, "offending_containers"), "hog,over");
    assert_string_equal(json_get_str(annotations, "offending_containers_usage"), "400Mi,11534337");
    _cleanup_free_ char *other =
        eviction_message(EVICTION_NODEFS, &eviction_hard(&c, EVICTION_NODEFS)->amount, &seen, spec, NULL, &disk);
    assert_string_equal(other, "The node was low on resource: ephemeral-storage. Threshold quantity: 107374184, "
                               "available: 52Ki. ");
    assert_string_equal(json_get_str(disk, "offending_containers"), "");
}

static void test_disk_limits(void **state) {
    static const char *const both =
        "{\"volumes\":[{\"name\":\"v\",\"emptyDir\":{\"sizeLimit\":\"1Mi\"}},{\"name\":\"m\","
        "\"emptyDir\":{\"medium\":\"Memory\",\"sizeLimit\":\"1\"}}],\"containers\":["
        "{\"name\":\"a\",\"resources\":{\"limits\":{\"ephemeral-storage\":\"1Mi\"}}},"
        "{\"name\":\"b\",\"resources\":{\"limits\":{\"ephemeral-storage\":\"3Mi\"}}}]}";
    static const struct {
        const char *spec, *volumes, *containers, *text;
    } cases[] = {
        {both, "{\"v\":1048576}", "{\"a\":1048576}", NULL},
        {both, "{\"v\":1048577}", "{}", "Usage of EmptyDir volume \"v\" exceeds the limit \"1Mi\". "},
        {both, "{\"m\":1000}", "{}", NULL},
        {both, "{}", "{\"a\":1048577}", "Container a exceeded its local ephemeral storage limit \"1Mi\". "},
        {both, "{\"v\":1048576}", "{\"b\":3145729}",
         "Pod ephemeral local storage usage exceeds the total limit of containers 4Mi. "},
        {"{\"containers\":[{\"name\":\"a\"}]}", "{}", "{\"a\":99999999}", NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_json_ struct json *spec = parse(cases[i].spec), *v = parse(cases[i].volumes),
                                   *c = parse(cases[i].containers);
        _cleanup_free_ char *text = eviction_disk_excess(spec, v, c);
        if (!text != !cases[i].text || (text && strcmp(text, cases[i].text) != 0))
            fail_msg("case %zu: %s", i, text ? text : "nothing");
        assert_int_equal(eviction_disk_is_limited(spec), i < 5);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_bad_settings),
        cmocka_unit_test(test_hard),
        cmocka_unit_test(test_transition_begins_anew),
        cmocka_unit_test(test_soft),
        cmocka_unit_test(test_minimum_reclaim),
        cmocka_unit_test(test_several_signals),
        cmocka_unit_test(test_when_to_look_again),
        cmocka_unit_test(test_admission),
        cmocka_unit_test(test_rank_tables),
        cmocka_unit_test(test_critical_and_tolerations),
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_disk_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
