/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Members that come twice, in JSON and in YAML, as fieldValidation says: refused, warned of, or nothing. The last one
 * counts. Texts as in upstream's test/integration/apiserver/field_validation_test.go. */
#include "tests/unit/apiserver/server_fixture.h"

#define CONFIGMAPS "/api/v1/namespaces/default/configmaps"
#define YAML       "application/yaml"
#define APPLY      "application/apply-patch+yaml"

static const char yaml_body[] = "metadata:\n"
                                "  name: %s\n"
                                "data:\n"
                                "  k: first\n"
                                "  k: last\n"
                                "immutable: true\n"
                                "immutable: false\n"
                                "unknownMember: x\n";
static const char json_body[] = "{\"metadata\":{\"name\":\"%s\"},\"data\":{\"k\":\"first\",\"k\":\"last\"},"
                                "\"unknownMember\":1,\"unknownMember\":2}";

/* The body under a name of its own. */
static char *named(const char *body, const char *name) {
    const char *at = strstr(body, "%s");
    return xasprintf("%.*s%s%s", (int) (at - body), body, name, at + 2);
}

static void strict_refuses(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *yaml = named(yaml_body, "a"), *json = named(json_body, "a");
    _cleanup_answer_ struct answer a =
        ask_as(f, "POST", CONFIGMAPS "?fieldValidation=Strict", YAML, "application/json", yaml);
    assert_status(a, 400, "BadRequest",
                  "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: "
                  "yaml: unmarshal errors:\n  line 5: key \"k\" already set in map\n"
                  "  line 7: key \"immutable\" already set in map, unknown field \"unknownMember\"");
    _cleanup_answer_ struct answer b = ask(f, "POST", CONFIGMAPS "?fieldValidation=Strict", json);
    assert_status(b, 400, "BadRequest",
                  "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: "
                  "duplicate field \"data.k\", unknown field \"unknownMember\"");
    _cleanup_answer_ struct answer c = ask_as(f, "PATCH", CONFIGMAPS "/c?fieldManager=me&fieldValidation=Strict", APPLY,
                                              "application/json", "apiVersion: v1\nkind: ConfigMap\nkind: ConfigMap\n");
    assert_status(c, 400, "BadRequest",
                  "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n"
                  "  line 3: key \"kind\" already set in map");
}

static void warn_says_so(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *yaml = named(yaml_body, "why"), *json = named(json_body, "j");
    _cleanup_answer_ struct answer a = ask_as(f, "POST", CONFIGMAPS, YAML, "application/json", yaml);
    assert_code(a, 201);
    assert_string_equal(json_str(json_path(a.body, "data", "k")), "last");
    assert_non_null(strstr(strbuf_str(&a.headers), "299 - \"line 5: key \\\"k\\\" already set in map\""));
    assert_non_null(strstr(strbuf_str(&a.headers), "299 - \"line 7: key \\\"immutable\\\" already set in map\""));
    _cleanup_answer_ struct answer b = ask(f, "POST", CONFIGMAPS "?fieldValidation=Warn", json);
    assert_code(b, 201);
    assert_string_equal(json_str(json_path(b.body, "data", "k")), "last");
    assert_non_null(strstr(strbuf_str(&b.headers), "299 - \"duplicate field \\\"data.k\\\"\""));
    assert_null(strstr(strbuf_str(&b.headers), "duplicate field \\\"unknownMember\\\""));
    _cleanup_answer_ struct answer c = ask_as(f, "PATCH", CONFIGMAPS "/c?fieldManager=me", APPLY, "application/json",
                                              "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\n\"metadata\":{\"name\":"
                                              "\"c\"},\"data\":{\"k\":\"1\",\n\"k\":\"2\"}}");
    assert_code(c, 201);
    assert_string_equal(json_str(json_path(c.body, "data", "k")), "2");
    assert_non_null(strstr(strbuf_str(&c.headers), "299 - \"line 3: key \\\"k\\\" already set in map\""));
}

static void ignore_is_silent(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *yaml = named(yaml_body, "why"), *json = named(json_body, "j");
    _cleanup_answer_ struct answer a =
        ask_as(f, "POST", CONFIGMAPS "?fieldValidation=Ignore", YAML, "application/json", yaml);
    _cleanup_answer_ struct answer b = ask(f, "POST", CONFIGMAPS "?fieldValidation=Ignore", json);
    assert_code(a, 201);
    assert_code(b, 201);
    assert_null(strcasestr(strbuf_str(&a.headers), "\r\nWarning:"));
    assert_null(strcasestr(strbuf_str(&b.headers), "\r\nWarning:"));
    assert_string_equal(json_str(json_path(a.body, "data", "k")), "last");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(strict_refuses, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(warn_says_so, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(ignore_is_silent, fixture_setup_local, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
