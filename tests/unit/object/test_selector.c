/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/selector.h"
#include "podium/base/alloc.h"

static struct json *parse(const char *text) {
    struct json *v = NULL;
    assert_int_equal(json_parse(text, strlen(text), NULL, &v, NULL), 0);
    return v;
}

static void terms_match_as_upstream(void **state) {
    static const char labels[] = "{\"app\":\"web\",\"tier\":\"front\",\"n\":\"5\",\"empty\":\"\",\"x.io/y\":\"1\"}";
    static const struct {
        const char *selector;
        bool matches;
    } cases[] = {
        {"", true},
        {"  ", true},
        {"app=web", true},
        {"app==web", true},
        {" app = web , tier!=back ", true},
        {"app=db", false},
        {"app!=web", false},
        {"absent!=x", true},
        {"app in (db,web)", true},
        {"app in (db)", false},
        {"app notin (db)", true},
        {"app notin (db,web)", false},
        {"absent notin (a)", true},
        {"absent in (a)", false},
        {"app", true},
        {"absent", false},
        {"!absent", true},
        {"!app", false},
        {"n>4", true},
        {"n>5", false},
        {"n<6", true},
        {"app>1", false},
        {"absent>1", false},
        {"empty=", true},
        {"empty in (,a)", true},
        {"app=", false},
        {"x.io/y=1,app,!z", true},
        {"in=x", false},
        {"notin notin (in)", true},
    };
    _cleanup_json_ struct json *doc = parse(labels);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(selector_freep) struct selector *s = NULL;
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        if (selector_parse(cases[i].selector, &s, &err) < 0)
            fail_msg("%s: %s", cases[i].selector, err.text);
        if (selector_matches(s, doc) != cases[i].matches)
            fail_msg("'%s' should%s match", cases[i].selector, cases[i].matches ? "" : " not");
    }
    assert_true(selector_matches(NULL, NULL));
}

static void malformed_selectors_say_why(void **state) {
    static const struct {
        const char *selector, *text;
    } cases[] = {
        {"a=b,", "found '', expected: identifier after ','"},
        {",", "found ',', expected: !, identifier, or 'end of string'"},
        {"a in b", "unable to parse requirement: found 'b' expected: '('"},
        {"a in (b", "unable to parse requirement: found '', expected: ',' or ')'"},
        {"a in ()", "unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators, values set "
                    "can't be empty"},
        {"a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"},
        {"!a=b", "found '=', expected: ',' or 'end of string'"},
        {"!", "unable to parse requirement: found '', expected: identifier"},
        {"a==(", "unable to parse requirement: found '(', expected: identifier"},
        {"a>x",
         "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must "
         "be an integer"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(selector_freep) struct selector *s = NULL;
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        assert_int_equal(selector_parse(cases[i].selector, &s, &err), -EINVAL);
        assert_string_equal(err.text, cases[i].text);
    }
    static const char *const bad[] = {"-a=b", "a/b/c", "a=-b", "a=b c", "a=\xff", "/a", "a in (x y)"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct selector *s = NULL;
        assert_int_equal(selector_parse(bad[i], &s, NULL), -EINVAL);
        assert_null(s);
    }
}

static void text_form_is_sorted_and_parses_back(void **state) {
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"b=2,a=1", "a=1,b=2"},
        {"z,!c,b in (y,x,y),a notin (q)", "a notin (q),b in (x,y),!c,z"},
        {"n>3,m<4,k!=v,j==w", "j==w,k!=v,m<4,n>3"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(selector_freep) struct selector *s = NULL, *again = NULL;
        assert_int_equal(selector_parse(cases[i].in, &s, NULL), 0);
        _cleanup_free_ char *text = selector_to_text(s);
        assert_string_equal(text, cases[i].out);
        assert_int_equal(selector_parse(text, &again, NULL), 0);
    }
}

static void label_selector_objects(void **state) {
    _cleanup_json_ struct json *labels = parse("{\"app\":\"web\",\"env\":\"prod\"}");
    static const struct {
        const char *object;
        bool matches;
        const char *text;
    } cases[] = {
        {"null", false, ""},
        {"{}", true, ""},
        {"{\"matchLabels\":{\"app\":\"web\"}}", true, "app=web"},
        {"{\"matchLabels\":{\"app\":\"db\"}}", false, "app=db"},
        {"{\"matchExpressions\":[{\"key\":\"env\",\"operator\":\"In\",\"values\":[\"prod\",\"dev\"]},"
         "{\"key\":\"old\",\"operator\":\"DoesNotExist\"}]}",
         true, "env in (dev,prod),!old"},
        {"{\"matchExpressions\":[{\"key\":\"env\",\"operator\":\"NotIn\",\"values\":[\"prod\"]}]}", false,
         "env notin (prod)"},
        {"{\"matchExpressions\":[{\"key\":\"app\",\"operator\":\"Exists\"}]}", true, "app"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_json_ struct json *object = parse(cases[i].object);
        _cleanup_(selector_freep) struct selector *s = NULL;
        assert_int_equal(selector_from_object(object, &s, NULL), 0);
        assert_int_equal(selector_matches(s, labels), cases[i].matches);
        _cleanup_free_ char *text = selector_to_text(s);
        assert_string_equal(text, cases[i].text);
    }
    static const char *const bad[] = {
        "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Foo\"}]}",
        "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"In\"}]}",
        "{\"matchExpressions\":[{\"key\":\"a\",\"operator\":\"Exists\",\"values\":[\"x\"]}]}",
        "{\"matchLabels\":{\"a\":1}}", "{\"matchLabels\":{\"a\":\"-\"}}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        _cleanup_json_ struct json *object = parse(bad[i]);
        struct selector *s = NULL;
        assert_int_equal(selector_from_object(object, &s, NULL), -EINVAL);
    }
}

static void an_empty_map_selects_nothing(void **state) {
    _cleanup_json_ struct json *labels = parse("{\"app\":\"web\",\"env\":\"prod\"}"), *empty = json_object(),
                               *map = parse("{\"app\":\"web\"}");
    _cleanup_(selector_freep) struct selector *a = NULL, *b = NULL, *c = NULL;
    assert_int_equal(selector_from_map(empty, &a, NULL), 0);
    assert_int_equal(selector_from_map(NULL, &b, NULL), 0);
    assert_int_equal(selector_from_map(map, &c, NULL), 0);
    assert_false(selector_matches(a, labels));
    assert_false(selector_is_empty(a));
    assert_false(selector_matches(b, labels));
    assert_true(selector_matches(c, labels));
    assert_false(selector_matches(c, NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_match_as_upstream),
        cmocka_unit_test(malformed_selectors_say_why),
        cmocka_unit_test(text_form_is_sorted_and_parses_back),
        cmocka_unit_test(label_selector_objects),
        cmocka_unit_test(an_empty_map_selects_nothing),
    };
    return cmocka_run_group_tests_name("selector", tests, NULL, NULL);
}
