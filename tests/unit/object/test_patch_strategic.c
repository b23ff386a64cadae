/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/patch.h"
#include "tests/unit/object/quoted_json.h"

struct merge_case {
    const char *doc, *patch, *result; /* NULL: -EINVAL */
};

static void check(const char *type, const struct merge_case *cases, size_t n) {
    const struct type_info *t = type_by_name(type);
    assert_non_null(t);
    for (size_t i = 0; i < n; i++) {
        _cleanup_json_ struct json *doc = quoted_json(cases[i].doc), *before = quoted_json(cases[i].doc),
                                   *patch = quoted_json(cases[i].patch), *patch_before = quoted_json(cases[i].patch),
                                   *got = NULL;
        _cleanup_(error_clear) struct error err = ERROR_INIT;
        int r = patch_strategic(t, doc, patch, &got, &err);
        assert_true(json_equal(doc, before));
        assert_true(json_equal(patch, patch_before));
        if (!cases[i].result) {
            assert_int_equal(r, -EINVAL);
            assert_non_null(err.text);
            continue;
        }
        if (r < 0)
            fail_msg("%s: %s", cases[i].patch, err.text);
        _cleanup_json_ struct json *expected = quoted_json(cases[i].result);
        if (!json_equal(got, expected)) {
            _cleanup_free_ char *text = json_to_text(got);
            fail_msg("%s\n gives %s\n not %s", cases[i].patch, text, cases[i].result);
        }
    }
}

static void lists_of_maps_merge_by_key(void **state) {
    static const struct merge_case cases[] = {
        {"{'containers':[{'name':'a','image':'1'},{'name':'b','image':'1'}]}",
         "{'containers':[{'name':'b','image':'2'}]}",
         "{'containers':[{'name':'a','image':'1'},{'name':'b','image':'2'}]}"},
        {"{'containers':[{'name':'a','image':'1','env':[{'name':'X','value':'1'},{'name':'Y','value':'1'}]}]}",
         "{'containers':[{'name':'a','env':[{'name':'Y','value':'2'},{'name':'Z','value':'3'}]}]}",
         "{'containers':[{'name':'a','image':'1','env':[{'name':'X','value':'1'},{'name':'Y','value':'2'},"
         "{'name':'Z','value':'3'}]}]}"},
        /* without an order, what only the patch has comes first, as upstream does it */
        {"{'containers':[{'name':'a'}]}", "{'containers':[{'name':'b'}]}",
         "{'containers':[{'name':'b'},{'name':'a'}]}"},
        {"{'containers':[{'name':'a','command':['x','y']}]}", "{'containers':[{'name':'a','command':['z']}]}",
         "{'containers':[{'name':'a','command':['z']}]}"},
        {"{'containers':[{'name':'a','ports':[{'containerPort':80,'protocol':'TCP'}]}]}",
         "{'containers':[{'name':'a','ports':[{'containerPort':80,'name':'http'}]}]}",
         "{'containers':[{'name':'a','ports':[{'containerPort':80,'protocol':'TCP','name':'http'}]}]}"},
        {"{'containers':[{'name':'a'}]}", "{'containers':[{'image':'x'}]}", NULL},
        {"{'containers':[{'name':'a'}]}", "{'containers':['x']}", NULL},
        {"{'containers':[{'name':'a','image':'1'}]}", "{'containers':[{'name':'a','image':null}]}",
         "{'containers':[{'name':'a'}]}"},
        {"{'tolerations':[{'key':'a'}]}", "{'tolerations':[{'key':'b'}]}", "{'tolerations':[{'key':'b'}]}"},
    };
    check("core.v1.PodSpec", cases, ARRAY_LEN(cases));
}

static void maps_merge_and_nulls_delete(void **state) {
    static const struct merge_case cases[] = {
        {"{'metadata':{'labels':{'a':'1','b':'2'}}}", "{'metadata':{'labels':{'b':null,'c':'3'}}}",
         "{'metadata':{'labels':{'a':'1','c':'3'}}}"},
        {"{'metadata':{}}", "{'metadata':{'labels':{'a':null,'b':'1'}}}", "{'metadata':{'labels':{'b':'1'}}}"},
        {"{'spec':{'replicas':1}}", "{'spec':null}", "{}"},
        {"{'spec':{'replicas':1}}", "{'spec':{'replicas':2,'paused':true}}", "{'spec':{'replicas':2,'paused':true}}"},
        {"{}", "[1]", NULL},
        {"{'spec':{'template':{'spec':{'nodeSelector':{'a':'1'}}}}}",
         "{'spec':{'template':{'spec':{'nodeSelector':{'b':'2'}}}}}",
         "{'spec':{'template':{'spec':{'nodeSelector':{'a':'1','b':'2'}}}}}"},
        {"{'unknown':{'list':[1,2],'map':{'a':1}}}", "{'unknown':{'list':[3],'map':{'b':2}}}",
         "{'unknown':{'list':[3],'map':{'a':1,'b':2}}}"},
    };
    check("apps.v1.Deployment", cases, ARRAY_LEN(cases));
}

