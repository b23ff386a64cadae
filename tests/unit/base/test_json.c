/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "podium/base/alloc.h"
#include "podium/base/json.h"
#include "podium/base/limits.h"

static struct json *parse(const char *text) {
    struct json *v = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    int r = json_parse(text, strlen(text), NULL, &v, &err);
    if (r < 0)
        fail_msg("%s: %s", text, error_text(&err, r));
    return v;
}

static void assert_text(const struct json *v, const char *text) {
    _cleanup_free_ char *got = json_to_text(v);

    assert_string_equal(got, text);
}

static void round_trip(void **state) {
    static const char *const texts[] = {
        "{\"a\":1,\"b\":[true,false,null,-5,1.5,\"x\\ny\\\"\\\\\\u0001\"],\"c\":{}}",
        "[]",
        "\"\"",
        "9223372036854775807",
        "-9223372036854775808",
        "[0.1,1e+100,123456789.25]",
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        _cleanup_json_ struct json *v = parse(texts[i]);
        assert_text(v, texts[i]);
    }
}

static void bad_input_is_refused_with_position(void **state) {
    static const char *const texts[] = {"",      "{",        "{\"a\":}",  "[1,]", "nul",
                                        "{} {}", "\"\xff\"", "{\"a\" 1}", "[1",   "[1e400]"};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct json *v = NULL;
        assert_true(json_parse(texts[i], strlen(texts[i]), NULL, &v, NULL) < 0);
        assert_null(v);
    }
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    struct json *v = NULL;
    const char *text = "{\n  \"a\": 1,\n  \"b\": x\n}";
    assert_int_equal(json_parse(text, strlen(text), NULL, &v, &err), -EINVAL);
    assert_non_null(strstr(error_text(&err, 0), "line 3"));
}

static void depth_and_size_are_limited(void **state) {
    char deep[4096];
    struct json *v = NULL;

    memset(deep, '[', sizeof(deep));
    assert_int_equal(json_parse(deep, sizeof(deep), NULL, &v, NULL), -ELOOP);
    struct json_parse_options options = {.bytes_max = 3};
    assert_int_equal(json_parse("[1,2]", 5, &options, &v, NULL), -E2BIG);
}

static void note_duplicate(void *userdata, const char *path) {
    strv_push_dup(userdata, path);
}

static void duplicates_are_reported_with_path(void **state) {
    _cleanup_strv_ char **found = strv_new();
    struct json_parse_options options = {.duplicate = note_duplicate, .userdata = &found};
    const char *text = "{\"spec\":{\"c\":[{\"n\":1},{\"n\":1,\"n\":2}]},\"x\":1,\"x\":2}";
    _cleanup_json_ struct json *v = NULL;

    assert_int_equal(json_parse(text, strlen(text), &options, &v, NULL), 0);
    assert_int_equal(strv_len(found), 2);
    assert_string_equal(found[0], "spec.c[1].n");
    assert_string_equal(found[1], "x");
    assert_int_equal(json_int_or(json_get(v, "x"), 0), 2);
}

static void writing_never_changes_other_holders(void **state) {
    _cleanup_json_ struct json *a = parse("{\"m\":{\"l\":{\"k\":\"v\"}},\"s\":[1,2]}");
    _cleanup_json_ struct json *b = json_ref(a);

    json_set(json_edit(json_edit(&b, "m"), "l"), "k", json_string("w"));
    json_append(json_edit(&b, "s"), json_int(3));
    json_del(json_edit(json_edit(&b, "m"), "l"), "absent");
    assert_text(a, "{\"m\":{\"l\":{\"k\":\"v\"}},\"s\":[1,2]}");
    assert_text(b, "{\"m\":{\"l\":{\"k\":\"w\"}},\"s\":[1,2,3]}");

    _cleanup_json_ struct json *c = json_ref(b);
    json_set_path(&c, json_int(7), "new", "deep", "x");
    json_remove_at(json_edit(&c, "s"), 0);
    json_insert_at(json_edit(&c, "s"), 1, json_string("i"));
    assert_text(b, "{\"m\":{\"l\":{\"k\":\"w\"}},\"s\":[1,2,3]}");
    assert_text(c, "{\"m\":{\"l\":{\"k\":\"w\"}},\"s\":[2,\"i\",3],\"new\":{\"deep\":{\"x\":7}}}");
    /* what was not touched is shared */
    assert_ptr_equal(json_get(b, "m"), json_get(c, "m"));
}

static void large_objects_find_and_delete(void **state) {
    _cleanup_json_ struct json *v = NULL;
    char key[32];

    for (int i = 0; i < 20000; i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        json_set(&v, key, json_int(i));
    }
    assert_int_equal(json_len(v), 20000);
    for (int i = 0; i < 20000; i += 7) {
        snprintf(key, sizeof(key), "key-%d", i);
        assert_int_equal(json_int_or(json_get(v, key), -1), i);
    }
    _cleanup_json_ struct json *copy = json_ref(v);
    assert_true(json_del(&copy, "key-5"));
    assert_false(json_del(&copy, "key-5"));
    assert_null(json_get(copy, "key-5"));
    assert_int_equal(json_int_or(json_get(copy, "key-19999"), 0), 19999);
    assert_int_equal(json_int_or(json_get(v, "key-5"), 0), 5);
}

