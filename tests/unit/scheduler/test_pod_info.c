/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a pod counts for on its node while it is being resized: the most of what it asks for, was granted, and has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "orchestrator/scheduler/model.h"
#include "tests/unit/object/quoted_json.h"

static const struct {
    const char *asked, *status;
    int64_t cpu, memory;
} cases[] = {
    {"'cpu':'1','memory':'10'", "", 1000, 10},
    {"'cpu':'1','memory':'10'", "'containerStatuses':[{'name':'a','allocatedResources':{'cpu':'1','memory':'10'}}]",
     1000, 10},
    {"'cpu':'1','memory':'20'", "'containerStatuses':[{'name':'a','allocatedResources':{'cpu':'2','memory':'10'}}]",
     2000, 20},
    {"'cpu':'1','memory':'10'",
     "'containerStatuses':[{'name':'a','allocatedResources':{'cpu':'1','memory':'10'},'resources':{'requests':{'cpu':'"
     "3',"
     "'memory':'5'}}}]",
     3000, 10},
    /* what can never be counts for nothing */
    {"'cpu':'64','memory':'10'",
     "'resize':'Infeasible','containerStatuses':[{'name':'a','allocatedResources':{'cpu':'2','memory':'10'}}]", 2000,
     10},
    {"'cpu':'64','memory':'10'",
     "'resize':'Deferred','containerStatuses':[{'name':'a','allocatedResources':{'cpu':'2','memory':'10'}}]", 64000,
     10},
    {"'cpu':'1','memory':'10'", "'containerStatuses':[{'name':'other','allocatedResources':{'cpu':'9'}}]", 1000, 10},
};

static void test_resized(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *text = xasprintf(
            "{'metadata':{'name':'p','namespace':'d','uid':'u'},'spec':{'nodeName':'n','containers':[{'name':'a',"
            "'resources':{'requests':{%s}}}]},'status':{%s}}",
            cases[i].asked, cases[i].status);
        _cleanup_json_ struct json *pod = quoted_json(text);
        struct pod_info *p = pod_info_new(pod);
        assert_int_equal(p->demand.request[SCHED_CPU], cases[i].cpu);
        assert_int_equal(p->demand.request[SCHED_MEMORY], cases[i].memory);
        pod_info_free(p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_resized)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
