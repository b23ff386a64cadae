/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/openapi.h"
#include "orchestrator/object/resources.h"

static const char prefix[] = "#/components/schemas/";

/* Every reference leads somewhere. */
static void check_references(const struct json *v, const struct json *schemas) {
    const char *ref = json_str(json_get(v, "$ref"));
    if (ref) {
        assert_int_equal(strncmp(ref, prefix, strlen(prefix)), 0);
        assert_non_null(json_get(schemas, ref + strlen(prefix)));
    }
    for (size_t i = 0; i < json_len(v); i++)
        check_references(json_is_array(v) ? json_at(v, i) : json_value_at(v, i), schemas);
}

static void test_every_group(void **state) {
    size_t n;
    const struct resource *all = resources_all(&n);
    for (size_t i = 0; i < n; i++) {
        if (i && strcmp(all[i].api_version, all[i - 1].api_version) == 0)
            continue;
        _cleanup_json_ struct json *doc = openapi_v3_document(all[i].group, all[i].version);
        assert_non_null(doc);
        check_references(doc, json_path(doc, "components", "schemas"));
    }
    assert_null(openapi_v3_document("apps", "v9"));
    assert_null(openapi_v3_document("nothing", "v1"));
}

static bool has_parameter(const struct json *operation, const char *name) {
    const struct json *list = json_get(operation, "parameters");
    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_str_or(json_get(json_at(list, i), "name"), ""), name) == 0)
            return true;
    return false;
}

/* What kubectl looks for before it lets the server validate. */
static void test_patch_operation(void **state) {
    _cleanup_json_ struct json *doc = openapi_v3_document("apps", "v1");
    const struct json *path = json_path(doc, "paths", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}");
    const struct json *patch = json_get(path, "patch");
    assert_true(has_parameter(patch, "fieldValidation"));
    assert_true(has_parameter(patch, "dryRun"));
    assert_true(has_parameter(path, "namespace"));
    assert_string_equal(json_str(json_get(patch, "x-kubernetes-action")), "patch");
    const struct json *gvk = json_get(patch, "x-kubernetes-group-version-kind");
    assert_string_equal(json_str(json_get(gvk, "kind")), "Deployment");
    assert_string_equal(json_str(json_get(gvk, "group")), "apps");
    assert_non_null(json_path(doc, "paths", "/apis/apps/v1/deployments", "get"));
    const struct json *scale =
        json_path(doc, "paths", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale", "get");
    assert_string_equal(json_str(json_path(scale, "x-kubernetes-group-version-kind", "group")), "autoscaling");
    assert_non_null(json_path(doc, "components", "schemas", "io.k8s.api.autoscaling.v1.Scale"));
}

static void test_schemas(void **state) {
    _cleanup_json_ struct json *doc = openapi_v3_document("", "v1");
    const struct json *schemas = json_path(doc, "components", "schemas");
    const struct json *containers =
        json_path(json_get(schemas, "io.k8s.api.core.v1.PodSpec"), "properties", "containers");
    assert_string_equal(json_str(json_get(containers, "type")), "array");
    assert_string_equal(json_str(json_get(containers, "x-kubernetes-patch-merge-key")), "name");
    assert_string_equal(json_str(json_get(containers, "x-kubernetes-patch-strategy")), "merge");
    assert_string_equal(json_str(json_get(containers, "x-kubernetes-list-type")), "map");
    assert_string_equal(json_str(json_at(json_path(json_get(schemas, "io.k8s.api.core.v1.PodSpec"), "required"), 0)),
                        "containers");
    const struct json *pod = json_get(schemas, "io.k8s.api.core.v1.Pod");
    assert_string_equal(json_str(json_get(json_at(json_get(pod, "x-kubernetes-group-version-kind"), 0), "kind")),
                        "Pod");
    assert_non_null(json_get(schemas, "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"));
    assert_non_null(json_get(schemas, "io.k8s.apimachinery.pkg.api.resource.Quantity"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_group),
        cmocka_unit_test(test_patch_operation),
        cmocka_unit_test(test_schemas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
