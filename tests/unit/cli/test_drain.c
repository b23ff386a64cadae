/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "orchestrator/cli/drain_judge.h"
#include "podium/base/alloc.h"

#define RS     "\"metadata\":{\"ownerReferences\":[{\"kind\":\"ReplicaSet\",\"controller\":true}]}"
#define DAEMON "\"metadata\":{\"ownerReferences\":[{\"kind\":\"DaemonSet\",\"controller\":true}]}"
#define EMPTY  "\"spec\":{\"volumes\":[{\"name\":\"a\",\"configMap\":{}},{\"name\":\"b\",\"emptyDir\":{}}]}"
#define ENDED  "\"status\":{\"phase\":\"Succeeded\"}"

static enum drain_verdict judge(const char *pod, struct drain_rules rules) {
    _cleanup_json_ struct json *doc = NULL;
    assert_int_equal(json_parse(pod, strlen(pod), NULL, &doc, NULL), 0);
    return drain_judge(doc, &rules);
}

static void test_nothing_is_lost_without_a_flag(void **state) {
    const struct drain_rules none = {0};
    assert_int_equal(judge("{" RS "}", none), DRAIN_GO);
    assert_int_equal(judge("{}", none), DRAIN_ERROR_UNREPLICATED);
    assert_int_equal(judge("{" RS "," EMPTY "}", none), DRAIN_ERROR_LOCAL_STORAGE);
    assert_int_equal(judge("{" DAEMON "}", none), DRAIN_ERROR_DAEMON);
    /* an owner that is no controller makes no new pod */
    assert_int_equal(judge("{\"metadata\":{\"ownerReferences\":[{\"kind\":\"Node\"}]}}", none),
                     DRAIN_ERROR_UNREPLICATED);
}

static void test_flags_allow_one_thing_each(void **state) {
    assert_int_equal(judge("{}", (struct drain_rules){.force = true}), DRAIN_GO_UNREPLICATED);
    assert_int_equal(judge("{" EMPTY "}", (struct drain_rules){.force = true}), DRAIN_ERROR_LOCAL_STORAGE);
    assert_int_equal(judge("{" EMPTY "}", (struct drain_rules){.delete_emptydir_data = true}),
                     DRAIN_ERROR_UNREPLICATED);
    assert_int_equal(judge("{" RS "," EMPTY "}", (struct drain_rules){.delete_emptydir_data = true}),
                     DRAIN_GO_LOCAL_STORAGE);
    assert_int_equal(judge("{" DAEMON "," EMPTY "}", (struct drain_rules){.ignore_daemonsets = true}),
                     DRAIN_STAY_DAEMON);
    assert_int_equal(judge("{" DAEMON "}", (struct drain_rules){.force = true}), DRAIN_ERROR_DAEMON);
}

static void test_what_has_ended_goes_and_static_pods_stay(void **state) {
    const struct drain_rules none = {0};
    assert_int_equal(judge("{" ENDED "}", none), DRAIN_GO);
    assert_int_equal(judge("{" ENDED "," EMPTY "}", none), DRAIN_GO);
    assert_int_equal(judge("{" DAEMON "," ENDED "}", none), DRAIN_GO);
    assert_int_equal(judge("{\"metadata\":{\"annotations\":{\"kubernetes.io/config.mirror\":\"x\"}}}", none),
                     DRAIN_STAY_MIRROR);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_lost_without_a_flag),
        cmocka_unit_test(test_flags_allow_one_thing_each),
        cmocka_unit_test(test_what_has_ended_goes_and_static_pods_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
