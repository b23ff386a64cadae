/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sets of fields: their text, their arithmetic, and how they come from documents. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/managed/field_merge.h"
#include "orchestrator/object/managed/field_walk.h"
#include "tests/unit/object/quoted_json.h"

static char *quoted(const char *text) {
    char *copy = xstrdup(text);
    for (char *p = copy; *p; p++)
        if (*p == '`')
            *p = '"';
    return copy;
}

/* ' stands for ", ` for an escaped one. The text goes into the arena. */
static struct fset set_of(struct fset_arena *a, const char *text) {
    _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
    struct fset s;
    for (; *text; text++)
        strbuf_adds(&b, *text == '\'' ? "\"" : *text == '`' ? "\\\"" : (char[]){*text, 0});
    const char *kept = fset_copy(a, strbuf_str(&b), b.len);
    if (fset_read(a, kept, b.len, false, &s, NULL) < 0)
        fail_msg("no set: %s", b.data);
    return s;
}

static void assert_set(const struct fset *s, const char *expected) {
    _cleanup_strbuf_ struct strbuf got = STRBUF_INIT, want = STRBUF_INIT;
    fset_write(s, &got);
    for (; *expected; expected++)
        strbuf_adds(&want, *expected == '\'' ? "\"" : *expected == '`' ? "\\\"" : (char[]){*expected, 0});
    assert_string_equal(strbuf_str(&got), strbuf_str(&want));
}

#define _cleanup_arena_ _cleanup_(fset_arena_finish)

static void text_goes_both_ways(void **state) {
    static const char *const texts[] = {
        "{}",
        "{'f:a':{}}",
        "{'f:a':{'.':{},'f:b':{},'k:{`name`:`x`}':{'.':{},'f:name':{}}},'f:c':{'v:`f`':{},'i:3':{}}}",
        "{'f:with `quotes` and \\\\':{},'f:züge':{}}",
        "{'k:{`port`:80,`protocol`:`TCP`}':{},'k:{`port`:443,`protocol`:`TCP`}':{}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        _cleanup_arena_ struct fset_arena a = {0};
        struct fset s = set_of(&a, texts[i]);
        assert_set(&s, texts[i]);
    }
}

static void elements_are_sorted_and_distinct(void **state) {
    _cleanup_arena_ struct fset_arena a = {0};
    struct fset s =
        set_of(&a, "{'v:1':{},'f:b':{},'f:a':{'f:y':{}},'k:{`p`:443}':{},'k:{`p`:80}':{},'f:a':{'f:x':{}}}");
    assert_set(&s, "{'f:a':{'f:x':{},'f:y':{}},'f:b':{},'k:{`p`:80}':{},'k:{`p`:443}':{},'v:1':{}}");
}

