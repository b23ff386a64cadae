/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/apply_patch.h"
#include "orchestrator/object/patch.h"
#include "tests/unit/object/quoted_json.h"

/* patch NULL: only the result counts. */
struct apply_case {
    const char *last, *live, *wanted, *patch, *result;
};

static void check(const char *type, const struct apply_case *c) {
    const struct type_info *t = type ? type_by_name(type) : NULL;
    _cleanup_json_ struct json *last = quoted_json(c->last), *live = quoted_json(c->live),
                               *wanted = quoted_json(c->wanted), *expected = quoted_json(c->result), *got = NULL;
    _cleanup_json_ struct json *patch = apply_patch(t, json_is_null(last) ? NULL : last, live, wanted);
    _cleanup_free_ char *text = json_to_text(patch);
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    if (c->patch) {
        _cleanup_json_ struct json *p = quoted_json(c->patch);
        if (!json_equal(p, patch))
            fail_msg("wanted %s\n patch is %s\n not %s", c->wanted, text, c->patch);
    }
    int r = t ? patch_strategic(t, live, patch, &got, &err) : patch_merge(live, patch, &got, &err);
    if (r < 0)
        fail_msg("%s: %s", text, err.text);
    if (!json_equal(got, expected)) {
        _cleanup_free_ char *result = json_to_text(got);
        fail_msg("wanted %s\n patch %s\n gives %s", c->wanted, text, result);
    }
    /* what was applied needs nothing more */
    _cleanup_json_ struct json *again = apply_patch(t, wanted, got, wanted);
    assert_int_equal(json_len(again), 0);
}

