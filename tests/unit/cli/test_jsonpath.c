/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSONPath templates against what kubectl prints for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "orchestrator/cli/jsonpath.h"
#include "podium/base/alloc.h"

static const char document[] =
    "{\"kind\":\"List\",\"items\":[{\"metadata\":{\"name\":\"a\",\"labels\":{\"app.kubernetes.io/name\":\"web\"}},"
    "\"status\":{\"n\":1,\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\"},{\"type\":\"Other\",\"status\":"
    "\"False\"}]}},"
    "{\"metadata\":{\"name\":\"b\"},\"status\":{\"n\":2.5,\"conditions\":[{\"type\":\"Ready\",\"status\":\"False\"}]}},"
    "{\"metadata\":{\"name\":\"c\",\"deep\":{\"name\":\"d\"}},\"status\":{\"n\":3,\"on\":true}}]}";

static char *fill_in(const char *text) {
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *doc = NULL;
    _cleanup_(jsonpath_freep) struct jsonpath *p = NULL;
    struct strbuf out = STRBUF_INIT;
    assert_int_equal(json_parse(document, strlen(document), NULL, &doc, &err), 0);
    if (jsonpath_parse_relaxed(text, &p, &err) < 0)
        return xasprintf("error: %s", error_text(&err, -EINVAL));
    jsonpath_print(p, doc, &out);
    return strbuf_steal(&out);
}

static void templates_are_filled_in(void **state) {
    static const struct {
        const char *text, *result;
    } cases[] = {
        {"{.kind}", "List"},
        {"kind", "List"},
        {".kind", "List"},
        {"{$.kind}", "List"},
        {"{.items[0].metadata.name}", "a"},
        {"{.items[-1].metadata.name}", "c"},
        {"{.items[*].metadata.name}", "a b c"},
        {"{.items[0:2].metadata.name}", "a b"},
        {"{.items[1:].metadata.name}", "b c"},
        {"{.items[::2].metadata.name}", "a c"},
        {"{.items[0,2].metadata.name}", "a c"},
        {"{.items[9].metadata.name}", ""},
        {"{.nothing.at.all}", ""},
        {"{.items[0]['metadata']['name']}", "a"},
        {"{.items[0].metadata.labels.app\\.kubernetes\\.io/name}", "web"},
        {"{.items[0].metadata.labels['app.kubernetes.io/name']}", "web"},
        {"{.items[*].status.conditions[?(@.type==\"Ready\")].status}", "True False"},
        {"{.items[?(@.metadata.name!='a')].metadata.name}", "b c"},
        {"{.items[?(@.status.n>1)].metadata.name}", "b c"},
        {"{.items[?(@.status.n<=2.5)].metadata.name}", "a b"},
        {"{.items[?(@.status.on==true)].metadata.name}", "c"},
        {"{.items[?(@.status.on)].metadata.name}", "c"},
        {"{range .items[*]}{.metadata.name}={.status.n}{\"\\n\"}{end}", "a=1\nb=2.5\nc=3\n"},
        {"{range .items[*]}{range .status.conditions[*]}{.type} {end}{end}", "Ready Other Ready "},
        {"{..name}", "a b c d"},
        {"{.items[2].metadata.*}", "c {\"name\":\"d\"}"},
        {"names: {.items[0].metadata.name}!", NULL},
        {"{.items[0].status.conditions[1]}", "{\"type\":\"Other\",\"status\":\"False\"}"},
        {"{.items[0].metadata.name}{'\\t'}{.kind}", "a\tList"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *got = fill_in(cases[i].text);
        if (cases[i].result)
            assert_string_equal(got, cases[i].result);
    }
}

static void text_around_braces_stays(void **state) {
    _cleanup_json_ struct json *doc = json_object();
    _cleanup_(jsonpath_freep) struct jsonpath *p = NULL;
    _cleanup_strbuf_ struct strbuf out = STRBUF_INIT;
    json_set(&doc, "a", json_int(1));
    assert_int_equal(jsonpath_parse("a is {.a}!", &p, NULL), 0);
    jsonpath_print(p, doc, &out);
    assert_string_equal(out.data, "a is 1!");
}

static void mistakes_are_refused(void **state) {
    static const char *const cases[] = {
        "{.a",      "{.a[}",   "{.a[0}", "{range .a}{.b}", "{end}",          "{.a[?(@.b==)]}", "{.a[?(@.b & 1)]}",
        "{\"open}", "{.a[x]}", "{a b}",  "{.a[0:2:-1]}",   "{.a[?(@.b==1]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        struct jsonpath *p = NULL;
        assert_int_equal(jsonpath_parse(cases[i], &p, &err), -EINVAL);
        assert_non_null(strstr(error_text(&err, -EINVAL), "at position"));
    }
}

static void nesting_is_bounded(void **state) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    struct jsonpath *p = NULL;
    for (unsigned i = 0; i < 10000; i++)
        strbuf_adds(&text, "{range .a}");
    assert_int_equal(jsonpath_parse(text.data, &p, NULL), -EINVAL);
    strbuf_reset(&text);
    strbuf_addc(&text, '{');
    for (unsigned i = 0; i < 10000; i++)
        strbuf_adds(&text, "[?(@");
    assert_int_equal(jsonpath_parse(text.data, &p, NULL), -EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_are_filled_in),
        cmocka_unit_test(text_around_braces_stays),
        cmocka_unit_test(mistakes_are_refused),
        cmocka_unit_test(nesting_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
