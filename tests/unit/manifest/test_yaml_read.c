/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/manifest/yaml.h"
#include "podium/base/alloc.h"
#include "podium/base/limits.h"

/* The documents of a text as JSON, joined by newlines. */
static char *read_as_json(const char *text) {
    struct json **docs = NULL;
    size_t n = 0;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    if (yaml_parse_documents("f.yaml", text, strlen(text), &docs, &n, &err) < 0)
        return xstrdup(err.text);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            strbuf_addc(&b, '\n');
        json_write(docs[i], 0, &b);
    }
    yaml_documents_free(docs, n);
    return strbuf_steal(&b);
}

static void check(const char *yaml, const char *expected) {
    _cleanup_free_ char *got = read_as_json(yaml);
    assert_string_equal(got, expected);
}

static void plain_scalars_resolve_as_kubernetes_users_expect(void **state) {
    static const struct {
        const char *yaml, *json;
    } cases[] = {
        {"~", ""},
        {"a: ~", "{\"a\":null}"},
        {"a:", "{\"a\":null}"},
        {"a: null", "{\"a\":null}"},
        {"a: \"null\"", "{\"a\":\"null\"}"},
        {"a: true", "{\"a\":true}"},
        {"a: yes", "{\"a\":true}"},
        {"a: On", "{\"a\":true}"},
        {"a: OFF", "{\"a\":false}"},
        {"a: no", "{\"a\":false}"},
        {"a: 'no'", "{\"a\":\"no\"}"},
        {"a: y", "{\"a\":true}"},
        {"a: N", "{\"a\":false}"},
        {"a: tRue", "{\"a\":\"tRue\"}"},
        {"a: 12", "{\"a\":12}"},
        {"a: -12", "{\"a\":-12}"},
        {"a: +12", "{\"a\":12}"},
        {"a: 0644", "{\"a\":420}"},
        {"a: 0o644", "{\"a\":420}"},
        {"a: 08", "{\"a\":8}"},
        {"a: 0x1F", "{\"a\":31}"},
        {"a: 0b101", "{\"a\":5}"},
        {"a: 1_000", "{\"a\":1000}"},
        {"a: 9223372036854775807", "{\"a\":9223372036854775807}"},
        {"a: -9223372036854775808", "{\"a\":-9223372036854775808}"},
        {"a: 1.5", "{\"a\":1.5}"},
        {"a: .5", "{\"a\":0.5}"},
        {"a: 1e3", "{\"a\":1000}"},
        {"a: 1.2.3", "{\"a\":\"1.2.3\"}"},
        {"a: 100m", "{\"a\":\"100m\"}"},
        {"a: 1Gi", "{\"a\":\"1Gi\"}"},
        {"a: 2026-01-02T03:04:05Z", "{\"a\":\"2026-01-02T03:04:05Z\"}"},
        {"a: 2026-01-02", "{\"a\":\"2026-01-02\"}"},
        {"a: 12:30", "{\"a\":\"12:30\"}"},
        {"a: -", "f.yaml:1:4: block sequence entries are not allowed in this context"},
        {"a: \"\"", "{\"a\":\"\"}"},
        {"a: !!str 12", "{\"a\":\"12\"}"},
        {"a: !!int \"12\"", "{\"a\":12}"},
        {"a: !!float 12", "{\"a\":12}"},
        {"a: nginx:1.27", "{\"a\":\"nginx:1.27\"}"},
        {"a: # nothing", "{\"a\":null}"},
        {"a: b #c", "{\"a\":\"b\"}"},
        {"a: b#c", "{\"a\":\"b#c\"}"},
        {"a: \"x\\ty\\u00e9\"", "{\"a\":\"x\\ty\xc3\xa9\"}"},
        {"a: 'it''s'", "{\"a\":\"it's\"}"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        check(cases[i].yaml, cases[i].json);
}

static void keys_become_strings(void **state) {
    check("1: a\ntrue: b\n1.5: c\n0x10: d\n\"x y\": e",
          "{\"1\":\"a\",\"true\":\"b\",\"1.5\":\"c\",\"16\":\"d\",\"x y\":\"e\"}");
    check("? a\n: b", "{\"a\":\"b\"}");
    check("[a]: b", "f.yaml:1:1: a key must be a simple value");
    check("~: b", "f.yaml:1:1: a key must be a string, not null");
}

static void collections_and_blocks(void **state) {
    check("a:\n- 1\n- b: 2\n  c: 3\n- - x\n  - z\n", "{\"a\":[1,{\"b\":2,\"c\":3},[\"x\",\"z\"]]}");
    check("a: {b: [1, 2], c: {}}\n", "{\"a\":{\"b\":[1,2],\"c\":{}}}");
    check("a: |\n  one\n   two\n\n  three\nb: |-\n  x\nc: |+\n  y\n\nd: >\n  f\n  g\n\n  h\n",
          "{\"a\":\"one\\n two\\n\\nthree\\n\",\"b\":\"x\",\"c\":\"y\\n\\n\",\"d\":\"f g\\nh\\n\"}");
    check("a: |2\n   x\n  y\n", "{\"a\":\" x\\ny\\n\"}");
    check("a: one\n  two\n", "{\"a\":\"one two\"}");
}

static void several_documents_and_empty_ones(void **state) {
    check("", "");
    check("# only a comment\n", "");
    check("---\n---\na: 1\n---\n# nothing\n---\nb: 2\n...\n", "{\"a\":1}\n{\"b\":2}");
    check("a: 1\n--- \nb: 2\n", "{\"a\":1}\n{\"b\":2}");
    check("%YAML 1.1\n---\na: 1\n", "{\"a\":1}");
}

static void anchors_aliases_and_merges(void **state) {
    check("a: &x {k: 1}\nb: *x\n", "{\"a\":{\"k\":1},\"b\":{\"k\":1}}");
    check("base: &b {x: 1, w: 2}\nc:\n  <<: *b\n  w: 3\n", "{\"base\":{\"x\":1,\"w\":2},\"c\":{\"w\":3,\"x\":1}}");
    check("a: &a {x: 1}\nb: &b {x: 2, w: 2}\nc:\n  z: 0\n  <<: [*a, *b]\n",
          "{\"a\":{\"x\":1},\"b\":{\"x\":2,\"w\":2},\"c\":{\"z\":0,\"x\":1,\"w\":2}}");
    check("\"<<\": 1", "{\"<<\":1}");
    check("a: *nope", "f.yaml:1:4: unknown anchor \"nope\"");
    check("a: &x [*x]", "f.yaml:1:8: unknown anchor \"x\"");
    check("a: &x 1\n---\nb: *x", "f.yaml:3:4: unknown anchor \"x\"");
    check("<<: 3", "f.yaml:1:1: what \"<<\" merges must be a mapping or a list of mappings");
    check("? &k key\n: 1\nother: {*k : 2}", "{\"key\":1,\"other\":{\"key\":2}}");
}

static void json_is_yaml(void **state) {
    check("{\"a\": [1, 2.5, \"\\ud83d\\ude00\", null], \"b\": {\"c\": true}}\n",
          "{\"a\":[1,2.5,\"\xf0\x9f\x98\x80\",null],\"b\":{\"c\":true}}");
    check("{\n\t\"a\": 1\n}", "{\"a\":1}");
    check("{\"a\":1,\"a\":2}", "f.yaml:1:8: the key \"a\" is already set in this mapping");
    check("{\"a\":1,\n \"b\" 2}",
          "f.yaml:2:6: did not find expected ',' or '}' (while parsing a flow mapping that began in "
          "line 1)");
}

static void errors_name_file_line_and_column(void **state) {
    check("a: 1\nb:\n  c: 1\n  c: 2\n", "f.yaml:4:3: the key \"c\" is already set in this mapping");
    check("a: 1\n\tb: 2\n",
          "f.yaml:2:1: found a tab character that violates indentation (while scanning a plain scalar that "
          "began in line 1)");
    check("a: 1\n b: 2\n", "f.yaml:2:3: mapping values are not allowed in this context");
    check("a: .inf\n", "f.yaml:1:4: .inf is a number that JSON does not have");
    check("a: !!int x\n", "f.yaml:1:4: \"x\" is no !!int");
    check("a: !include x\n", "f.yaml:1:4: the tag !include is not supported here");
    check("a: !!binary aGk=\n", "f.yaml:1:4: the tag tag:yaml.org,2002:binary is not supported here");
    check("a: \"\n",
          "f.yaml:2:1: found unexpected end of stream (while scanning a quoted scalar that began in line 1)");
    check("ok: 1\nbad: \xff\n", "f.yaml:2:6: invalid leading UTF-8 octet");
    check("a:\n- x\n  - y\nb: [\n", "f.yaml:5:1: did not find expected node content (while parsing a flow node)");
}

static void values_and_keys_know_where_they_stand(void **state) {
    static const char text[] = "a: 1\nb:\n  - c: xyz\n";
    _cleanup_json_ struct json *doc = NULL;
    assert_int_equal(yaml_parse_one(NULL, text, strlen(text), &doc, NULL), 0);
    const struct json *c = json_get(json_at(json_get(doc, "b"), 0), "c");
    assert_int_equal(json_line(c), 3);
    assert_int_equal(json_column(c), 8);
    const struct json *key = json_key_value_at(doc, 1);
    assert_int_equal(json_line(key), 2);
    assert_int_equal(json_column(key), 1);
}

static void one_document_means_one(void **state) {
    struct json *doc = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    assert_int_equal(yaml_parse_one("x", "", 0, &doc, &err), -EINVAL);
    assert_string_equal(err.text, "x:1:1: the document is empty");
    assert_int_equal(yaml_parse_one("x", "a: 1\n---\nb: 1\n", 14, &doc, &err), -EINVAL);
    assert_string_equal(err.text, "x:3:1: only one document is expected");
}

static void alias_bombs_end_in_an_error(void **state) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    strbuf_adds(&b, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 12; i++) {
        strbuf_addf(&b, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            strbuf_addf(&b, "%s*a%d", k ? "," : "", i - 1);
        strbuf_adds(&b, "]\n");
    }
    struct json **docs = NULL;
    size_t n;
    assert_int_equal(yaml_parse_documents(NULL, b.data, b.len, &docs, &n, NULL), -E2BIG);

    strbuf_reset(&b); /* deep by aliases: each level nests the one before */
    strbuf_adds(&b, "a0: &a0 [x]\n");
    for (unsigned i = 1; i < JSON_DEPTH_MAX; i++)
        strbuf_addf(&b, "a%u: &a%u [*a%u]\n", i, i, i - 1);
    assert_int_equal(yaml_parse_documents(NULL, b.data, b.len, &docs, &n, NULL), -ELOOP);
}

static void depth_is_limited(void **state) {
    for (int json = 0; json < 2; json++) {
        _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
        strbuf_adds(&b, json ? "[" : "- ");
        for (int i = 0; i < 10000; i++)
            strbuf_addc(&b, '[');
        struct json **docs = NULL;
        size_t n;
        assert_int_equal(yaml_parse_documents(NULL, b.data, b.len, &docs, &n, NULL), -ELOOP);
    }
}

static void size_is_limited(void **state) {
    size_t n = YAML_BYTES_MAX + 1, n_docs;
    _cleanup_free_ char *text = xmalloc(n);
    memset(text, ' ', n);
    struct json **docs = NULL;
    assert_int_equal(yaml_parse_documents(NULL, text, n, &docs, &n_docs, NULL), -E2BIG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_scalars_resolve_as_kubernetes_users_expect),
        cmocka_unit_test(keys_become_strings),
        cmocka_unit_test(collections_and_blocks),
        cmocka_unit_test(several_documents_and_empty_ones),
        cmocka_unit_test(anchors_aliases_and_merges),
        cmocka_unit_test(json_is_yaml),
        cmocka_unit_test(errors_name_file_line_and_column),
        cmocka_unit_test(values_and_keys_know_where_they_stand),
        cmocka_unit_test(one_document_means_one),
        cmocka_unit_test(alias_bombs_end_in_an_error),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(size_is_limited),
    };
    return cmocka_run_group_tests_name("yaml_read", tests, NULL, NULL);
}