static void foreign_texts_are_checked_and_made_canonical(void **state) {
    static const struct {
        const char *text, *result; /* NULL: refused */
    } cases[] = {
        {"{'k:{ `b`:1, `a` : `x` }':{'.':{}}}", "{'k:{`a`:`x`,`b`:1}':{}}"},
        {"{'v:`\\u00e4`':{}}", "{'v:`ä`':{}}"},
        {"{'k:{}':{}}", "{'k:{}':{}}"},
        {"{'k:[1]':{}}", NULL},
        {"{'k:{`a`:{}}':{}}", NULL},
        {"{'k:nonsense':{}}", NULL},
        {"{'v:{}':{}}", NULL},
        {"{'i:x':{}}", NULL},
        {"{'x:y':{}}", NULL},
        {"{'f':{}}", NULL},
        {"{'f:a':1}", NULL},
        {"{'f:a':{}}x", NULL},
        {"{'f:a':{}", NULL},
        {"{'f:a'", NULL},
        {"{'f:a\\", NULL},
        {"{'.':{'f:a':{}}}", NULL},
        {"[]", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_arena_ struct fset_arena a = {0};
        _cleanup_strbuf_ struct strbuf b = STRBUF_INIT;
        struct fset s;
        for (const char *p = cases[i].text; *p; p++)
            strbuf_adds(&b, *p == '\'' ? "\"" : *p == '`' ? "\\\"" : (char[]){*p, 0});
        int r = fset_read(&a, strbuf_str(&b), b.len, true, &s, NULL);
        if (r != (cases[i].result ? 0 : -EINVAL))
            fail_msg("%s: %d", cases[i].text, r);
        if (cases[i].result)
            assert_set(&s, cases[i].result);
    }
    _cleanup_arena_ struct fset_arena a = {0};
    _cleanup_strbuf_ struct strbuf deep = STRBUF_INIT;
    struct fset s;
    for (int i = 0; i < 1000; i++)
        strbuf_adds(&deep, "{\"f:a\":");
    assert_int_equal(fset_read(&a, deep.data, deep.len, true, &s, NULL), -ELOOP);
}

static void sets_are_added_subtracted_and_cut(void **state) {
    static const struct {
        const char *x, *y, *both, *less, *cut;
    } cases[] = {
        {"{'f:a':{},'f:b':{}}", "{'f:b':{},'f:c':{}}", "{'f:a':{},'f:b':{},'f:c':{}}", "{'f:a':{}}", "{'f:b':{}}"},
        /* path by path: owning a thing is not owning what is in it */
        {"{'f:a':{'.':{},'f:x':{}}}", "{'f:a':{}}", "{'f:a':{'.':{},'f:x':{}}}", "{'f:a':{'f:x':{}}}", "{'f:a':{}}"},
        {"{'f:a':{'f:x':{}}}", "{'f:a':{}}", "{'f:a':{'.':{},'f:x':{}}}", "{'f:a':{'f:x':{}}}", "{}"},
        {"{'f:a':{'f:x':{},'f:y':{}}}", "{'f:a':{'f:x':{}}}", "{'f:a':{'f:x':{},'f:y':{}}}", "{'f:a':{'f:y':{}}}",
         "{'f:a':{'f:x':{}}}"},
        {"{'f:a':{'f:x':{}}}", "{'f:a':{'f:x':{}}}", "{'f:a':{'f:x':{}}}", "{}", "{'f:a':{'f:x':{}}}"},
        {"{}", "{'f:a':{}}", "{'f:a':{}}", "{}", "{}"},
        {"{'k:{`p`:80}':{},'k:{`p`:443}':{}}", "{'k:{`p`:443}':{}}", "{'k:{`p`:80}':{},'k:{`p`:443}':{}}",
         "{'k:{`p`:80}':{}}", "{'k:{`p`:443}':{}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_arena_ struct fset_arena a = {0};
        struct fset x = set_of(&a, cases[i].x), y = set_of(&a, cases[i].y);
        struct fset both = fset_union(&a, &x, &y), less = fset_difference(&a, &x, &y),
                    cut = fset_intersection(&a, &x, &y);
        assert_set(&both, cases[i].both);
        assert_set(&less, cases[i].less);
        assert_set(&cut, cases[i].cut);
        assert_true(fset_equal(&x, &x));
        assert_int_equal(fset_equal(&x, &y), strcmp(cases[i].x, cases[i].y) == 0);
    }
}

static void add_path(void *userdata, const char *path) {
    strbuf_addf(userdata, "%s\n", path);
}

static void paths_read_as_upstream_prints_them(void **state) {
    _cleanup_arena_ struct fset_arena a = {0};
    _cleanup_strbuf_ struct strbuf paths = STRBUF_INIT;
    struct fset s = set_of(
        &a, "{'f:spec':{'f:replicas':{},'f:ports':{'.':{},'k:{`port`:80,`protocol`:`TCP`}':{'.':{},'f:name':{}}},"
            "'f:list':{'i:0':{},'v:`x`':{}}}}");
    fset_each(&s, add_path, &paths);
    assert_string_equal(paths.data, ".spec.ports\n.spec.replicas\n.spec.list[=\"x\"]\n.spec.list[0]\n"
                                    ".spec.ports[port=80,protocol=\"TCP\"]\n"
                                    ".spec.ports[port=80,protocol=\"TCP\"].name\n");
}

/* --- from documents --- */

static struct shape pod_shape(void) {
    return shape_of_type(type_of_kind("v1", "Pod"));
}

static void a_document_is_owned_by_its_type(void **state) {
    static const struct {
        const char *type, *doc, *set;
    } cases[] = {
        {"core.v1.ConfigMap", "{'data':{'a':'1','b':''}}", "{'f:data':{'f:a':{},'f:b':{}}}"},
        {"core.v1.ConfigMap", "{'data':{}}", "{'f:data':{}}"},
        {"core.v1.ConfigMap", "{'data':null}", "{'f:data':{}}"},
        /* maps of keys, keys with defaults */
        {"core.v1.Container", "{'name':'c','ports':[{'containerPort':80},{'containerPort':80,'protocol':'UDP'}]}",
         "{'f:name':{},'f:ports':{'k:{`containerPort`:80,`protocol`:`TCP`}':{'.':{},'f:containerPort':{}},"
         "'k:{`containerPort`:80,`protocol`:`UDP`}':{'.':{},'f:containerPort':{},'f:protocol':{}}}}"},
        /* atomic lists and maps, atomic types */
        {"core.v1.PodSpec", "{'nodeSelector':{'a':'b'},'tolerations':[{'key':'x'}]}",
         "{'f:nodeSelector':{},'f:tolerations':{}}"},
        {"core.v1.PodSpec", "{'imagePullSecrets':[{'name':'a'}]}", "{'f:imagePullSecrets':{'k:{`name`:`a`}':{}}}"},
        {"apps.v1.DeploymentSpec", "{'selector':{'matchLabels':{'a':'b'}},'replicas':null}",
         "{'f:replicas':{},'f:selector':{}}"},
        {"meta.v1.ObjectMeta", "{'finalizers':['b/x','a/x'],'ownerReferences':[{'uid':'1','kind':'x'}]}",
         "{'f:finalizers':{'v:`a/x`':{},'v:`b/x`':{}},'f:ownerReferences':{'k:{`uid`:`1`}':{}}}"},
        {"core.v1.ResourceRequirements", "{'limits':{'cpu':'1'}}", "{'f:limits':{'f:cpu':{}}}"},
        /* nothing is known of raw values: maps by member, lists whole */
        {"apps.v1.ControllerRevision", "{'data':{'a':{'b':[1,2]},'c':1}}",
         "{'f:data':{'f:a':{'.':{},'f:b':{}},'f:c':{}}}"},
        /* what comes twice is owned as one whole */
        {"core.v1.PodSpec", "{'containers':[{'name':'a','image':'x'},{'name':'a'}]}",
         "{'f:containers':{'k:{`name`:`a`}':{}}}"},
        {"core.v1.PodSpec", "{'containers':[]}", "{}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_arena_ struct fset_arena a = {0};
        _cleanup_json_ struct json *doc = quoted_json(cases[i].doc);
        struct fset s = fields_of(&a, shape_of_type(type_by_name(cases[i].type)), doc);
        assert_set(&s, cases[i].set);
    }
}

static void comparing_tells_what_became_of_each_field(void **state) {
    static const struct {
        const char *from, *to, *added, *modified, *removed;
    } cases[] = {
        {"{'metadata':{'labels':{'a':'1','b':'1'}}}", "{'metadata':{'labels':{'b':'2','c':'1'}}}",
         "{'f:metadata':{'f:labels':{'f:c':{}}}}", "{'f:metadata':{'f:labels':{'f:b':{}}}}",
         "{'f:metadata':{'f:labels':{'f:a':{}}}}"},
        {"{}", "{'metadata':{'labels':{'a':'1'}}}", "{'f:metadata':{'.':{},'f:labels':{'.':{},'f:a':{}}}}", "{}", "{}"},
        {"{'metadata':{'labels':{'a':'1'}}}", "{'metadata':{}}", "{}", "{}",
         "{'f:metadata':{'f:labels':{'.':{},'f:a':{}}}}"},
        {"{'spec':{'containers':[{'name':'a','image':'1'},{'name':'b'}]}}",
         "{'spec':{'containers':[{'name':'c'},{'name':'a','image':'2'}]}}",
         "{'f:spec':{'f:containers':{'k:{`name`:`c`}':{'.':{},'f:name':{}}}}}",
         "{'f:spec':{'f:containers':{'k:{`name`:`a`}':{'f:image':{}}}}}",
         "{'f:spec':{'f:containers':{'k:{`name`:`b`}':{'.':{},'f:name':{}}}}}"},
        {"{'spec':{'containers':[{'name':'a'},{'name':'b'}]}}", "{'spec':{'containers':[{'name':'b'},{'name':'a'}]}}",
         "{}", "{}", "{}"},
        {"{'spec':{'nodeSelector':{'a':'1'}}}", "{'spec':{'nodeSelector':{'a':'2'}}}", "{}",
         "{'f:spec':{'f:nodeSelector':{}}}", "{}"},
        {"{'spec':{'nodeSelector':{'a':'1'}}}", "{'spec':{}}", "{}", "{}", "{'f:spec':{'f:nodeSelector':{}}}"},
        {"{'spec':{'securityContext':{}}}", "{'spec':{'securityContext':{'runAsUser':1}}}",
         "{'f:spec':{'f:securityContext':{'f:runAsUser':{}}}}", "{}", "{}"},
        {"{'spec':{'hostname':'a'}}", "{'spec':{'hostname':null}}", "{}", "{'f:spec':{'f:hostname':{}}}", "{}"},
        {"{'metadata':{'finalizers':['a']}}", "{'metadata':{'finalizers':['a','b']}}",
         "{'f:metadata':{'f:finalizers':{'v:`b`':{}}}}", "{}", "{}"},
        /* the same amount, written in two ways */
        {"{'spec':{'containers':[{'name':'a','resources':{'limits':{'cpu':'1'}}}]}}",
         "{'spec':{'containers':[{'name':'a','resources':{'limits':{'cpu':'1000m'}}}]}}", "{}", "{}", "{}"},
        /* twice before and after, once before, once after */
        {"{'spec':{'containers':[{'name':'a','image':'1'},{'name':'a'}]}}",
         "{'spec':{'containers':[{'name':'a','image':'2'},{'name':'a'}]}}", "{}",
         "{'f:spec':{'f:containers':{'k:{`name`:`a`}':{}}}}", "{}"},
        {"{'spec':{'containers':[{'name':'a'}]}}", "{'spec':{'containers':[{'name':'a'},{'name':'a'}]}}",
         "{'f:spec':{'f:containers':{'k:{`name`:`a`}':{}}}}", "{}",
         "{'f:spec':{'f:containers':{'k:{`name`:`a`}':{'.':{},'f:name':{}}}}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_arena_ struct fset_arena a = {0};
        _cleanup_json_ struct json *from = quoted_json(cases[i].from), *to = quoted_json(cases[i].to);
        struct field_changes c = fields_compare(&a, pod_shape(), from, to);
        assert_set(&c.added, cases[i].added);
        assert_set(&c.modified, cases[i].modified);
        assert_set(&c.removed, cases[i].removed);
    }
}

/* What a cluster of 1.32 recorded for such objects. */
static void creators_own_what_an_empty_object_has_not(void **state) {
    static const struct {
        const char *kind, *doc, *set;
    } cases[] = {
        {"Pod",
         "{'metadata':{'creationTimestamp':null,'labels':{'a':'b'}},'spec':{'containers':[{'name':'c','resources':{}}],"
         "'securityContext':{}},'status':{}}",
         "{'f:metadata':{'f:labels':{'.':{},'f:a':{}}},'f:spec':{'f:containers':{'k:{`name`:`c`}':{'.':{},'f:name':{},"
         "'f:resources':{}}},'f:securityContext':{}}}"},
        {"Service",
         "{'metadata':{'creationTimestamp':null},'spec':{'ports':[{'port':80,'protocol':'TCP','targetPort':80}],"
         "'selector':{'a':'b'}},'status':{'loadBalancer':{}}}",
         "{'f:spec':{'f:ports':{'.':{},'k:{`port`:80,`protocol`:`TCP`}':{'.':{},'f:port':{},'f:protocol':{},"
         "'f:targetPort':{}}},'f:selector':{}}}"},
        {"ConfigMap", "{'metadata':{'generateName':'x-'},'data':{'a':'b'}}",
         "{'f:data':{'.':{},'f:a':{}},'f:metadata':{'f:generateName':{}}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_arena_ struct fset_arena a = {0};
        _cleanup_json_ struct json *doc = quoted_json(cases[i].doc);
        struct fset s = fields_created(&a, type_of_kind("v1", cases[i].kind), doc);
        assert_set(&s, cases[i].set);
    }
}

static void misfits_are_named(void **state) {
    static const struct {
        const char *doc, *why;
    } cases[] = {
        {"{'spec':{'containers':[{'name':'a'},{'name':'a'}]}}",
         ".spec.containers: duplicate entries for key [name=`a`]"},
        {"{'spec':{'containers':[{'image':'a'}]}}",
         ".spec.containers: element 0: associative list with keys has an element that omits key field `name` (and "
         "doesn't have default value)"},
        {"{'spec':{'containers':[{'name':'a','ports':[{'containerPort':1},{'containerPort':1,'protocol':'TCP'}]}]}}",
         ".spec.containers[name=`a`].ports: duplicate entries for key [containerPort=1,protocol=`TCP`]"},
        {"{'metadata':{'finalizers':['a','a']}}", ".metadata.finalizers: duplicate entries for key [=`a`]"},
        {"{'spec':{'tolerations':[{},{}]}}", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_arena_ struct fset_arena a = {0};
        _cleanup_json_ struct json *doc = quoted_json(cases[i].doc);
        _cleanup_strbuf_ struct strbuf why = STRBUF_INIT;
        _cleanup_free_ char *expected = quoted(cases[i].why);
        assert_int_equal(fields_check(&a, pod_shape(), doc, &why), !*expected);
        assert_string_equal(strbuf_str(&why), expected);
    }
}

/* --- documents from documents --- */

static void merging_keeps_what_only_one_side_has(void **state) {
    static const struct {
        const char *live, *config, *result;
    } cases[] = {
        {"{'metadata':{'labels':{'a':'1'}}}", "{'metadata':{'labels':{'b':'2'}}}",
         "{'metadata':{'labels':{'a':'1','b':'2'}}}"},
        {"{'metadata':{'labels':{'a':'1'}}}", "{'metadata':{'labels':{}}}", "{'metadata':{'labels':{'a':'1'}}}"},
        {"{'spec':{'nodeSelector':{'a':'1'}}}", "{'spec':{'nodeSelector':{'b':'1'}}}",
         "{'spec':{'nodeSelector':{'b':'1'}}}"},
        {"{'spec':{'containers':[{'name':'a','image':'1'},{'name':'b'}]}}",
         "{'spec':{'containers':[{'name':'a','args':['x']}]}}",
         "{'spec':{'containers':[{'name':'a','image':'1','args':['x']},{'name':'b'}]}}"},
        /* the order is config's, what is only live keeps its place between shared items */
        {"{'metadata':{'finalizers':['a','b','c','d']}}", "{'metadata':{'finalizers':['d','b']}}",
         "{'metadata':{'finalizers':['a','c','d','b']}}"},
        {"{'metadata':{'finalizers':['a','x','b']}}", "{'metadata':{'finalizers':['a','n','b']}}",
         "{'metadata':{'finalizers':['a','x','n','b']}}"},
        {"{'metadata':{'finalizers':['x','a']}}", "{'metadata':{'finalizers':['n','a']}}",
         "{'metadata':{'finalizers':['x','n','a']}}"},
        {"{'spec':{'tolerations':[{'key':'a'}]}}", "{'spec':{'tolerations':[]}}", "{'spec':{'tolerations':[]}}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_arena_ struct fset_arena a = {0};
        _cleanup_json_ struct json *live = quoted_json(cases[i].live), *before = quoted_json(cases[i].live),
                                   *config = quoted_json(cases[i].config), *result = quoted_json(cases[i].result);
        _cleanup_json_ struct json *got = fields_merge(&a, pod_shape(), live, config);
        _cleanup_free_ char *text = json_to_text(got);
        if (!json_equal(got, result))
            fail_msg("%s\n gives %s", cases[i].config, text);
        assert_true(json_equal(live, before));
    }
}

static void removing_takes_members_and_nothing_else(void **state) {
    static const struct {
        const char *doc, *set, *result;
    } cases[] = {
        {"{'metadata':{'labels':{'a':'1','b':'1'}}}", "{'f:metadata':{'f:labels':{'f:a':{}}}}",
         "{'metadata':{'labels':{'b':'1'}}}"},
        {"{'metadata':{'labels':{'a':'1'}}}", "{'f:metadata':{'f:labels':{'f:a':{}}}}", "{'metadata':{'labels':null}}"},
        {"{'spec':{'containers':[{'name':'a','image':'1'},{'name':'b'}]}}",
         "{'f:spec':{'f:containers':{'k:{`name`:`b`}':{},'k:{`name`:`a`}':{'f:image':{}}}}}",
         "{'spec':{'containers':[{'name':'a'}]}}"},
        {"{'metadata':{'finalizers':['a','b']}}", "{'f:metadata':{'f:finalizers':{'v:`a`':{}}}}",
         "{'metadata':{'finalizers':['b']}}"},
        {"{'a':1,'b':2}", "{'f:c':{}}", "{'a':1,'b':2}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_arena_ struct fset_arena a = {0};
        _cleanup_json_ struct json *doc = quoted_json(cases[i].doc), *result = quoted_json(cases[i].result);
        struct fset set = set_of(&a, cases[i].set);
        _cleanup_json_ struct json *got = fields_remove(&a, pod_shape(), doc, &set);
        assert_true(json_equal(got, result));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_goes_both_ways),
        cmocka_unit_test(elements_are_sorted_and_distinct),
        cmocka_unit_test(foreign_texts_are_checked_and_made_canonical),
        cmocka_unit_test(sets_are_added_subtracted_and_cut),
        cmocka_unit_test(paths_read_as_upstream_prints_them),
        cmocka_unit_test(a_document_is_owned_by_its_type),
        cmocka_unit_test(comparing_tells_what_became_of_each_field),
        cmocka_unit_test(creators_own_what_an_empty_object_has_not),
        cmocka_unit_test(misfits_are_named),
        cmocka_unit_test(merging_keeps_what_only_one_side_has),
        cmocka_unit_test(removing_takes_members_and_nothing_else),
    };
    return cmocka_run_group_tests_name("field_set", tests, NULL, NULL);
}