static void lists_of_scalars_are_sets_where_the_table_says_so(void **state) {
    static const struct merge_case cases[] = {
        {"{'metadata':{'finalizers':['a','b']}}", "{'metadata':{'finalizers':['b','c']}}",
         "{'metadata':{'finalizers':['a','b','c']}}"},
        {"{'metadata':{'finalizers':['a','b','c']}}", "{'metadata':{'$deleteFromPrimitiveList/finalizers':['b','x']}}",
         "{'metadata':{'finalizers':['a','c']}}"},
        {"{'metadata':{}}", "{'metadata':{'$deleteFromPrimitiveList/finalizers':['b']}}", "{'metadata':{}}"},
        {"{'metadata':{'finalizers':['a','b']}}",
         "{'metadata':{'$setElementOrder/finalizers':['c','b'],'$deleteFromPrimitiveList/finalizers':['a'],"
         "'finalizers':['c']}}",
         "{'metadata':{'finalizers':['c','b']}}"},
        {"{'metadata':{'finalizers':['a']}}", "{'metadata':{'$deleteFromPrimitiveList/finalizers':'a'}}", NULL},
    };
    check("core.v1.Pod", cases, ARRAY_LEN(cases));
}

static void directives_delete_and_replace(void **state) {
    static const struct merge_case cases[] = {
        {"{'containers':[{'name':'a'},{'name':'b'}]}", "{'containers':[{'name':'a','$patch':'delete'}]}",
         "{'containers':[{'name':'b'}]}"},
        {"{'containers':[{'name':'a'},{'name':'b'}]}", "{'containers':[{'$patch':'delete','name':'zz'}]}",
         "{'containers':[{'name':'a'},{'name':'b'}]}"},
        {"{'containers':[{'name':'a'},{'name':'b'}]}", "{'containers':[{'$patch':'replace'},{'name':'c'}]}",
         "{'containers':[{'name':'c'}]}"},
        {"{'containers':[{'name':'a','image':'1','tty':true}]}",
         "{'containers':[{'name':'a','$patch':'replace','image':'2'}]}", "{'containers':[]}"},
        {"{'containers':[{'name':'a'}]}", "{'containers':[{'$patch':'delete'}]}", NULL},
        {"{'containers':[{'name':'a'}]}", "{'containers':[{'$patch':'merge','name':'a'}]}", NULL},
        {"{'containers':[{'name':'a'}]}", "{'containers':[{'$patch':'frob','name':'a'}]}", NULL},
        {"{'securityContext':{'runAsUser':1,'runAsGroup':1}}", "{'securityContext':{'$patch':'replace','runAsUser':2}}",
         "{'securityContext':{'runAsUser':2}}"},
        {"{'securityContext':{'runAsUser':1}}", "{'securityContext':{'$patch':'delete'}}", "{'securityContext':{}}"},
        {"{'securityContext':{'runAsUser':1}}", "{'securityContext':{'$patch':'merge','runAsGroup':2}}",
         "{'securityContext':{'runAsUser':1,'runAsGroup':2}}"},
        {"{'securityContext':{'runAsUser':1}}", "{'securityContext':{'$patch':3}}", NULL},
        {"{}", "{'securityContext':{'$patch':'replace','runAsUser':2}}", "{'securityContext':{'runAsUser':2}}"},
        {"{}", "{'securityContext':{'$patch':'delete'},'containers':[{'name':'x','$patch':'delete'},{'name':'y'}]}",
         "{'containers':[{'name':'y'}]}"},
    };
    check("core.v1.PodSpec", cases, ARRAY_LEN(cases));
}

static void retain_keys_clears_what_is_not_named(void **state) {
    static const struct merge_case cases[] = {
        {"{'spec':{'strategy':{'type':'RollingUpdate','rollingUpdate':{'maxSurge':1}}}}",
         "{'spec':{'strategy':{'$retainKeys':['type'],'type':'Recreate'}}}",
         "{'spec':{'strategy':{'type':'Recreate'}}}"},
        {"{'spec':{'template':{'spec':{'volumes':[{'name':'v','emptyDir':{}}]}}}}",
         "{'spec':{'template':{'spec':{'volumes':[{'name':'v','$retainKeys':['name','hostPath'],'emptyDir':null,"
         "'hostPath':{'path':'/x'}}]}}}}",
         "{'spec':{'template':{'spec':{'volumes':[{'name':'v','hostPath':{'path':'/x'}}]}}}}"},
        {"{'spec':{'strategy':{}}}", "{'spec':{'strategy':{'$retainKeys':['x'],'type':'Recreate'}}}", NULL},
        {"{'spec':{'strategy':{}}}", "{'spec':{'strategy':{'$retainKeys':'type'}}}", NULL},
        {"{'spec':{}}", "{'spec':{'strategy':{'$retainKeys':['type'],'type':'Recreate'}}}",
         "{'spec':{'strategy':{'type':'Recreate'}}}"},
    };
    check("apps.v1.Deployment", cases, ARRAY_LEN(cases));
}

