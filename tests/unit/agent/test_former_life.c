/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a supervisor goes on from after a boot: the status that was told before. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "orchestrator/agent/former_life.h"
#include "podium/base/alloc.h"

#define NOW 1800000000000000ull /* 2027-01-15T08:00:00Z */

/* The state's containers from a pod's status, as text; NULL: there is no state. The caller frees. */
static char *life(const char *status) {
    _cleanup_free_ char *text = xasprintf("{\"metadata\":{\"uid\":\"u1\"},\"status\":{%s}}", status);
    _cleanup_json_ struct json *pod = NULL;

    assert_int_equal(json_parse(text, strlen(text), NULL, &pod, NULL), 0);
    _cleanup_json_ struct json *state = former_life(pod, NOW);
    if (!state)
        return NULL;
    assert_string_equal(json_get_str(state, "uid"), "u1");
    return json_to_text(json_get(state, "containers"));
}

#define CHECK(status, expected)                                                                                        \
    do {                                                                                                               \
        _cleanup_free_ char *found = life(status);                                                                     \
        assert_string_equal(found, expected);                                                                          \
    } while (0)

static void test_nothing_ran(void **state) {
    assert_null(life(""));
    assert_null(life("\"containerStatuses\":[]"));
    assert_null(life("\"containerStatuses\":[{\"name\":\"c\",\"restartCount\":0,\"lastState\":{},"
                     "\"state\":{\"waiting\":{\"reason\":\"ContainerCreating\"}}}]"));
    /* of those that ran, and of no others */
    CHECK("\"containerStatuses\":[{\"name\":\"a\",\"state\":{\"waiting\":{}}},{\"name\":\"b\",\"restartCount\":0,"
          "\"state\":{\"terminated\":{\"exitCode\":0,\"reason\":\"Completed\"}}}]",
          "[{\"name\":\"b\",\"init\":false,\"restartCount\":0,\"state\":\"terminated\",\"exitCode\":0,"
          "\"reason\":\"Completed\",\"containerID\":\"\",\"startedAt\":0,\"finishedAt\":0,\"run\":0}]");
}

static void test_what_ran(void **state) {
    CHECK(
        "\"containerStatuses\":[{\"name\":\"c\",\"restartCount\":3,\"containerID\":\"baton://ab\","
        "\"state\":{\"running\":{\"startedAt\":\"1970-01-01T00:00:05Z\"}},\"lastState\":{\"terminated\":{"
        "\"exitCode\":137,\"signal\":9,\"reason\":\"Error\",\"containerID\":\"baton://aa\","
        "\"startedAt\":\"1970-01-01T00:00:01Z\",\"finishedAt\":\"1970-01-01T00:00:04Z\"}}}]",
        "[{\"name\":\"c\",\"init\":false,\"restartCount\":3,\"state\":\"terminated\",\"containerID\":\"ab\",\"run\":3,"
        "\"exitCode\":255,\"reason\":\"Unknown\",\"startedAt\":5000000,\"finishedAt\":1800000000000000,"
        "\"last\":{\"exitCode\":137,\"signal\":9,\"reason\":\"Error\",\"containerID\":\"aa\",\"startedAt\":1000000,"
        "\"finishedAt\":4000000,\"run\":2}}]");
}

static void test_what_had_ended(void **state) {
    CHECK("\"initContainerStatuses\":[{\"name\":\"i\",\"restartCount\":0,\"state\":{\"terminated\":{\"exitCode\":0,"
          "\"reason\":\"Completed\",\"message\":\"done\",\"containerID\":\"baton://1\"}}}],"
          "\"containerStatuses\":[{\"name\":\"c\",\"restartCount\":2,\"state\":{\"waiting\":{\"reason\":"
          "\"CrashLoopBackOff\"}},\"lastState\":{\"terminated\":{\"exitCode\":1,\"reason\":\"Error\"}}}]",
          "[{\"name\":\"i\",\"init\":true,\"restartCount\":0,\"state\":\"terminated\",\"exitCode\":0,"
          "\"reason\":\"Completed\",\"message\":\"done\",\"containerID\":\"1\",\"startedAt\":0,\"finishedAt\":0,"
          "\"run\":0},"
          "{\"name\":\"c\",\"init\":false,\"restartCount\":2,\"state\":\"waiting\",\"last\":{\"exitCode\":1,"
          "\"reason\":\"Error\",\"containerID\":\"\",\"startedAt\":0,\"finishedAt\":0,\"run\":2}}]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_ran),
        cmocka_unit_test(test_what_ran),
        cmocka_unit_test(test_what_had_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
