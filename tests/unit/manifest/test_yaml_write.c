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

static void check_style(const char *json, const char *yaml) {
    _cleanup_json_ struct json *v = NULL;
    assert_int_equal(json_parse(json, strlen(json), NULL, &v, NULL), 0);
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    yaml_write(v, &b);
    assert_string_equal(b.data, yaml);
}

static void style_is_kubectls(void **state) {
    check_style("{\"spec\":{\"containers\":[{\"name\":\"web\",\"image\":\"nginx:1.27\",\"args\":[\"-c\",\"x\"]},{"
                "\"name\":\"b\"}],"
                "\"n\":3},\"kind\":\"Pod\",\"e\":{},\"l\":[],\"z\":null,\"t\":true}",
                "e: {}\n"
                "kind: Pod\n"
                "l: []\n"
                "spec:\n"
                "  containers:\n"
                "  - args:\n"
                "    - -c\n"
                "    - x\n"
                "    image: nginx:1.27\n"
                "    name: web\n"
                "  - name: b\n"
                "  \"n\": 3\n"
                "t: true\n"
                "z: null\n");
    check_style("[[1,[2]],[],{\"a\":[{}]}]", "- - 1\n  - - 2\n- []\n- a:\n  - {}\n");
    check_style("{\"a10\":1,\"a2\":2,\"B\":3,\"_x\":4,\"7\":5,\"a02\":6,\"a\":7}",
                "_x: 4\n\"7\": 5\nB: 3\na: 7\na2: 2\na02: 6\na10: 1\n");
}