static void what_is_wanted_is_set_and_what_others_set_stays(void **state) {
    static const struct apply_case cases[] = {
        {"{'spec':{'replicas':1}}", "{'spec':{'replicas':1,'paused':true}}", "{'spec':{'replicas':1}}", "{}",
         "{'spec':{'replicas':1,'paused':true}}"},
        {"{'spec':{}}", "{'spec':{'replicas':5}}", "{'spec':{'minReadySeconds':3}}", "{'spec':{'minReadySeconds':3}}",
         "{'spec':{'replicas':5,'minReadySeconds':3}}"},
        {"{'spec':{'replicas':1,'minReadySeconds':3}}", "{'spec':{'replicas':5,'minReadySeconds':3}}", "{'spec':{}}",
         "{'spec':{'replicas':null,'minReadySeconds':null}}", "{'spec':{}}"},
        {"{'spec':{'minReadySeconds':3}}", "{'spec':{}}", "{'spec':{}}", "{}", "{'spec':{}}"},
        {"null", "{'metadata':{'labels':{'a':'1'}}}", "{'metadata':{'labels':{'b':'2'}}}",
         "{'metadata':{'labels':{'b':'2'}}}", "{'metadata':{'labels':{'a':'1','b':'2'}}}"},
        {"null", "{'spec':{'replicas':3}}", "{'spec':{'replicas':null}}", "{'spec':{'replicas':null}}", "{'spec':{}}"},
        {"null", "{'spec':{'strategy':{'type':'RollingUpdate','rollingUpdate':{'maxSurge':1}}}}",
         "{'spec':{'strategy':{'type':'Recreate'}}}",
         "{'spec':{'strategy':{'$retainKeys':['type'],'type':'Recreate'}}}",
         "{'spec':{'strategy':{'type':'Recreate'}}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check("apps.v1.Deployment", &cases[i]);
}

static void lists_are_patched_by_key(void **state) {
    static const struct apply_case cases[] = {
        {"{'containers':[{'name':'a','image':'1'}]}",
         "{'containers':[{'name':'s'},{'name':'a','image':'1','imagePullPolicy':'Always'}]}",
         "{'containers':[{'name':'a','image':'2'}]}",
         "{'$setElementOrder/containers':[{'name':'a'}],'containers':[{'name':'a','image':'2'}]}",
         "{'containers':[{'name':'s'},{'name':'a','image':'2','imagePullPolicy':'Always'}]}"},
        {"{'containers':[{'name':'a'},{'name':'b'}]}", "{'containers':[{'name':'a'},{'name':'b'},{'name':'s'}]}",
         "{'containers':[{'name':'b'}]}",
         "{'$setElementOrder/containers':[{'name':'b'}],'containers':[{'$patch':'delete','name':'a'}]}",
         "{'containers':[{'name':'b'},{'name':'s'}]}"},
        {"{'containers':[{'name':'a'},{'name':'b'}]}", "{'containers':[{'name':'a'},{'name':'b'}]}",
         "{'containers':[{'name':'b'},{'name':'a'}]}", NULL, "{'containers':[{'name':'b'},{'name':'a'}]}"},
        {"{'containers':[{'name':'a'},{'name':'c'}]}", "{'containers':[{'name':'a'},{'name':'c'}]}",
         "{'containers':[{'name':'a'},{'name':'b'},{'name':'c'}]}", NULL,
         "{'containers':[{'name':'a'},{'name':'b'},{'name':'c'}]}"},
        {"{'volumes':[{'name':'v','emptyDir':{}}]}", "{'volumes':[{'name':'v','emptyDir':{}}]}",
         "{'volumes':[{'name':'v','hostPath':{'path':'/x'}}]}", NULL,
         "{'volumes':[{'name':'v','hostPath':{'path':'/x'}}]}"},
        {"{'tolerations':[{'key':'a'}]}", "{'tolerations':[{'key':'a'},{'key':'z'}]}", "{'tolerations':[{'key':'b'}]}",
         "{'tolerations':[{'key':'b'}]}", "{'tolerations':[{'key':'b'}]}"},
        {"{'containers':[{'name':'a','env':[{'name':'X','value':'1'},{'name':'Y','value':'1'}]}]}",
         "{'containers':[{'name':'a','env':[{'name':'X','value':'1'},{'name':'Y','value':'1'}]}]}",
         "{'containers':[{'name':'a','env':[{'name':'Y','value':'2'}]}]}", NULL,
         "{'containers':[{'name':'a','env':[{'name':'Y','value':'2'}]}]}"},
        {"{'containers':[{'name':'a'}]}", "{'containers':[{'name':'a'}]}", "{}", "{'containers':null}", "{}"},
        {"{'containers':[{'name':'a'}]}", "{'containers':[{'name':'a'},{'name':'s'}]}", "{'containers':[]}", NULL,
         "{'containers':[{'name':'s'}]}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check("core.v1.PodSpec", &cases[i]);
}

static void a_key_that_comes_twice_replaces_the_list(void **state) {
    static const struct apply_case c = {"null", "{'ports':[{'port':53,'protocol':'UDP'}]}",
                                        "{'ports':[{'port':53,'protocol':'UDP'},{'port':53,'protocol':'TCP'}]}", NULL,
                                        "{'ports':[{'port':53,'protocol':'UDP'},{'port':53,'protocol':'TCP'}]}"};
    check("core.v1.ServiceSpec", &c);
}

static void sets_of_scalars(void **state) {
    static const struct apply_case c = {
        "{'metadata':{'finalizers':['a','b']}}", "{'metadata':{'finalizers':['a','b','x']}}",
        "{'metadata':{'finalizers':['b','c']}}",
        "{'metadata':{'$setElementOrder/finalizers':['b','c'],'$deleteFromPrimitiveList/finalizers':['a'],"
        "'finalizers':['c']}}",
        "{'metadata':{'finalizers':['b','c','x']}}"};
    check("core.v1.Pod", &c);
}

static void custom_resources_get_merge_patches(void **state) {
    static const struct apply_case cases[] = {
        {"{'spec':{'a':1,'b':[1]}}", "{'spec':{'a':1,'b':[1],'x':1}}", "{'spec':{'b':[1,2]}}",
         "{'spec':{'a':null,'b':[1,2]}}", "{'spec':{'b':[1,2],'x':1}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(NULL, &cases[i]);
}

static void the_annotation_records_what_was_applied(void **state) {
    _cleanup_json_ struct json *doc = quoted_json("{'kind':'Pod','metadata':{'name':'x'}}");
    _cleanup_json_ struct json *once = apply_annotated(doc), *twice = apply_annotated(once);
    _cleanup_json_ struct json *last = apply_last_applied(twice), *none = apply_last_applied(doc);
    assert_string_equal(json_str(json_path(once, "metadata", "annotations", APPLY_LAST_APPLIED)),
                        "{\"kind\":\"Pod\",\"metadata\":{\"name\":\"x\"}}\n");
    assert_null(json_path(last, "metadata", "annotations", APPLY_LAST_APPLIED));
    assert_null(none);
    assert_null(json_path(doc, "metadata", "annotations"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wanted_is_set_and_what_others_set_stays),
        cmocka_unit_test(lists_are_patched_by_key),
        cmocka_unit_test(a_key_that_comes_twice_replaces_the_list),
        cmocka_unit_test(sets_of_scalars),
        cmocka_unit_test(custom_resources_get_merge_patches),
        cmocka_unit_test(the_annotation_records_what_was_applied),
    };
    return cmocka_run_group_tests_name("apply_patch", tests, NULL, NULL);
}