static void set_element_order_is_kept(void **state) {
    static const struct merge_case cases[] = {
        /* the order alone */
        {"{'containers':[{'name':'a'},{'name':'b'},{'name':'c'}]}",
         "{'$setElementOrder/containers':[{'name':'c'},{'name':'a'},{'name':'b'}]}",
         "{'containers':[{'name':'c'},{'name':'a'},{'name':'b'}]}"},
        /* a new element between two old ones, as kubectl apply sends it */
        {"{'containers':[{'name':'a','image':'1'},{'name':'c','image':'1'}]}",
         "{'$setElementOrder/containers':[{'name':'a'},{'name':'b'},{'name':'c'}],"
         "'containers':[{'name':'b','image':'2'}]}",
         "{'containers':[{'name':'a','image':'1'},{'name':'b','image':'2'},{'name':'c','image':'1'}]}"},
        /* what only the server has (an injected sidecar) keeps its place */
        {"{'containers':[{'name':'s'},{'name':'a'},{'name':'b'}]}",
         "{'$setElementOrder/containers':[{'name':'b'},{'name':'a'}]}",
         "{'containers':[{'name':'s'},{'name':'b'},{'name':'a'}]}"},
        {"{'containers':[{'name':'a'},{'name':'s'},{'name':'b'}]}",
         "{'$setElementOrder/containers':[{'name':'a'},{'name':'b'},{'name':'n'}],'containers':[{'name':'n'}]}",
         "{'containers':[{'name':'a'},{'name':'s'},{'name':'b'},{'name':'n'}]}"},
        /* with a deletion */
        {"{'containers':[{'name':'a'},{'name':'b'}]}",
         "{'$setElementOrder/containers':[{'name':'b'}],'containers':[{'$patch':'delete','name':'a'}]}",
         "{'containers':[{'name':'b'}]}"},
        /* deleted and added at once: as kubectl's own merge places them */
        {"{'containers':[{'name':'d'},{'name':'c'},{'name':'a'},{'name':'b'}]}",
         "{'$setElementOrder/containers':[{'name':'a'},{'name':'e'},{'name':'d'}],"
         "'containers':[{'name':'e'},{'$patch':'delete','name':'c'}]}",
         "{'containers':[{'name':'a'},{'name':'b'},{'name':'e'},{'name':'d'}]}"},
        /* nothing there yet */
        {"{}", "{'$setElementOrder/containers':[{'name':'a'}],'containers':[{'name':'a'}]}",
         "{'containers':[{'name':'a'}]}"},
        {"{}", "{'$setElementOrder/containers':[{'name':'a'}]}", "{}"},
        /* the patch contradicts its own order */
        {"{'containers':[{'name':'a'}]}",
         "{'$setElementOrder/containers':[{'name':'a'},{'name':'b'}],'containers':[{'name':'b'},{'name':'a'}]}", NULL},
        {"{'containers':[{'name':'a'}]}", "{'$setElementOrder/containers':[{'name':'a'}],'containers':[{'name':'zz'}]}",
         NULL},
        {"{'containers':[{'name':'a'}]}", "{'$setElementOrder/containers':'a'}", NULL},
    };
    check("core.v1.PodSpec", cases, ARRAY_LEN(cases));
}

static void without_a_type_lists_are_replaced(void **state) {
    _cleanup_json_ struct json *doc = quoted_json("{'a':[1,2],'m':{'x':1}}"),
                               *patch = quoted_json("{'a':[3],'m':{'y':2}}"),
                               *expected = quoted_json("{'a':[3],'m':{'x':1,'y':2}}"), *got = NULL;
    assert_int_equal(patch_strategic(NULL, doc, patch, &got, NULL), 0);
    assert_true(json_equal(got, expected));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_of_maps_merge_by_key),
        cmocka_unit_test(maps_merge_and_nulls_delete),
        cmocka_unit_test(lists_of_scalars_are_sets_where_the_table_says_so),
        cmocka_unit_test(directives_delete_and_replace),
        cmocka_unit_test(retain_keys_clears_what_is_not_named),
        cmocka_unit_test(set_element_order_is_kept),
        cmocka_unit_test(without_a_type_lists_are_replaced),
    };
    return cmocka_run_group_tests_name("patch_strategic", tests, NULL, NULL);
}
