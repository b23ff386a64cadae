/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Flags as people type them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "orchestrator/cli/args.h"
#include "podium/base/alloc.h"

static const struct flag global[] = {
    {"namespace", 'n', FLAG_VALUE, NULL, "NAME", ""},
    {"all-namespaces", 'A', FLAG_BOOL, NULL, NULL, ""},
    FLAG_END,
};
static const struct flag own[] = {
    {"stdin", 'i', FLAG_BOOL, NULL, NULL, ""},       {"tty", 't', FLAG_BOOL, NULL, NULL, ""},
    {"wait", 0, FLAG_BOOL, NULL, NULL, ""},          {"dry-run", 0, FLAG_OPTIONAL, "client", "WHERE", ""},
    {"filename", 'f', FLAG_VALUE, NULL, "FILE", ""}, {"replicas", 0, FLAG_VALUE, NULL, "N", ""},
    {"timeout", 0, FLAG_VALUE, NULL, "TIME", ""},    FLAG_END,
};

#define PARSE(a, err, ...)                                                                                             \
    args_parse((int) ARRAY_LEN(((char *[]){__VA_ARGS__})), (char *[]){__VA_ARGS__}, global, own, &(a), &(err))

static void flags_stand_anywhere(void **state) {
    struct args a;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    assert_int_equal(PARSE(a, err, "-n", "one", "pods", "--wait=false", "web", "-A"), 0);
    assert_string_equal(args_str(&a, "namespace"), "one");
    assert_false(args_bool(&a, "wait", true));
    assert_true(args_bool(&a, "all-namespaces", false));
    assert_int_equal(strv_len(a.words), 2);
    assert_string_equal(a.words[1], "web");
    args_finish(&a);
}

static void letters_in_all_their_forms(void **state) {
    struct args a;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    assert_int_equal(PARSE(a, err, "-it", "-none", "-f=a", "-f", "-"), 0);
    assert_true(args_bool(&a, "stdin", false) && args_bool(&a, "tty", false));
    assert_string_equal(args_str(&a, "namespace"), "one");
    assert_string_equal(args_all(&a, "filename")[0], "a");
    assert_string_equal(args_str(&a, "filename"), "-");
    args_finish(&a);
}

static void behind_two_dashes_nothing_is_a_flag(void **state) {
    struct args a;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    assert_int_equal(PARSE(a, err, "web", "--", "ls", "-n", "--", "x"), 0);
    assert_true(a.has_rest);
    assert_int_equal(strv_len(a.rest), 4);
    assert_string_equal(a.rest[1], "-n");
    assert_null(args_str(&a, "namespace"));
    args_finish(&a);
}

static void an_optional_value_needs_its_equals_sign(void **state) {
    struct args a;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    assert_int_equal(PARSE(a, err, "--dry-run", "server"), 0);
    assert_string_equal(args_str(&a, "dry-run"), "client");
    assert_string_equal(a.words[0], "server");
    args_finish(&a);
    assert_int_equal(PARSE(a, err, "--dry-run=server"), 0);
    assert_string_equal(args_str(&a, "dry-run"), "server");
    args_finish(&a);
}

static void mistakes_are_explained(void **state) {
    static const struct {
        char *word;
        const char *says;
    } cases[] = {
        {"--filenme=x", "did you mean --filename?"}, {"--filename", "needs an argument"}, {"-x", "shorthand flag: 'x'"},
        {"--wait=perhaps", "true or false"},         {"-n", "needs an argument: -n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct args a;
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        assert_int_equal(PARSE(a, err, cases[i].word), -EINVAL);
        assert_non_null(strstr(error_text(&err, -EINVAL), cases[i].says));
        args_finish(&a);
    }
}

static void numbers_and_times(void **state) {
    struct args a;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int64_t n = 7, usec = 7;
    assert_int_equal(PARSE(a, err, "--replicas=3", "--timeout=1m30s"), 0);
    assert_int_equal(args_int(&a, "replicas", 0, 10, &n, &err), 0);
    assert_int_equal(n, 3);
    assert_int_equal(args_int(&a, "replicas", 4, 10, &n, &err), -EINVAL);
    assert_int_equal(args_duration(&a, "timeout", &usec, &err), 0);
    assert_int_equal(usec, 90000000);
    args_finish(&a);
    error_clear(&err);
    assert_int_equal(PARSE(a, err, "--timeout=-1", "--replicas=3x"), 0);
    assert_int_equal(args_duration(&a, "timeout", &usec, &err), 0);
    assert_int_equal(usec, -1000000);
    assert_int_equal(args_int(&a, "replicas", 0, 10, &n, &err), -EINVAL);
    args_finish(&a);
}

static void typos_are_near(void **state) {
    assert_int_equal(edit_distance("gett", "get"), 1);
    assert_int_equal(edit_distance("", "abc"), 3);
    assert_int_equal(edit_distance("same", "same"), 0);
    assert_int_equal(edit_distance("kitten", "sitting"), 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_stand_anywhere),
        cmocka_unit_test(letters_in_all_their_forms),
        cmocka_unit_test(behind_two_dashes_nothing_is_a_flag),
        cmocka_unit_test(an_optional_value_needs_its_equals_sign),
        cmocka_unit_test(mistakes_are_explained),
        cmocka_unit_test(numbers_and_times),
        cmocka_unit_test(typos_are_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
