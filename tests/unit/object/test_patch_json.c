/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/patch.h"
#include "podium/base/alloc.h"
#include "podium/base/limits.h"

static struct json *parse(const char *text) {
    struct json *v = NULL;
    assert_int_equal(json_parse(text, strlen(text), NULL, &v, NULL), 0);
    return v;
}

/* RFC 6902, appendix A, and more. result NULL: -EBADMSG; "!": -EINVAL. */
static const struct {
    const char *doc, *patch, *result;
} cases[] = {
    {"{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\"}]",
     "{\"foo\":\"bar\",\"baz\":\"qux\"}"},
    {"{\"foo\":[\"bar\",\"baz\"]}", "[{\"op\":\"add\",\"path\":\"/foo/1\",\"value\":\"qux\"}]",
     "{\"foo\":[\"bar\",\"qux\",\"baz\"]}"},
    {"{\"baz\":\"qux\",\"foo\":\"bar\"}", "[{\"op\":\"remove\",\"path\":\"/baz\"}]", "{\"foo\":\"bar\"}"},
    {"{\"foo\":[\"bar\",\"qux\",\"baz\"]}", "[{\"op\":\"remove\",\"path\":\"/foo/1\"}]", "{\"foo\":[\"bar\",\"baz\"]}"},
    {"{\"baz\":\"qux\"}", "[{\"op\":\"replace\",\"path\":\"/baz\",\"value\":\"boo\"}]", "{\"baz\":\"boo\"}"},
    {"{\"foo\":{\"bar\":\"baz\",\"waldo\":\"fred\"},\"qux\":{\"corge\":\"grault\"}}",
     "[{\"op\":\"move\",\"from\":\"/foo/waldo\",\"path\":\"/qux/thud\"}]",
     "{\"foo\":{\"bar\":\"baz\"},\"qux\":{\"corge\":\"grault\",\"thud\":\"fred\"}}"},
    {"{\"foo\":[\"all\",\"grass\",\"cows\",\"eat\"]}", "[{\"op\":\"move\",\"from\":\"/foo/1\",\"path\":\"/foo/3\"}]",
     "{\"foo\":[\"all\",\"cows\",\"eat\",\"grass\"]}"},
    {"{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}",
     "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"qux\"},{\"op\":\"test\",\"path\":\"/foo/1\",\"value\":2}]",
     "{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}"},
    {"{\"baz\":\"qux\"}", "[{\"op\":\"test\",\"path\":\"/baz\",\"value\":\"bar\"}]", NULL},
    {"{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/child\",\"value\":{\"grandchild\":{}}}]",
     "{\"foo\":\"bar\",\"child\":{\"grandchild\":{}}}"},
    {"{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz/bat\",\"value\":\"qux\"}]", NULL},
    {"{\"/\":9,\"~1\":10}", "[{\"op\":\"test\",\"path\":\"/~01\",\"value\":10},{\"op\":\"remove\",\"path\":\"/~1\"}]",
     "{\"~1\":10}"},
    {"{\"foo\":[\"bar\"]}", "[{\"op\":\"add\",\"path\":\"/foo/-\",\"value\":[\"abc\",\"def\"]}]",
     "{\"foo\":[\"bar\",[\"abc\",\"def\"]]}"},
    {"{\"a\":1}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"}]", "{\"a\":1,\"b\":1}"},
    {"{\"a\":{\"x\":1}}", "[{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/y\"}]", "{\"a\":{\"x\":1,\"y\":{\"x\":1}}}"},
    {"{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"\",\"value\":{\"b\":2}}]", "{\"b\":2}"},
    {"{\"a\":null}", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":null}]", "{\"a\":null}"},
    {"{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/a\",\"value\":null}]", "{\"a\":null}"},
    {"{\"a\":1}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a\"}]", "{\"a\":1}"},
    {"{\"a\":{\"b\":1}}", "[{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/a/c\"}]", NULL},
    {"{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"/b\"}]", NULL},
    {"{\"a\":1}", "[{\"op\":\"replace\",\"path\":\"/b\",\"value\":1}]", NULL},
    {"{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/2\",\"value\":1}]", NULL},
    {"{\"a\":[1]}", "[{\"op\":\"add\",\"path\":\"/a/01\",\"value\":1}]", NULL},
    {"{\"a\":[1]}", "[{\"op\":\"remove\",\"path\":\"/a/-\"}]", NULL},
    {"{\"a\":[1]}", "[{\"op\":\"test\",\"path\":\"/a/x\",\"value\":null}]", NULL},
    {"{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"\"}]", NULL},
    {"{\"a\":1}", "{\"op\":\"remove\"}", "!"},
    {"{\"a\":1}", "[{\"op\":\"frob\",\"path\":\"/a\"}]", "!"},
    {"{\"a\":1}", "[{\"op\":\"add\",\"path\":\"/a\"}]", "!"},
    {"{\"a\":1}", "[{\"op\":\"move\",\"path\":\"/a\"}]", "!"},
    {"{\"a\":1}", "[{\"path\":\"/a\"}]", "!"},
    {"{\"a\":1}", "[3]", "!"},
    {"{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"a\"}]", "!"},
    {"{\"a\":1}", "[{\"op\":\"remove\",\"path\":\"/a~2\"}]", "!"},
};

