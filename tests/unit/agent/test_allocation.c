/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a pod was granted, what it asks for, and what has to happen in between: the decisions of a resize. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "orchestrator/agent/allocation.h"
#include "orchestrator/agent/resources.h"
#include "tests/unit/object/quoted_json.h"

#define POD(policy, resources)                                                                                         \
    "{'spec':{'containers':[{'name':'a','resizePolicy':[" policy "],'resources':{" resources "}},{'name':'b'}]}}"
#define CPU_RESTARTS    "{'resourceName':'cpu','restartPolicy':'RestartContainer'}"
#define MEMORY_RESTARTS "{'resourceName':'memory','restartPolicy':'RestartContainer'}"

static const struct grant_case {
    const char *policy_before_after[2]; /* the resources; the policy is that of the new pod */
    const char *policy;
    int number, restart; /* of the container "a" afterwards */
} grant_cases[] = {
    {{"'limits':{'cpu':'1'}", "'limits':{'cpu':'1'}"}, CPU_RESTARTS, 0, 0},
    {{"'limits':{'cpu':'1'}", "'limits':{'cpu':'2'}"}, "", 1, 0},
    {{"'limits':{'cpu':'1'}", "'limits':{'cpu':'2'}"}, MEMORY_RESTARTS, 1, 0},
    {{"'limits':{'cpu':'1'}", "'limits':{'cpu':'2'}"}, CPU_RESTARTS, 1, 1},
    {{"'requests':{'cpu':'1'}", "'requests':{'cpu':'2'}"}, CPU_RESTARTS, 1, 1},
    {{"'limits':{'memory':'1Gi'}", "'limits':{'memory':'2Gi'}"}, MEMORY_RESTARTS, 1, 1},
    {{"'limits':{'memory':'1Gi'}", "'limits':{'memory':'2Gi'}"}, CPU_RESTARTS, 1, 0},
    /* nothing that a container would notice */
    {{"'requests':{'memory':'1Gi'}", "'requests':{'memory':'2Gi'}"}, MEMORY_RESTARTS, 1, 0},
};

static char *pod_text(const char *policy, const char *resources) {
    return xasprintf("{'spec':{'containers':[{'name':'a','resizePolicy':[%s],'resources':{%s}},{'name':'b'}]}}", policy,
                     resources);
}

static void test_grants(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(grant_cases); i++) {
        const struct grant_case *c = &grant_cases[i];
        _cleanup_free_ char *before_text = pod_text(c->policy, c->policy_before_after[0]),
                            *after_text = pod_text(c->policy, c->policy_before_after[1]);
        _cleanup_json_ struct json *before = quoted_json(before_text), *after = quoted_json(after_text);
        _cleanup_json_ struct json *first = allocation_new(before), *granted = allocation_grant(first, after);
        const struct json *a = json_get(granted, "a");
        assert_int_equal(allocation_differs(first, after), c->number > 0);
        assert_int_equal(json_int_or(json_get(a, "number"), -1), c->number);
        assert_int_equal(json_int_or(json_get(a, "restart"), -1), c->restart);
        assert_true(json_equal(json_get(a, "resources"),
                               json_get(json_at(json_path(after, "spec", "containers"), 0), "resources")));
        assert_int_equal(json_int_or(json_path(granted, "b", "number"), -1), 0);
        assert_false(allocation_differs(granted, after));
    }
}

/* What is asked for but not granted is nothing the node works with. */
static void test_applied(void **state) {
    _cleanup_json_ struct json *before = quoted_json(POD("", "'limits':{'cpu':'1'}")),
                               *after = quoted_json(POD("", "'limits':{'cpu':'2'}"));
    _cleanup_json_ struct json *allocation = allocation_new(before), *applied = allocation_apply(allocation, after),
                               *same = allocation_apply(allocation, before), *none = allocation_apply(NULL, after);

    assert_true(json_equal(applied, before));
    assert_ptr_equal(same, before);
    assert_ptr_equal(none, after);
}

static void test_verdicts(void **state) {
    static const struct {
        int64_t cpu, memory;
        enum resize_verdict verdict;
    } cases[] = {
        {1000, 100, RESIZE_FITS},     {1001, 100, RESIZE_DEFERRED},   {1000, 101, RESIZE_DEFERRED},
        {4000, 400, RESIZE_DEFERRED}, {4001, 100, RESIZE_INFEASIBLE}, {1000, 401, RESIZE_INFEASIBLE},
    };
    const struct resize_room room = {.cpu_milli = 4000, .memory = 400, .cpu_milli_used = 3000, .memory_used = 300};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(resize_judge(&room, cases[i].cpu, cases[i].memory), cases[i].verdict);
}

static void test_steps(void **state) {
    static const struct {
        const char *granted, *state;
        enum resize_step step;
    } cases[] = {
        {"{'number':0,'restart':0}", "{'state':'running'}", RESIZE_DONE},
        {"{'number':1,'restart':0}", "{'state':'running'}", RESIZE_APPLY},
        {"{'number':1,'restart':0}", "{'state':'running','allocation':1}", RESIZE_DONE},
        {"{'number':3,'restart':2}", "{'state':'running','allocation':1}", RESIZE_RESTART},
        {"{'number':3,'restart':2}", "{'state':'running','allocation':2}", RESIZE_APPLY},
        {"{'number':3,'restart':2}", "{'state':'waiting'}", RESIZE_DONE},
        {"{'number':3,'restart':2}", "{'state':'terminated'}", RESIZE_DONE},
        {"{'number':3,'restart':2}", "{}", RESIZE_DONE},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_json_ struct json *granted = quoted_json(cases[i].granted), *seen = quoted_json(cases[i].state);
        assert_int_equal(resize_next(granted, seen), cases[i].step);
    }
}

static void test_requests(void **state) {
    static const struct {
        const char *spec;
        int64_t cpu, memory;
    } cases[] = {
        {"'containers':[{'resources':{'requests':{'cpu':'1','memory':'10'}}},{'resources':{'limits':{'cpu':'500m'}}}]",
         1500, 10},
        {"'initContainers':[{'resources':{'requests':{'cpu':'3'}}}],'containers':[{'resources':{'requests':{'cpu':'1',"
         "'memory':'7'}}}]",
         3000, 7},
        {"'initContainers':[{'restartPolicy':'Always','resources':{'requests':{'cpu':'1'}}},{'resources':{'requests':{"
         "'cpu':'3'}}}],'containers':[{'resources':{'requests':{'cpu':'2'}}}]",
         4000, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *text = xasprintf("{'spec':{%s}}", cases[i].spec);
        _cleanup_json_ struct json *pod = quoted_json(text);
        int64_t cpu, memory;
        pod_requests(pod, &cpu, &memory);
        assert_int_equal(cpu, cases[i].cpu);
        assert_int_equal(memory, cases[i].memory);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grants), cmocka_unit_test(test_applied),  cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_steps),  cmocka_unit_test(test_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
