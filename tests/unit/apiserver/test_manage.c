/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "orchestrator/apiserver/verbs/manage.h"
#include "tests/unit/object/quoted_json.h"

#define ENTRY(time, fields)                                                                                            \
    "{'manager':'m','operation':'Update','time':'" time "','fieldsType':'FieldsV1','fieldsV1':{" fields "}}"
#define DOC(time, fields, data) "{'metadata':{'managedFields':[" ENTRY(time, fields) "]},'data':{'a':'" data "'}}"

/* A write of which nothing is left (the kind's rules took it back) is none: its time does not count. */
static void times_alone_are_no_change(void **state) {
    static const struct {
        const char *now;
        bool unchanged;
    } cases[] = {
        {DOC("1", "'f:x':{}", "1"), true},  {DOC("2", "'f:x':{}", "1"), true}, {DOC("2", "'f:y':{}", "1"), false},
        {DOC("2", "'f:x':{}", "2"), false}, {"{'data':{'a':'1'}}", false},
    };
    _cleanup_json_ struct json *old = quoted_json(DOC("1", "'f:x':{}", "1"));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_json_ struct json *doc = quoted_json(cases[i].now);
        assert_int_equal(manage_is_unchanged(old, &doc), cases[i].unchanged);
        assert_int_equal(json_equal(doc, old), cases[i].unchanged);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_alone_are_no_change),
    };
    return cmocka_run_group_tests_name("manage", tests, NULL, NULL);
}
