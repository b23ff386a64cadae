/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/resources.h"
#include "orchestrator/object/schema.h"
#include "orchestrator/object/type_tables.h"

static void test_by_name(void **state) {
    static const struct {
        const char *typed, *display;
    } cases[] = {
        {"pods", "pods"},
        {"Pod", "pods"},
        {"po", "pods"},
        {"DEPLOY", "deployments.apps"},
        {"deployments.apps", "deployments.apps"},
        {"deployment.v1.apps", "deployments.apps"},
        {"pods.v1", "pods"},
        {"events", "events"},
        {"events.events.k8s.io", "events.events.k8s.io"},
        {"ev.events", "events.events.k8s.io"},
        {"roles.rbac", "roles.rbac.authorization.k8s.io"},
        {"no", "nodes"},
        {"nodes.metrics.k8s.io", "nodes.metrics.k8s.io"},
        {"hpa", "horizontalpodautoscalers.autoscaling"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct resource *r = resource_by_name(cases[i].typed);
        assert_non_null(r);
        assert_string_equal(resource_display_name(r), cases[i].display);
    }
    assert_null(resource_by_name("pods.apps"));
    assert_null(resource_by_name("nonsense"));
    assert_null(resource_by_name(""));
    assert_null(resource_by_name(NULL));
}

static void test_rows(void **state) {
    size_t n;
    const struct resource *all = resources_all(&n);
    assert_true(n > 50);
    assert_string_equal(all[0].group, "");
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(resource_by_plural(all[i].group, all[i].version, all[i].plural), &all[i]);
        assert_ptr_equal(resource_by_api_version(all[i].api_version, all[i].kind), &all[i]);
        if (strcmp(all[i].kind, "NodeProxyOptions") != 0) {
            assert_non_null(type_by_name(all[i].type));
            assert_ptr_equal(type_of_kind(all[i].api_version, all[i].kind), type_by_name(all[i].type));
        }
        if (all[i].list_kind)
            assert_non_null(type_of_kind(all[i].api_version, all[i].list_kind));
        assert_true(resource_storage(&all[i])->storage_version);
    }
}

static void test_pods(void **state) {
    const struct resource *pods = resource_by_kind("", "v1", "Pod");
    assert_non_null(pods);
    assert_true(pods->namespaced && pods->stored && pods->preferred_version && pods->unconditional_put);
    assert_false(pods->create_on_put || pods->tracks_generation);
    assert_string_equal(pods->list_kind, "PodList");
    assert_string_equal(pods->short_names[0], "po");
    assert_null(pods->short_names[1]);
    assert_string_equal(pods->categories[0], "all");
    assert_string_equal(pods->key, "pods");
    assert_int_equal(pods->verbs, VERB_GET | VERB_LIST | VERB_WATCH | VERB_CREATE | VERB_UPDATE | VERB_PATCH |
                                      VERB_DELETE | VERB_DELETECOLLECTION);
    const struct subresource *eviction = resource_subresource(pods, "eviction");
    assert_non_null(eviction);
    assert_string_equal(eviction->group, "policy");
    assert_string_equal(eviction->version, "v1");
    assert_int_equal(eviction->verbs, VERB_CREATE);
    assert_null(resource_subresource(pods, "scale"));
}

static void test_storage_versions(void **state) {
    const struct resource *v1 = resource_by_kind("autoscaling", "v1", "HorizontalPodAutoscaler");
    assert_false(v1->storage_version);
    assert_string_equal(resource_storage(v1)->version, "v2");
    const struct resource *events = resource_by_kind("events.k8s.io", "v1", "Event");
    assert_string_equal(events->key, "events");
    assert_string_equal(resource_storage(events)->group, "");
    assert_false(resource_by_kind("", "v1", "ComponentStatus")->stored);
    assert_false(resource_by_kind("metrics.k8s.io", "v1beta1", "PodMetrics")->stored);
    assert_false(resource_by_kind("authorization.k8s.io", "v1", "SelfSubjectAccessReview")->stored);
}

static void test_types(void **state) {
    for (size_t i = 0; i < type_table_len; i++) {
        assert_ptr_equal(type_by_name(type_table[i].name), &type_table[i]);
        assert_int_equal(type_table[i].id, i);
        for (size_t k = 0; k < type_table[i].n_fields; k++)
            assert_ptr_equal(type_field(&type_table[i], field_name(&type_table[i].fields[k])),
                             &type_table[i].fields[k]);
        assert_null(type_field(&type_table[i], "noSuchField"));
    }
    assert_null(type_by_name("core.v1.Nothing"));
    assert_string_equal(type_of_kind("v1", "Status")->name, "meta.v1.Status");
    assert_string_equal(type_of_kind("apps/v1", "DeleteOptions")->name, "meta.v1.DeleteOptions");
    assert_string_equal(type_of_kind("meta.k8s.io/v1", "Table")->name, "meta.v1.Table");
    assert_string_equal(type_of_kind("autoscaling/v1", "Scale")->name, "autoscaling.v1.Scale");
    assert_null(type_of_kind("apps/v1", "Pod"));
    assert_null(type_of_kind("", ""));
    assert_null(type_of_kind("v1", "PodSpec"));
    assert_null(type_of_kind("", "Status"));
    assert_null(type_of_kind("core/v1", "Pod"));
    const struct field_info *volumes = type_field(type_by_name("core.v1.PodSpec"), "volumes");
    assert_string_equal(field_patch_merge_key(volumes), "name");
    assert_true(volumes->patch_merge && volumes->patch_retain_keys);
    assert_int_equal(volumes->container, FIELD_ARRAY);
    assert_string_equal(field_object(volumes)->name, "core.v1.Volume");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_name),          cmocka_unit_test(test_rows),  cmocka_unit_test(test_pods),
        cmocka_unit_test(test_storage_versions), cmocka_unit_test(test_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