static void members_are_asked_for_as_text(void **state) {
    _cleanup_json_ struct json *v = parse("{\"a\":\"x\",\"n\":1}");

    assert_string_equal(json_get_str(v, "a"), "x");
    assert_string_equal(json_get_str(v, "n"), "");
    assert_string_equal(json_get_str(NULL, "a"), "");
    assert_true(json_get_is(v, "a", "x"));
    assert_false(json_get_is(v, "a", "xy"));
    assert_false(json_get_is(v, "n", "1"));
}

static void equality_ignores_order_and_number_form(void **state) {
    _cleanup_json_ struct json *a = parse("{\"a\":1,\"b\":[1,{\"x\":\"y\"}]}");
    _cleanup_json_ struct json *b = parse("{\"b\":[1.0,{\"x\":\"y\"}],\"a\":1}");
    _cleanup_json_ struct json *c = parse("{\"b\":[1,{\"x\":\"z\"}],\"a\":1}");

    assert_true(json_equal(a, b));
    assert_false(json_equal(a, c));
    assert_false(json_equal(a, NULL));
}

static void positions_point_at_values(void **state) {
    _cleanup_json_ struct json *v = parse("{\n \"a\": \"x\",\n \"b\": [\n  17\n ]\n}");

    assert_int_equal(json_line(json_get(v, "a")), 2);
    assert_int_equal(json_column(json_get(v, "a")), 7);
    assert_int_equal(json_line(json_at(json_get(v, "b"), 0)), 4);
}

static void measuring_stops_exponential_sharing(void **state) {
    _cleanup_json_ struct json *v = json_string("x");

    for (int i = 0; i < 60; i++) { /* 2^60 nodes when written out */
        struct json *pair = json_array();
        json_append(&pair, json_ref(v));
        json_append(&pair, steal(&v));
        v = pair;
    }
    assert_false(json_within(v, 100000, JSON_DEPTH_MAX));
    assert_false(json_within(v, SIZE_MAX, 5));
    _cleanup_json_ struct json *w = json_int(1);
    assert_true(json_within(w, 1, 1));
}

static void sealed_objects_are_carried_as_text(void **state) {
    static const char text[] =
        "{\"a\":{\"seal\":{\"x\":[1,{\"y\":\"}\\\"\"}],\"z\":null}},\"seal\":[{\"seal\":{}}],\"b\":2}";
    struct json_parse_options o = {.seal = "seal"};
    _cleanup_json_ struct json *v = NULL, *plain = parse(text);
    assert_int_equal(json_parse(text, strlen(text), &o, &v, NULL), 0);
    const struct json *sealed = json_path(v, "a", "seal");
    size_t n = 0;

    assert_int_equal(json_type(sealed), JSON_SEALED);
    assert_string_equal(json_sealed_text(sealed, &n), "{\"x\":[1,{\"y\":\"}\\\"\"}],\"z\":null}");
    assert_int_equal(n, strlen(json_sealed_text(sealed, NULL)));
    assert_null(json_get(sealed, "x"));
    assert_int_equal(json_len(sealed), 0);
    assert_int_equal(json_int_or(json_get(v, "b"), 0), 2);
    _cleanup_free_ char *again = json_to_text(v);
    assert_string_equal(again, text);
    assert_true(json_equal(v, plain));
    assert_true(json_equal(plain, v));
    assert_false(json_equal(sealed, json_get(v, "b")));
    _cleanup_json_ struct json *open = json_opened(sealed);
    assert_true(json_is_object(open));
    assert_true(json_equal(open, sealed));
    json_set(&open, "z", json_int(1));
    assert_false(json_equal(open, sealed));
    /* members of that name that are no objects stay what they are */
    assert_true(json_is_array(json_get(v, "seal")));
    assert_int_equal(json_type(json_get(json_at(json_get(v, "seal"), 0), "seal")), JSON_SEALED);
    _cleanup_strbuf_ struct strbuf deep = STRBUF_INIT;
    strbuf_adds(&deep, "{\"seal\":{\"k\":");
    for (unsigned i = 0; i < JSON_DEPTH_MAX; i++)
        strbuf_addc(&deep, '[');
    struct json *none = NULL;
    assert_int_equal(json_parse(deep.data, deep.len, &o, &none, NULL), -ELOOP);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(bad_input_is_refused_with_position),
        cmocka_unit_test(depth_and_size_are_limited),
        cmocka_unit_test(duplicates_are_reported_with_path),
        cmocka_unit_test(writing_never_changes_other_holders),
        cmocka_unit_test(large_objects_find_and_delete),
        cmocka_unit_test(members_are_asked_for_as_text),
        cmocka_unit_test(equality_ignores_order_and_number_form),
        cmocka_unit_test(positions_point_at_values),
        cmocka_unit_test(measuring_stops_exponential_sharing),
        cmocka_unit_test(sealed_objects_are_carried_as_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
