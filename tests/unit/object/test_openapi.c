/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/openapi.h"
#include "orchestrator/object/openapi_v2.h"
#include "orchestrator/object/resources.h"

static const char prefix[] = "#/components/schemas/", prefix_v2[] = "#/definitions/";

/* Every reference leads somewhere. */
static void check_references_at(const struct json *v, const char *where, const struct json *schemas) {
    const char *ref = json_str(json_get(v, "$ref"));
    if (ref) {
        assert_int_equal(strncmp(ref, where, strlen(where)), 0);
        assert_non_null(json_get(schemas, ref + strlen(where)));
    }
    for (size_t i = 0; i < json_len(v); i++)
        check_references_at(json_is_array(v) ? json_at(v, i) : json_value_at(v, i), where, schemas);
}

static void check_references(const struct json *v, const struct json *schemas) {
    check_references_at(v, prefix, schemas);
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

/* Every field says something, the more important ones what we wrote for them. */
static void test_descriptions(void **state) {
    _cleanup_json_ struct json *doc = openapi_v3_document("apps", "v1");
    const struct json *schemas = json_path(doc, "components", "schemas");
    for (size_t i = 0; i < json_len(schemas); i++) {
        const struct json *fields = json_get(json_value_at(schemas, i), "properties");
        for (size_t k = 0; k < json_len(fields); k++)
            assert_true(strlen(json_str_or(json_get(json_value_at(fields, k), "description"), "")) > 2);
    }
    const struct json *spec = json_path(schemas, "io.k8s.api.apps.v1.DeploymentSpec", "properties");
    assert_string_equal(json_str(json_path(spec, "replicas", "description")), "How many pods are wanted. Default: 1.");
    const struct json *pod = json_path(schemas, "io.k8s.api.core.v1.PodStatus", "properties");
    assert_null(pod); /* templates have no status */
    const struct json *port = json_path(schemas, "io.k8s.api.core.v1.ContainerPort", "properties");
    assert_string_equal(json_str(json_path(port, "hostIP", "description")), "Host IP.");
}

static const char *id_of(const struct json *doc, const char *path, const char *method) {
    return json_str_or(json_path(doc, "paths", path, method, "operationId"), "");
}

/* Generated clients are named after these. */
static void test_operation_ids(void **state) {
    _cleanup_json_ struct json *core = openapi_v3_document("", "v1"), *apps = openapi_v3_document("apps", "v1"),
                               *rbac = openapi_v3_document("rbac.authorization.k8s.io", "v1");
    assert_string_equal(id_of(core, "/api/v1/pods", "get"), "listCoreV1PodForAllNamespaces");
    assert_string_equal(id_of(core, "/api/v1/namespaces/{namespace}/pods", "get"), "listCoreV1NamespacedPod");
    assert_string_equal(id_of(core, "/api/v1/namespaces/{namespace}/pods", "delete"),
                        "deleteCoreV1CollectionNamespacedPod");
    assert_string_equal(id_of(core, "/api/v1/nodes/{name}/status", "patch"), "patchCoreV1NodeStatus");
    assert_string_equal(id_of(apps, "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale", "put"),
                        "replaceAppsV1NamespacedDeploymentScale");
    assert_string_equal(id_of(rbac, "/apis/rbac.authorization.k8s.io/v1/clusterroles", "post"),
                        "createRbacAuthorizationV1ClusterRole");
    const struct json *read = json_path(core, "paths", "/api/v1/namespaces/{namespace}/pods/{name}", "get");
    assert_string_equal(json_str_or(json_get(read, "description"), ""), "read the specified Pod");
    assert_string_equal(json_str_or(json_at(json_get(read, "tags"), 0), ""), "core_v1");
}

static void test_v2(void **state) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT, packed = STRBUF_INIT;
    _cleanup_json_ struct json *doc = NULL;
    openapi_v2_write("v1.32.0+x", false, &text);
    assert_int_equal(json_parse(strbuf_str(&text), text.len, NULL, &doc, NULL), 0);
    const struct json *definitions = json_get(doc, "definitions");
    check_references_at(doc, prefix_v2, definitions);
    assert_string_equal(json_str(json_get(doc, "swagger")), "2.0");
    assert_null(strstr(strbuf_str(&text), "\"allOf\":["));
    assert_null(strstr(strbuf_str(&text), "\"oneOf\":["));
    const struct json *post = json_path(doc, "paths", "/apis/apps/v1/namespaces/{namespace}/deployments", "post");
    const struct json *parameters = json_get(post, "parameters"), *body = json_at(parameters, json_len(parameters) - 1);
    assert_string_equal(json_str(json_get(body, "in")), "body");
    assert_string_equal(json_str(json_path(body, "schema", "$ref")), "#/definitions/io.k8s.api.apps.v1.Deployment");
    const struct json *strategy = json_path(definitions, "io.k8s.api.apps.v1.DeploymentSpec", "properties", "strategy");
    assert_string_equal(json_str(json_get(strategy, "$ref")), "#/definitions/io.k8s.api.apps.v1.DeploymentStrategy");
    assert_string_equal(json_str(json_get(strategy, "x-kubernetes-patch-strategy")), "retainKeys");
    /* the same as protobuf: the version, then all of it (kubectl reads it in tests/system/encodings.bats) */
    openapi_v2_write("v1.32.0+x", true, &packed);
    static const char begin[] = "\x0a\x03"
                                "2.0\x12\x17\x0a\x0aKubernetes\x12\x09v1.32.0+x\x42";
    assert_true(packed.len > text.len / 2);
    assert_memory_equal(packed.data, begin, sizeof(begin) - 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_group),  cmocka_unit_test(test_patch_operation), cmocka_unit_test(test_schemas),
        cmocka_unit_test(test_descriptions), cmocka_unit_test(test_operation_ids),   cmocka_unit_test(test_v2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
