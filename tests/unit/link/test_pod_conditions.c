/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the node tells of a pod, and what others say of it, in one status. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "orchestrator/link/pod_conditions.h"
#include "podium/base/alloc.h"

static struct json *parse(const char *quoted) {
    _cleanup_free_ char *text = xstrdup(quoted);
    struct json *v = NULL;

    for (char *p = text; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    assert_int_equal(json_parse(text, strlen(text), NULL, &v, NULL), 0);
    return v;
}

static const char *status_of(const struct json *status, const char *type) {
    const struct json *list = json_get(status, "conditions");

    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_str_or(json_get(json_at(list, i), "type"), ""), type) == 0)
            return json_str(json_get(json_at(list, i), "status"));
    return NULL;
}

#define POD(conditions)                                                                                                \
    "{'spec':{'readinessGates':[{'conditionType':'x/gate'}]},'status':{'conditions':[" conditions "]}}"
#define C(type, value) "{'type':'" type "','status':'" value "'}"

/* The node's document may be old: others' conditions are those of the store, not those it has seen. */
static void others_stay(void **state) {
    _cleanup_json_ struct json *pod =
        parse(POD(C("PodScheduled", "True") "," C("x/gate", "True") "," C("Ready", "False")));
    _cleanup_json_ struct json *told =
        parse("{'phase':'Running','conditions':[" C("Ready", "True") "," C("Initialized", "True") "," C(
            "PodScheduled", "False") "," C("x/gate", "False") "," C("x/removed", "True") "," C("DisruptionTarget",
                                                                                               "True") "]}");
    _cleanup_json_ struct json *s = pod_status_to_write(pod, told);

    assert_string_equal(status_of(s, "Ready"), "True");
    assert_string_equal(status_of(s, "Initialized"), "True");
    assert_string_equal(status_of(s, "PodScheduled"), "True");
    assert_string_equal(status_of(s, "x/gate"), "True");
    assert_null(status_of(s, "x/removed"));
    assert_string_equal(status_of(s, "DisruptionTarget"), "True"); /* the node may be first to say it */
    assert_string_equal(json_str(json_get(s, "phase")), "Running");
    assert_string_equal(status_of(told, "x/gate"), "False"); /* not changed */
}

static void what_the_node_hears(void **state) {
    static const struct {
        const char *old, *now;
        bool news;
    } cases[] = {
        {POD(C("Ready", "True")), POD(C("Ready", "False")), true},
        {POD(C("Ready", "False")), POD(C("Ready", "True")), false},
        {POD(C("Ready", "False")), POD(C("Ready", "False") "," C("x/gate", "True")), true},
        {POD(C("x/gate", "True")), POD(C("x/gate", "False")), true},
        {POD(C("x/gate", "True")), POD(C("x/gate", "True") "," C("x/other", "True")), false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_json_ struct json *old = parse(cases[i].old), *now = parse(cases[i].now);
        assert_int_equal(pod_status_is_news(old, now), cases[i].news);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(others_stay), cmocka_unit_test(what_the_node_hears)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
