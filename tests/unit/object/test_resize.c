/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may change of a pod through pods/resize, and what is made of the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "orchestrator/object/strategy.h"
#include "orchestrator/object/validation.h"
#include "tests/unit/object/quoted_json.h"

#define POD(meta, spec, containers, status)                                                                            \
    "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'p','namespace':'d','resourceVersion':'1'" meta                \
    "},'spec':{" spec "'containers':[" containers "]},'status':{" status "}}"
#define ONE(resources) POD("", "", "{'name':'a','image':'i','resources':{" resources "}}", "'qosClass':'Burstable'")

static struct json *resized(const struct resource *r, const struct json *old, const char *text) {
    struct json *doc = quoted_json(text);
    schema_default("v1", "Pod", &doc);
    strategy_prepare_update(r, "resize", &doc, old);
    return doc;
}

static const struct resize_case {
    const char *before, *after, *errors;
} cases[] = {
    {ONE("'requests':{'cpu':'1'}"), ONE("'requests':{'cpu':'2'}"), ""},
    {ONE("'requests':{'cpu':'1'}"), ONE("'requests':{'cpu':'2','memory':'1Gi'},'limits':{'memory':'2Gi'}"), ""},
    {ONE("'requests':{'cpu':'1','memory':'1Gi'}"), ONE("'requests':{'cpu':'2'}"),
     "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed;"},
    {ONE("'requests':{'cpu':'1'},'limits':{'cpu':'2','memory':'1Gi'}"),
     ONE("'requests':{'cpu':'1','memory':'1Gi'},'limits':{'cpu':'2'}"),
     "spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed;"},
    {ONE("'requests':{'cpu':'1'}"), ONE("'requests':{'cpu':'1'},'limits':{'cpu':'1','memory':'1Gi'}"),
     "spec: Invalid value: \"Burstable\": Pod QOS Class may not change as a result of resizing;"},
    {ONE("'requests':{'cpu':'1','ephemeral-storage':'1Gi'}"), ONE("'requests':{'cpu':'1','ephemeral-storage':'2Gi'}"),
     "spec: Forbidden: only cpu and memory resources are mutable;"},
    {ONE("'requests':{'cpu':'1'}"), ONE("'requests':{'cpu':'3'},'limits':{'cpu':'2'}"),
     "spec.containers[0].resources.requests: Invalid value: \"3\": must be less than or equal to cpu limit of 2;"},
    {POD(",'annotations':{'kubernetes.io/config.mirror':'x'}", "'nodeName':'m',",
         "{'name':'a','image':'i','resources':{'requests':{'cpu':'1'}}}", "'qosClass':'Burstable'"),
     POD(",'annotations':{'kubernetes.io/config.mirror':'x'}", "'nodeName':'m',",
         "{'name':'a','image':'i','resources':{'requests':{'cpu':'2'}}}", "'qosClass':'Burstable'"),
     ": Forbidden: static pods cannot be resized;"},
    {POD("", "'os':{'name':'windows'},", "{'name':'a','image':'i','resources':{'requests':{'cpu':'1'}}}",
         "'qosClass':'Burstable'"),
     POD("", "'os':{'name':'windows'},", "{'name':'a','image':'i','resources':{'requests':{'cpu':'2'}}}",
         "'qosClass':'Burstable'"),
     ": Forbidden: windows pods cannot be resized;"},
    {POD("", "", "{'name':'a','image':'i','resources':{'requests':{'cpu':'1'}}}",
         "'qosClass':'Burstable','containerStatuses':[{'name':'a','state':{'running':{}}}]"),
     ONE("'requests':{'cpu':'2'}"), "spec: Forbidden: Pod running on node without support for resize;"},
    {POD("", "", "{'name':'a','image':'i','resources':{'requests':{'cpu':'1'}}}",
         "'qosClass':'Burstable','containerStatuses':[{'name':'a','state':{'running':{}},'resources':{}}]"),
     ONE("'requests':{'cpu':'2'}"), ""},
};