static void operations_follow_the_rfc(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_json_ struct json *doc = parse(cases[i].doc), *before = parse(cases[i].doc),
                                   *patch = parse(cases[i].patch), *got = NULL;
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        int r = patch_json(doc, patch, &got, &err);
        assert_true(json_equal(doc, before));
        if (!cases[i].result || *cases[i].result == '!') {
            if (r != (cases[i].result ? -EINVAL : -EBADMSG))
                fail_msg("%s: %d", cases[i].patch, r);
            assert_null(got);
            assert_non_null(err.text);
            continue;
        }
        if (r < 0)
            fail_msg("%s: %s", cases[i].patch, err.text);
        _cleanup_json_ struct json *expected = parse(cases[i].result);
        if (!json_equal(got, expected))
            fail_msg("%s", cases[i].patch);
    }
}

static void a_failing_operation_undoes_all(void **state) {
    _cleanup_json_ struct json *doc = parse("{\"a\":{\"b\":1}}"), *before = parse("{\"a\":{\"b\":1}}"),
                               *patch = parse("[{\"op\":\"add\",\"path\":\"/a/c\",\"value\":1},"
                                              "{\"op\":\"test\",\"path\":\"/a/b\",\"value\":2}]");
    struct json *got = NULL;
    assert_int_equal(patch_json(doc, patch, &got, NULL), -EBADMSG);
    assert_true(json_equal(doc, before));
}

static void copies_cannot_multiply_without_end(void **state) {
    _cleanup_json_ struct json *doc = parse("{\"a\":[\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"]}"), *patch = json_array(),
                               *got = NULL;
    for (int i = 0; i < 64; i++)
        json_append(&patch, parse("{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/-\"}"));
    assert_int_equal(patch_json(doc, patch, &got, NULL), -E2BIG);
}

static void depth_is_limited(void **state) {
    _cleanup_json_ struct json *doc = parse("{\"a\":{}}"), *patch = json_array(), *got = NULL;
    for (unsigned i = 0; i < JSON_DEPTH_MAX; i++) { /* {"a":…} moves under itself by way of b */
        json_append(&patch, parse("{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b\"}"));
        json_append(&patch, parse("{\"op\":\"add\",\"path\":\"/a\",\"value\":{}}"));
        json_append(&patch, parse("{\"op\":\"move\",\"from\":\"/b\",\"path\":\"/a/x\"}"));
    }
    assert_int_equal(patch_json(doc, patch, &got, NULL), -ELOOP);
}

static void the_number_of_operations_is_limited(void **state) {
    _cleanup_json_ struct json *doc = parse("{}"), *patch = json_array(), *got = NULL, *op = NULL;
    op = parse("{\"op\":\"add\",\"path\":\"/a\",\"value\":1}");
    for (unsigned i = 0; i <= JSON_PATCH_OPS_MAX; i++)
        json_append(&patch, json_ref(op));
    assert_int_equal(patch_json(doc, patch, &got, NULL), -E2BIG);
    json_remove_at(&patch, 0);
    assert_int_equal(patch_json(doc, patch, &got, NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_follow_the_rfc),           cmocka_unit_test(a_failing_operation_undoes_all),
        cmocka_unit_test(copies_cannot_multiply_without_end),  cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(the_number_of_operations_is_limited),
    };
    return cmocka_run_group_tests_name("patch_json", tests, NULL, NULL);
}