static void strings_are_quoted_only_where_needed(void **state) {
    static const struct {
        const char *json, *yaml;
    } cases[] = {
        {"\"plain text\"", "a: plain text\n"},
        {"\"\"", "a: \"\"\n"},
        {"\"true\"", "a: \"true\"\n"},
        {"\"yes\"", "a: \"yes\"\n"},
        {"\"y\"", "a: \"y\"\n"},
        {"\"null\"", "a: \"null\"\n"},
        {"\"12\"", "a: \"12\"\n"},
        {"\"1e3\"", "a: \"1e3\"\n"},
        {"\"0x1f\"", "a: \"0x1f\"\n"},
        {"\"12:30\"", "a: \"12:30\"\n"},
        {"\"2026-01-02T03:04:05Z\"", "a: \"2026-01-02T03:04:05Z\"\n"},
        {"\"a: b\"", "a: 'a: b'\n"},
        {"\"x #y\"", "a: 'x #y'\n"},
        {"\"x#y\"", "a: x#y\n"},
        {"\"it's: x\"", "a: 'it''s: x'\n"},
        {"\"- x\"", "a: '- x'\n"},
        {"\"-x\"", "a: -x\n"},
        {"\"*\"", "a: '*'\n"},
        {"\"{x}\"", "a: '{x}'\n"},
        {"\"@x\"", "a: '@x'\n"},
        {"\" x\"", "a: ' x'\n"},
        {"\"x \"", "a: 'x '\n"},
        {"\"x:\"", "a: 'x:'\n"},
        {"\"--- x\"", "a: '--- x'\n"},
        {"\"a\\tb\"", "a: \"a\\tb\"\n"},
        {"\"\\u0001\\u0085\\u2028\\ufeff\"", "a: \"\\x01\\x85\\u2028\\ufeff\"\n"},
        {"\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\"", "a: gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\n"},
        {"\"one\\ntwo\\n\"", "a: |\n  one\n  two\n"},
        {"\"one\\n\\ntwo\"", "a: |-\n  one\n\n  two\n"},
        {"\"one\\n\\n\"", "a: |+\n  one\n\n"},
        {"\" one\\ntwo\\n\"", "a: |2\n   one\n  two\n"},
        {"\"\\n\"", "a: |2+\n\n"},
        {"\"one \\ntwo\"", "a: \"one \\ntwo\"\n"},
        {"\"server {\\n\\tlisten 80;\\n}\\n\"", "a: \"server {\\n\\tlisten 80;\\n}\\n\"\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_free_ char *json = xasprintf("{\"a\":%s}", cases[i].json);
        check_style(json, cases[i].yaml);
    }
}

/* --- property: whatever is written reads back equal --- */

static uint64_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

/* Pieces that are hard in YAML, strung together. */
static struct json *random_string(uint64_t *seed) {
    static const char *const pieces[] = {"a",
                                         "b",
                                         " ",
                                         "\n",
                                         "\n\n",
                                         ":",
                                         ": ",
                                         "#",
                                         " #",
                                         "-",
                                         "- ",
                                         "'",
                                         "\"",
                                         "\\",
                                         "\t",
                                         "true",
                                         "no",
                                         "12",
                                         "0x",
                                         "e3",
                                         "~",
                                         "null",
                                         "*",
                                         "&",
                                         "!",
                                         "|",
                                         ">",
                                         "%",
                                         "@",
                                         "`",
                                         ",",
                                         "[",
                                         "]",
                                         "{",
                                         "}",
                                         "?",
                                         "\xc3\xa9",
                                         "\r",
                                         "---",
                                         "\xc2\x85",
                                         "...",
                                         "=",
                                         "<<",
                                         ".",
                                         "\x7f",
                                         "\xe2\x80\xa8",
                                         "\xef\xbb\xbf",
                                         "\xf0\x9f\x98\x80",
                                         "\xef\xbf\xbf",
                                         "  "};
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    size_t n = next_random(seed) % 8;
    for (size_t i = 0; i < n; i++)
        strbuf_adds(&b, pieces[next_random(seed) % ARRAY_LEN(pieces)]);
    if (next_random(seed) % 64 == 0)
        strbuf_addf(&b, "%01200d", 7);
    return json_string_len(strbuf_str(&b), b.len);
}

static struct json *random_value(uint64_t *seed, unsigned depth) {
    struct json *v = NULL;
    size_t n = next_random(seed) % 5;
    switch (next_random(seed) % (depth > 0 ? 8 : 5)) {
    case 0:
        return next_random(seed) % 2 ? json_null() : json_bool(next_random(seed) % 2);
    case 1:
        return json_int((int64_t) (next_random(seed) << 32 | next_random(seed)) >> next_random(seed) % 64);
    case 2:
        return json_double((double) next_random(seed) / 1000.0 - 1e6);
    case 3:
    case 4:
        return random_string(seed);
    case 5:
    case 6:
        v = json_object();
        for (size_t i = 0; i < n; i++) {
            _cleanup_json_ struct json *key = random_string(seed);
            json_set(&v, json_str(key), random_value(seed, depth - 1));
        }
        return v;
    default:
        v = json_array();
        for (size_t i = 0; i < n; i++)
            json_append(&v, random_value(seed, depth - 1));
        return v;
    }
}

static void what_is_written_reads_back_equal(void **state) {
    for (uint64_t round = 1; round <= 20000; round++) {
        uint64_t seed = round;
        _cleanup_json_ struct json *v = json_object(), *back = NULL;
        json_set(&v, "v", random_value(&seed, 4));
        json_set(&v, "w", random_value(&seed, 2));
        _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        yaml_write(v, &b);
        if (yaml_parse_one("x", b.data, b.len, &back, &err) < 0)
            fail_msg("round %llu: %s\n%s", (unsigned long long) round, err.text, b.data);
        if (!json_equal(v, back)) {
            _cleanup_free_ char *t1 = json_to_text(v), *t2 = json_to_text(back);
            fail_msg("round %llu:\n%s\n%s\n%s", (unsigned long long) round, t1, t2, b.data);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(style_is_kubectls),
        cmocka_unit_test(strings_are_quoted_only_where_needed),
        cmocka_unit_test(what_is_written_reads_back_equal),
    };
    return cmocka_run_group_tests_name("yaml_write", tests, NULL, NULL);
}