static void test_rules(void **state) {
    const struct resource *r = resource_by_kind("", "v1", "Pod");

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_json_ struct json *old = quoted_json(cases[i].before);
        schema_default("v1", "Pod", &old);
        _cleanup_json_ struct json *doc = resized(r, old, cases[i].after);
        _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
        _cleanup_strbuf_ struct strbuf got = STRBUF_INIT;
        validate_update(r, "resize", doc, old, &errors);
        for (size_t k = 0; k < errors.n; k++)
            strbuf_addf(&got, "%s: %s;", errors.items[k].field, errors.items[k].message);
        if (strcmp(strbuf_str(&got), cases[i].errors) != 0)
            fail_msg("%s\n wanted %s\n    got %s", cases[i].after, cases[i].errors, strbuf_str(&got));
    }
}

/* Everything else of the body is what it was; a change is a proposal. */
static void test_strategy(void **state) {
    const struct resource *r = resource_by_kind("", "v1", "Pod");
    _cleanup_json_ struct json *old = quoted_json(POD(
        "", "'nodeName':'n',", "{'name':'a','image':'i','resources':{'requests':{'cpu':'1'}}},{'name':'b','image':'j'}",
        "'phase':'Running'"));
    schema_default("v1", "Pod", &old);
    _cleanup_json_ struct json *doc = resized(
        r, old,
        POD("", "'nodeName':'m',",
            "{'name':'a','image':'other','resizePolicy':[{'resourceName':'cpu','restartPolicy':'RestartContainer'}],"
            "'resources':{'requests':{'cpu':'2'}}},{'name':'b','image':'j'}",
            "'phase':'Failed'"));
    _cleanup_json_ struct json *wanted = json_ref(old);
    struct json **a = json_edit_at(json_edit(json_edit(&wanted, "spec"), "containers"), 0);
    json_set_path(a, json_string("2"), "resources", "requests", "cpu");
    json_set(a, "resizePolicy", quoted_json("[{'resourceName':'cpu','restartPolicy':'RestartContainer'}]"));
    json_set_path(&wanted, json_string("Proposed"), "status", "resize");
    assert_true(json_equal(doc, wanted));

    _cleanup_json_ struct json *same = resized(
        r, old,
        POD("", "", "{'name':'a','image':'i','resources':{'requests':{'cpu':'1'}}},{'name':'b','image':'j'}", ""));
    assert_true(json_equal(same, old));
}

static void test_policies(void **state) {
    static const struct {
        const char *restart, *policies, *errors;
    } policies[] = {
        {"Always",
         "{'resourceName':'cpu','restartPolicy':'RestartContainer'},{'resourceName':'memory','restartPolicy':"
         "'NotRequired'}",
         ""},
        {"Always",
         "{'resourceName':'cpu','restartPolicy':'NotRequired'},{'resourceName':'cpu','restartPolicy':'NotRequired'}",
         "spec.containers[0].resizePolicy[1]: Duplicate value: \"cpu\";"},
        {"Always", "{'resourceName':'storage','restartPolicy':'Perhaps'}",
         "spec.containers[0].resizePolicy: Unsupported value: \"storage\": supported values: \"cpu\", \"memory\";"
         "spec.containers[0].resizePolicy: Unsupported value: \"Perhaps\": supported values: \"NotRequired\", "
         "\"RestartContainer\";"},
        {"Never", "{'resourceName':'cpu','restartPolicy':'RestartContainer'}",
         "spec.containers[0].resizePolicy: Invalid value: \"RestartContainer\": must be 'NotRequired' when "
         "`restartPolicy` is 'Never';"},
    };

    for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
        _cleanup_free_ char *text = xasprintf("{'apiVersion':'v1','kind':'Pod','metadata':{'name':'p','namespace':'d'},"
                                              "'spec':{'restartPolicy':'%s','containers':[{'name':'a','image':'i',"
                                              "'resizePolicy':[%s]}]}}",
                                              policies[i].restart, policies[i].policies);
        _cleanup_json_ struct json *pod = quoted_json(text);
        _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
        _cleanup_strbuf_ struct strbuf got = STRBUF_INIT;
        schema_default("v1", "Pod", &pod);
        validate_create(resource_by_kind("", "v1", "Pod"), pod, &errors);
        for (size_t k = 0; k < errors.n; k++)
            strbuf_addf(&got, "%s: %s;", errors.items[k].field, errors.items[k].message);
        assert_string_equal(strbuf_str(&got), policies[i].errors);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rules), cmocka_unit_test(test_strategy),
                                       cmocka_unit_test(test_policies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
