/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What systemd is told about a container: names of units, properties. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "podium/base/cleanup.h"
#include "podium/cgroups_scope.h"

static void names_are(const char *path, const char *slice, const char *unit) {
    _cleanup_free_ char *got_slice = NULL, *got_unit = NULL;

    assert_int_equal(cgroup_scope_names(path, "id-1", &got_slice, &got_unit, NULL), 0);
    assert_string_equal(got_slice, slice);
    assert_string_equal(got_unit, unit);
}

static void test_names(void **state) {
    static const char *const bad[] = {"/plain",    "a.slice:b",     "a.slice:b:c:d",  "a.slice:b:",  "nonsense:b:c",
                                      "::x.slice", "a.slice:b:c/d", "../a.slice:b:c", "a.slice:b: c"};
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    (void) state;
    names_are(NULL, "system.slice", "baton-id-1.scope");
    names_are("user.slice:crio:abc", "user.slice", "crio-abc.scope");
    names_are(":libpod:abc", "system.slice", "libpod-abc.scope");
    names_are("a-b.slice::abc", "a-b.slice", "abc.scope");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char *slice = NULL, *unit = NULL;

        assert_int_equal(cgroup_scope_names(bad[i], "id", &slice, &unit, &err), -EINVAL);
        assert_non_null(strstr(err.text, "cgroupsPath"));
        assert_null(slice);
    }
}

static int properties(const char *resources_text, const char *annotations_text, struct json **ret, struct error *err) {
    _cleanup_json_ struct json *resources = NULL, *annotations = NULL;

    assert_int_equal(json_parse(resources_text, strlen(resources_text), NULL, &resources, NULL), 0);
    assert_int_equal(json_parse(annotations_text, strlen(annotations_text), NULL, &annotations, NULL), 0);
    return cgroup_scope_properties(resources, annotations, ret, err);
}

static void has(const struct json *list, const char *name, const char *type, const char *value) {
    for (size_t i = 0; i < json_len(list); i++)
        if (json_get_is(json_at(list, i), "name", name)) {
            _cleanup_free_ char *text = json_to_text(json_get(json_at(list, i), "value"));

            assert_string_equal(json_get_str(json_at(list, i), "type"), type);
            assert_string_equal(text, value);
            return;
        }
    fail_msg("no property %s", name);
}

static void test_resources(void **state) {
    _cleanup_json_ struct json *list = NULL;

    (void) state;
    assert_int_equal(properties("{\"memory\":{\"limit\":4096,\"reservation\":-1,\"swap\":8192},"
                                "\"cpu\":{\"quota\":33333,\"period\":100000,\"shares\":1024,\"cpus\":\"0-2,9\","
                                "\"mems\":\"0\"},\"pids\":{\"limit\":0},\"blockIO\":{\"weight\":500},"
                                "\"unified\":{\"memory.high\":\"max\",\"memory.oom.group\":\"1\"}}",
                                "{\"other\":\"x\"}", &list, NULL),
                     0);
    has(list, "MemoryMax", "t", "4096");
    has(list, "MemorySwapMax", "t", "4096");
    has(list, "MemoryLow", "t", "-1");
    has(list, "MemoryHigh", "t", "-1");
    has(list, "CPUQuotaPerSecUSec", "t", "340000"); /* whole percents, rounded up: never less than asked for */
    has(list, "CPUQuotaPeriodUSec", "t", "100000");
    has(list, "CPUWeight", "t", "39");
    has(list, "AllowedCPUs", "ay", "[7,2]");
    has(list, "AllowedMemoryNodes", "ay", "[1]");
    has(list, "TasksMax", "t", "-1");
    has(list, "IOWeight", "t", "4950");
    assert_int_equal(json_len(list), 11);
}

static void test_annotations(void **state) {
    static const char *const bad[] = {"",       "'open",     "'a' b", "['a', b]", "['a'",
                                      "uint64", "uint64 -1", "1.5",   "yes",      "[]]"};
    _cleanup_json_ struct json *list = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    (void) state;
    assert_int_equal(properties("{}",
                                "{\"org.systemd.property.CollectMode\":\"'inactive'\","
                                "\"org.systemd.property.After\":\"['a.service', \\\"b.service\\\"]\","
                                "\"org.systemd.property.Wants\":\"[]\","
                                "\"org.systemd.property.TimeoutStopUSec\":\"uint64 30000000\","
                                "\"org.systemd.property.SendSIGHUP\":\"true\"}",
                                &list, NULL),
                     0);
    has(list, "CollectMode", "s", "\"inactive\"");
    has(list, "After", "as", "[\"a.service\",\"b.service\"]");
    has(list, "Wants", "as", "[]");
    has(list, "TimeoutStopUSec", "t", "30000000");
    has(list, "SendSIGHUP", "b", "true");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        _cleanup_json_ struct json *annotations = json_object(), *none = NULL;

        json_set(&annotations, "org.systemd.property.X", json_string(bad[i]));
        assert_int_equal(cgroup_scope_properties(NULL, annotations, &none, &err), -EINVAL);
        assert_non_null(strstr(err.text, "org.systemd.property.X"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_resources),
        cmocka_unit_test(test_annotations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
