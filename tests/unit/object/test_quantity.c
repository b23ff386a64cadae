/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/quantity.h"

static void canonical_form_is_upstreams(void **state) {
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"0", "0"},
        {"0Gi", "0"},
        {"-0", "0"},
        {"1", "1"},
        {"+5", "5"},
        {"1000m", "1"},
        {"1500m", "1500m"},
        {"0.5", "500m"},
        {".5", "500m"},
        {"5.", "5"},
        {"1.5", "1500m"},
        {"100m", "100m"},
        {"1000", "1k"},
        {"1024", "1024"},
        {"12345678", "12345678"},
        {"1000000", "1M"},
        {"100000000000000000000", "100E"},
        {"1024Mi", "1Gi"},
        {"1.5Gi", "1536Mi"},
        {"1025Ki", "1025Ki"},
        {"0.5Ki", "512"},
        {"0.1Mi", "104857600m"},
        {"1Ei", "1Ei"},
        {"100Ei", "9223372036854775807"},
        {"-1Mi", "-1Mi"},
        {"-0.5", "-500m"},
        {"2e3", "2e3"},
        {"2E3", "2e3"},
        {"1e4", "10e3"},
        {"1000e0", "1e3"},
        {"5e-1", "500e-3"},
        {"1.2e2", "120"},
        {"1E", "1E"},
        {"0.0000000001", "1n"},
        {"1.0000000001", "1000000001n"},
        {"1u", "1u"},
        {"1e-12", "1e-9"},
        {"0001", "1"},
        {"3.0Mi", "3Mi"},
        {"1k", "1k"},
        {"0.001k", "1"},
        {"1024Ki", "1Mi"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_free_ char *got = quantity_canonical(cases[i].in);
        assert_non_null(got);
        assert_string_equal(got, cases[i].out);
        _cleanup_free_ char *again = quantity_canonical(got);
        assert_string_equal(again, cases[i].out);
    }
}

static void malformed_is_refused_with_upstreams_words(void **state) {
    static const char *const bad[] = {"",      "-",    ".",   "Gi",  "1.1.M",  "1+1.0M",  "0.1mi",
                                      "0.1am", "aoeu", ".5i", "1i",  "-3.01i", "-3.01e-", "1 ",
                                      " 1",    "1KiB", "1e",  "--1", "1e1.5",  "1Kie3"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t v;
        assert_int_equal(quantity_parse(bad[i], &v, NULL), -EINVAL);
        assert_null(quantity_canonical(bad[i]));
    }
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int64_t v;
    assert_int_equal(quantity_parse("1i", &v, &err), -EINVAL);
    assert_string_equal(err.text, "unable to parse quantity's suffix");
    assert_int_equal(quantity_parse("x", &v, &err), -EINVAL);
    assert_string_equal(err.text, "quantities must match the regular expression "
                                  "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
}

static void values_round_away_from_zero_and_saturate(void **state) {
    static const struct {
        const char *in;
        int64_t value, milli;
    } cases[] = {
        {"1", 1, 1000},
        {"100m", 1, 100},
        {"1n", 1, 1},
        {"-100m", -1, -100},
        {"0.0005", 1, 1},
        {"1.0001", 2, 1001},
        {"1Gi", 1073741824, 1073741824000},
        {"1.5Ki", 1536, 1536000},
        {"0.0001Ki", 1, 103},
        {"0.00000000000000000000001Ki", 1, 1},
        {"2e3", 2000, 2000000},
        {"8Ei", INT64_MAX, INT64_MAX},
        {"1e30", INT64_MAX, INT64_MAX},
        {"-1e30", INT64_MIN, INT64_MIN},
        {"1e999999999", INT64_MAX, INT64_MAX},
        {"1e-999999999", 1, 1},
        {"7Ei", 8070450532247928832, INT64_MAX},
        {"9223372036854775807", INT64_MAX, INT64_MAX},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t v;
        assert_int_equal(quantity_parse(cases[i].in, &v, NULL), 0);
        assert_true(v == cases[i].value);
        assert_int_equal(quantity_parse_milli(cases[i].in, &v, NULL), 0);
        assert_true(v == cases[i].milli);
    }
}

static void documents_hold_strings_or_numbers(void **state) {
    _cleanup_json_ struct json *s = json_string("250m"), *i = json_int(3), *d = json_double(0.5),
                               *bad = json_string("x"), *null = json_null();
    assert_int_equal(quantity_json_milli(s, -1), 250);
    assert_int_equal(quantity_json(s, -1), 1);
    assert_int_equal(quantity_json_milli(i, -1), 3000);
    assert_int_equal(quantity_json_milli(d, -1), 500);
    assert_int_equal(quantity_json(bad, 7), 7);
    assert_int_equal(quantity_json(null, 7), 7);
    assert_int_equal(quantity_json(NULL, 7), 7);
}

static void amounts_compare_by_value(void **state) {
    assert_int_equal(quantity_compare("1", "1000m"), 0);
    assert_int_equal(quantity_compare("1Gi", "1G"), 1);
    assert_int_equal(quantity_compare("1n", "2n"), -1);
    assert_int_equal(quantity_compare("-1", "0"), -1);
}

static void values_are_formatted(void **state) {
    static const struct {
        int64_t v;
        const char *binary, *milli;
    } cases[] = {{0, "0", "0"},
                 {1023, "1023", "1023m"},
                 {1ll << 30, "1Gi", "1073741824m"},
                 {2000, "2000", "2"},
                 {1500, "1500", "1500m"},
                 {-2048, "-2Ki", "-2048m"},
                 {1000000, "1000000", "1k"},
                 {1536ll << 20, "1536Mi", "1610612736m"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_free_ char *b = quantity_format_binary(cases[i].v), *m = quantity_format_milli(cases[i].v);
        assert_string_equal(b, cases[i].binary);
        assert_string_equal(m, cases[i].milli);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_form_is_upstreams),
        cmocka_unit_test(malformed_is_refused_with_upstreams_words),
        cmocka_unit_test(values_round_away_from_zero_and_saturate),
        cmocka_unit_test(documents_hold_strings_or_numbers),
        cmocka_unit_test(amounts_compare_by_value),
        cmocka_unit_test(values_are_formatted),
    };
    return cmocka_run_group_tests_name("quantity", tests, NULL, NULL);
}
