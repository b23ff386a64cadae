/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `update` writes for its options, and the shape of what `events` prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "podium/base/cleanup.h"
#include "runtime/verbs/resources.h"
#include "runtime/verbs/statistics.h"

static struct json *parse(const char *text) {
    struct json *doc = NULL;

    assert_int_equal(json_parse(text, strlen(text), NULL, &doc, NULL), 0);
    return doc;
}

static void is(const struct json *doc, const char *expected) {
    _cleanup_json_ struct json *want = parse(expected);

    if (!json_equal(doc, want)) {
        _cleanup_free_ char *text = json_to_text(doc);

        fail_msg("%s is not %s", text, expected);
    }
}

static int set(struct json **change, const char *name, const char *value, bool *ignored, struct error *err) {
    unsigned n = 0;

    while (resources_option_name(n) && strcmp(resources_option_name(n), name) != 0)
        n++;
    assert_non_null(resources_option_name(n));
    return resources_set_option(change, n, value, ignored, err);
}

static void test_options(void **state) {
    _cleanup_json_ struct json *change = json_object();
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    bool ignored;

    (void) state;
    assert_int_equal(set(&change, "memory", "64m", &ignored, NULL), 0);
    assert_int_equal(set(&change, "memory-swap", "-1", &ignored, NULL), 0);
    assert_int_equal(set(&change, "cpu-quota", "50000", &ignored, NULL), 0);
    assert_int_equal(set(&change, "cpuset-cpus", "0-1", &ignored, NULL), 0);
    assert_int_equal(set(&change, "cpu-share", "100", &ignored, NULL), 0);
    assert_false(ignored);
    assert_int_equal(set(&change, "kernel-memory", "1G", &ignored, NULL), 0);
    assert_true(ignored);
    is(change,
       "{\"memory\":{\"limit\":67108864,\"swap\":-1},\"cpu\":{\"quota\":50000,\"cpus\":\"0-1\",\"shares\":100}}");
    assert_int_equal(set(&change, "memory", "lots", &ignored, &err), -EINVAL);
    assert_non_null(strstr(err.text, "--memory"));
    assert_int_equal(set(&change, "memory", "1.5g", &ignored, NULL), -EINVAL);
    assert_int_equal(set(&change, "memory", "9999999999t", &ignored, NULL), -EINVAL);
    assert_int_equal(set(&change, "pids-limit", "10k", &ignored, NULL), -EINVAL);
    assert_int_equal(set(&change, "pids-limit", "", &ignored, NULL), -EINVAL);
}

static void write_for(const char *old_text, const char *change_text, const char *merged_text, const char *write_text) {
    _cleanup_json_ struct json *old = parse(old_text), *change = parse(change_text);
    _cleanup_json_ struct json *merged = resources_merge(old, change), *to_write = NULL;

    assert_int_equal(resources_to_write(&merged, change, &to_write, NULL), 0);
    is(merged, merged_text);
    is(to_write, write_text);
    is(old, old_text); /* what the container has is not touched */
}

static void test_what_is_written(void **state) {
    (void) state;
    /* only what changes … */
    write_for("{\"pids\":{\"limit\":5},\"memory\":{\"limit\":1}}", "{\"pids\":{\"limit\":9}}",
              "{\"pids\":{\"limit\":9},\"memory\":{\"limit\":1}}", "{\"pids\":{\"limit\":9}}");
    /* … with what shares its file, or its conversion */
    write_for("{\"cpu\":{\"period\":20000,\"shares\":3}}", "{\"cpu\":{\"quota\":10000}}",
              "{\"cpu\":{\"period\":20000,\"shares\":3,\"quota\":10000}}",
              "{\"cpu\":{\"quota\":10000,\"period\":20000}}");
    write_for("{\"memory\":{\"limit\":100,\"swap\":150}}", "{\"memory\":{\"swap\":200}}",
              "{\"memory\":{\"limit\":100,\"swap\":200}}", "{\"memory\":{\"limit\":100,\"swap\":200}}");
    /* memory without a limit cannot keep one of memory plus swap */
    write_for("{\"memory\":{\"limit\":100,\"swap\":150}}", "{\"memory\":{\"limit\":-1}}",
              "{\"memory\":{\"limit\":-1,\"swap\":-1}}", "{\"memory\":{\"limit\":-1,\"swap\":-1}}");
    write_for("{\"unified\":{\"memory.high\":\"1\"}}", "{\"unified\":{\"memory.low\":\"2\"}}",
              "{\"unified\":{\"memory.high\":\"1\",\"memory.low\":\"2\"}}", "{\"unified\":{\"memory.low\":\"2\"}}");
    _cleanup_json_ struct json *list = parse("[1]"), *merged = json_object(), *to_write = NULL;
    assert_int_equal(resources_to_write(&merged, list, &to_write, NULL), -EINVAL);
}

static void test_statistics(void **state) {
    _cleanup_json_ struct json *statistics = parse(
        "{\"memory\":{\"current\":4096,\"peak\":8192,\"max\":10000,\"swap\":100,\"stat\":{\"file\":12,\"anon\":3},"
        "\"events\":{\"max\":2}},\"cpu\":{\"stat\":{\"usage_usec\":5,\"user_usec\":3,\"system_usec\":2}},"
        "\"pids\":{\"current\":1},\"io\":{\"stat\":[{\"major\":8,\"minor\":0,\"rbytes\":1,\"wios\":4}]},"
        "\"hugetlb\":{\"2MB\":{\"current\":7,\"failed\":1}},\"pressure\":{\"cpu\":{\"some\":{\"total\":1}}}}");
    _cleanup_json_ struct json *event = statistics_event("c1", statistics);

    (void) state;
    is(event,
       "{\"type\":\"stats\",\"id\":\"c1\",\"data\":{\"cpu\":{\"usage\":{\"total\":5000,\"kernel\":2000,"
       "\"user\":3000},\"throttling\":{},\"psi\":{\"some\":{\"total\":1}}},\"memory\":{\"usage\":{\"limit\":10000,"
       "\"usage\":4096,\"max\":8192,\"failcnt\":2},\"swap\":{\"limit\":9223372036854775807,\"usage\":4196,"
       "\"failcnt\":0},\"cache\":12,\"raw\":{\"file\":12,\"anon\":3}},\"pids\":{\"current\":1},"
       "\"blkio\":{\"ioServiceBytesRecursive\":[{\"major\":8,\"minor\":0,\"op\":\"Read\",\"value\":1}],"
       "\"ioServicedRecursive\":[{\"major\":8,\"minor\":0,\"op\":\"Write\",\"value\":4}]},"
       "\"hugetlb\":{\"2MB\":{\"usage\":7,\"failcnt\":1}}}}");
    /* a group that counts nothing tells nothing wrong */
    _cleanup_json_ struct json *empty = statistics_event("c2", NULL);
    assert_true(json_is_null(json_path(empty, "data", "memory", "usage")));
}

static void test_intervals(void **state) {
    uint64_t usec = 0;

    (void) state;
    assert_true(parse_interval("5s", &usec) && usec == 5000000);
    assert_true(parse_interval("500ms", &usec) && usec == 500000);
    assert_true(parse_interval("1m30s", &usec) && usec == 90000000);
    assert_true(parse_interval("1.5h", &usec) && usec == 5400000000);
    static const char *const bad[] = {"", "5", "0s", "s", "-1s", "5 s", "5x", "5ss", "1e9h"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(parse_interval(bad[i], &usec));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_what_is_written),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_intervals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
