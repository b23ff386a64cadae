/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/patch.h"

static struct json *parse(const char *text) {
    struct json *v = NULL;
    assert_int_equal(json_parse(text, strlen(text), NULL, &v, NULL), 0);
    return v;
}

/* RFC 7386, appendix A, and more. */
static const struct {
    const char *doc, *patch, *result;
} cases[] = {
    {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
    {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
    {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
    {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
    {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
    {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
    {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
    {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
    {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
    {"{\"a\":1}", "{\"a\":{\"b\":{\"c\":null,\"d\":1}}}", "{\"a\":{\"b\":{\"d\":1}}}"},
    {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
};

static void merges_follow_the_rfc(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_json_ struct json *doc = parse(cases[i].doc), *before = parse(cases[i].doc),
                                   *patch = parse(cases[i].patch), *expected = parse(cases[i].result), *got = NULL;
        assert_int_equal(patch_merge(doc, patch, &got, NULL), 0);
        assert_true(json_equal(got, expected));
        assert_true(json_equal(doc, before));
    }
}

static void only_objects_are_patches(void **state) {
    _cleanup_json_ struct json *doc = parse("{}"), *patch = parse("[1]");
    struct json *got = NULL;
    assert_int_equal(patch_merge(doc, patch, &got, NULL), -EINVAL);
    assert_null(got);
}

static void a_difference_turns_one_into_the_other(void **state) {
    static const char *const docs[] = {
        "{}",
        "{\"a\":1}",
        "{\"a\":{\"b\":1,\"c\":[1,2]}}",
        "{\"a\":{\"b\":2},\"x\":\"y\"}",
        "{\"a\":[1],\"x\":{\"y\":{\"z\":true}}}",
        "{\"x\":{\"y\":{\"w\":false}}}",
        "{\"a\":{}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(docs); i++)
        for (size_t k = 0; k < ARRAY_LEN(docs); k++) {
            _cleanup_json_ struct json *from = parse(docs[i]), *to = parse(docs[k]), *patch = NULL, *got = NULL;
            patch = patch_merge_diff(from, to);
            assert_int_equal(json_len(patch) == 0, i == k);
            assert_int_equal(patch_merge(from, patch, &got, NULL), 0);
            assert_true(json_equal(got, to));
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_follow_the_rfc),
        cmocka_unit_test(only_objects_are_patches),
        cmocka_unit_test(a_difference_turns_one_into_the_other),
    };
    return cmocka_run_group_tests_name("patch_merge", tests, NULL, NULL);
}
