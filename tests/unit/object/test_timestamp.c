/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/timestamp.h"

static void times_are_written_in_utc(void **state) {
    char out[TIMESTAMP_SIZE];
    timestamp_format(1767323045000000ull, out);
    assert_string_equal(out, "2026-01-02T03:04:05Z");
    timestamp_format_micro(1767323045000042ull, out);
    assert_string_equal(out, "2026-01-02T03:04:05.000042Z");
    timestamp_format(0, out);
    assert_string_equal(out, "1970-01-01T00:00:00Z");
    timestamp_format(UINT64_MAX, out);
    assert_string_equal(out, "9999-12-31T23:59:59Z");
}

static void times_are_read_with_offset_and_fraction(void **state) {
    static const struct {
        const char *in;
        uint64_t usec;
    } cases[] = {
        {"2026-01-02T03:04:05Z", 1767323045000000ull},           {"2026-01-02T05:04:05+02:00", 1767323045000000ull},
        {"2026-01-01T22:34:05-04:30", 1767323045000000ull},      {"2026-01-02T03:04:05.5Z", 1767323045500000ull},
        {"2026-01-02T03:04:05.123456789Z", 1767323045123456ull}, {"2024-02-29T00:00:00Z", 1709164800000000ull},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t v = 0;
        assert_int_equal(timestamp_parse(cases[i].in, &v), 0);
        assert_true(v == cases[i].usec);
    }
}

static void malformed_times_are_refused(void **state) {
    static const char *const bad[] = {
        "",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02 03:04:05Z",
        "2026-13-02T03:04:05Z",
        "2026-00-02T03:04:05Z",
        "2025-02-29T03:04:05Z",
        "2026-01-02T24:04:05Z",
        "2026-01-02T03:04:60Z",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05+0200",
        "2026-01-02T03:04:05Zx",
        "2026-1-02T03:04:05Z",
        "2026-01-02t03:04:05z",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t v;
        assert_int_equal(timestamp_parse(bad[i], &v), -EINVAL);
    }
    uint64_t v;
    assert_int_equal(timestamp_parse("0001-01-01T00:00:00Z", &v), -ERANGE);
}

static void ages_read_as_kubectl_shows_them(void **state) {
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {
        {-5, "<invalid>"},     {-1, "0s"},        {0, "0s"},
        {119, "119s"},         {120, "2m"},       {125, "2m5s"},
        {599, "9m59s"},        {600, "10m"},      {10799, "179m"},
        {10800, "3h"},         {10860, "3h1m"},   {28799, "7h59m"},
        {28800, "8h"},         {172799, "47h"},   {172800, "2d"},
        {176400, "2d1h"},      {691199, "7d23h"}, {691200, "8d"},
        {63071999, "729d"},    {63072000, "2y"},  {63158400, "2y1d"},
        {252287999, "7y364d"}, {252288000, "8y"}, {315360000, "10y"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[TIMESTAMP_SIZE];
        duration_human(cases[i].seconds, out);
        assert_string_equal(out, cases[i].text);
    }
}

static void go_durations_round_trip(void **state) {
    static const struct {
        const char *in;
        int64_t ns;
        const char *out;
    } cases[] = {
        {"0", 0, "0s"},
        {"1h2m3.5s", 3723500000000ll, "1h2m3.5s"},
        {"90s", 90000000000ll, "1m30s"},
        {"1.5h", 5400000000000ll, "1h30m0s"},
        {"150ms", 150000000ll, "150ms"},
        {"-2m", -120000000000ll, "-2m0s"},
        {"1us", 1000, "1\xc2\xb5s"},
        {"1.5\xc2\xb5s", 1500, "1.5\xc2\xb5s"},
        {"7ns", 7, "7ns"},
        {"+5s", 5000000000ll, "5s"},
        {".5s", 500000000ll, "500ms"},
        {"9223372036854775807ns", INT64_MAX, "2562047h47m16.854775807s"},
        {"-9223372036854775808ns", INT64_MIN, "-2562047h47m16.854775808s"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ns = 1;
        assert_int_equal(duration_parse_go(cases[i].in, &ns), 0);
        assert_true(ns == cases[i].ns);
        char out[TIMESTAMP_SIZE];
        duration_format_go(ns, out);
        assert_string_equal(out, cases[i].out);
    }
    static const char *const bad[] = {
        "", "-", "5", "s", "1d", ".s", "1s2", "1 s", "9223372036854775808ns", "99999999999h"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t ns;
        assert_int_equal(duration_parse_go(bad[i], &ns), -EINVAL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_written_in_utc),    cmocka_unit_test(times_are_read_with_offset_and_fraction),
        cmocka_unit_test(malformed_times_are_refused), cmocka_unit_test(ages_read_as_kubectl_shows_them),
        cmocka_unit_test(go_durations_round_trip),
    };
    return cmocka_run_group_tests_name("timestamp", tests, NULL, NULL);
}
