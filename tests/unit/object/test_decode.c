/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "orchestrator/object/schema.h"
#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

static struct json *parse(const char *text) {
    struct json *v = NULL;
    assert_int_equal(json_parse(text, strlen(text), NULL, &v, NULL), 0);
    return v;
}

static void expect_error(const char *api_version, const char *kind, const char *text, const char *message) {
    _cleanup_json_ struct json *doc = parse(text);
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    assert_int_equal(schema_decode(type_of_kind(api_version, kind), &doc, NULL, &err), -EINVAL);
    assert_string_equal(error_text(&err, -EINVAL), message);
}

static void expect_decoded(const char *kind, const char *text, const char *expected) {
    _cleanup_json_ struct json *doc = parse(text), *want = parse(expected);
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    int r = schema_decode(type_of_kind("v1", kind), &doc, NULL, &err);
    if (r < 0)
        fail_msg("%s", error_text(&err, r));
    _cleanup_free_ char *got = json_to_text(doc), *wanted = json_to_text(want);
    assert_string_equal(got, wanted);
}

static void test_type_errors(void **state) {
    expect_error("v1", "Pod", "{\"spec\":{\"containers\":\"x\"}}",
                 "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container");
    expect_error("apps/v1", "Deployment", "{\"spec\":{\"replicas\":\"3\"}}",
                 "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32");
    expect_error(
        "v1", "Pod", "{\"spec\":{\"containers\":[{\"ports\":[{\"containerPort\":\"http\"}]}]}}",
        "json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of "
        "type int32");
    expect_error("v1", "Pod", "{\"metadata\":{\"labels\":{\"a\":1}}}",
                 "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string");
    expect_error(
        "v1", "Pod", "{\"metadata\":{\"labels\":[]}}",
        "json: cannot unmarshal array into Go struct field ObjectMeta.metadata.labels of type map[string]string");
    expect_error("v1", "Pod", "{\"spec\":[]}",
                 "json: cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec");
    expect_error("v1", "Pod", "[]", "json: cannot unmarshal array into Go value of type v1.Pod");
    expect_error("apps/v1", "Deployment", "{\"spec\":{\"replicas\":1.5}}",
                 "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32");
    expect_error(
        "apps/v1", "Deployment", "{\"spec\":{\"replicas\":4294967296}}",
        "json: cannot unmarshal number 4294967296 into Go struct field DeploymentSpec.spec.replicas of type int32");
    expect_error("v1", "Service", "{\"spec\":{\"ports\":[{\"targetPort\":true}]}}",
                 "json: cannot unmarshal bool into Go struct field ServicePort.spec.ports.targetPort of type int32");
    expect_error("v1", "Secret", "{\"data\":{\"a\":\"***\"}}", "illegal base64 data at input byte 0");
    expect_error("v1", "Pod", "{\"spec\":{\"containers\":[{\"resources\":{\"limits\":{\"cpu\":\"lots\"}}}]}}",
                 "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'");
    expect_error("v1", "Pod", "{\"metadata\":{\"creationTimestamp\":\"yesterday\"}}",
                 "parsing time \"yesterday\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"yesterday\" as \"2006\"");
    expect_error(
        "v1", "Pod", "{\"metadata\":{\"creationTimestamp\":5}}",
        "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.creationTimestamp of type string");
}

static void test_unknown_fields(void **state) {
    _cleanup_json_ struct json *doc =
        parse("{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"x\",\"Labels\":{}},"
              "\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"imagee\":\"y\",\"ports\":[{},"
              "{\"port\":1}]}]}}},\"extra\":{\"a\":{\"b\":1}}}");
    _cleanup_strv_ char **unknown = NULL;
    assert_int_equal(schema_decode(type_of_kind("apps/v1", "Deployment"), &doc, &unknown, NULL), 0);
    assert_int_equal(strv_len(unknown), 4);
    assert_string_equal(unknown[0], "unknown field \"metadata.Labels\"");
    assert_string_equal(unknown[1], "unknown field \"spec.template.spec.containers[0].imagee\"");
    assert_string_equal(unknown[2], "unknown field \"spec.template.spec.containers[0].ports[1].port\"");
    assert_string_equal(unknown[3], "unknown field \"extra\"");
    _cleanup_free_ char *text = json_to_text(doc);
    assert_string_equal(text,
                        "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"x\"},\"spec\":{"
                        "\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"ports\":[{},{}]}]}}}}");
}

static void test_many_unknown_fields(void **state) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    strbuf_adds(&text, "{\"kind\":\"Pod\"");
    for (int i = 0; i < 100000; i++)
        strbuf_addf(&text, ",\"x%d\":1", i);
    strbuf_adds(&text, "}");
    _cleanup_json_ struct json *doc = parse(strbuf_str(&text));
    _cleanup_strv_ char **unknown = NULL;
    assert_int_equal(schema_decode(type_of_kind("v1", "Pod"), &doc, &unknown, NULL), 0);
    assert_int_equal(strv_len(unknown), 100);
    assert_int_equal(json_len(doc), 1);
}

static void test_canonical_values(void **state) {
    expect_decoded(
        "Pod", "{\"spec\":{\"containers\":[{\"resources\":{\"limits\":{\"cpu\":0.5,\"memory\":\"1024Mi\",\"x\":2}}}]}}",
        "{\"spec\":{\"containers\":[{\"resources\":{\"limits\":{\"cpu\":\"500m\",\"memory\":\"1Gi\",\"x\":\"2\"}}}]}}");
    expect_decoded("Pod", "{\"metadata\":{\"creationTimestamp\":\"2024-01-01T02:00:00.5+02:00\",\"name\":\"a\"}}",
                   "{\"metadata\":{\"creationTimestamp\":\"2024-01-01T00:00:00Z\",\"name\":\"a\"}}");
    expect_decoded("Secret", "{\"data\":{\"a\":\"aGVs\\nbG8=\\n\"}}", "{\"data\":{\"a\":\"aGVsbG8=\"}}");
    expect_decoded("Service", "{\"spec\":{\"ports\":[{\"targetPort\":\"http\"},{\"targetPort\":80}]}}",
                   "{\"spec\":{\"ports\":[{\"targetPort\":\"http\"},{\"targetPort\":80}]}}");
}

static void test_nulls_and_empties(void **state) {
    expect_decoded(
        "Pod",
        "{\"metadata\":{\"creationTimestamp\":null,\"labels\":{\"a\":null},\"annotations\":{}},\"spec\":{"
        "\"containers\":[],\"volumes\":null,\"hostNetwork\":false,\"priority\":0,\"affinity\":null,\"hostname\":\"\","
        "\"terminationGracePeriodSeconds\":0,\"securityContext\":{}},\"status\":{}}",
        "{\"metadata\":{\"labels\":{\"a\":\"\"}},\"spec\":{\"containers\":[],\"priority\":0,"
        "\"terminationGracePeriodSeconds\":0,\"securityContext\":{}},\"status\":{}}");
    expect_decoded("Pod", "{\"spec\":{\"containers\":[null]}}", "{\"spec\":{\"containers\":[{}]}}");
    expect_decoded("ConfigMap", "{\"data\":null,\"immutable\":false}", "{\"immutable\":false}");
}

#define CRD                                                                                                            \
    "{\"spec\":{\"versions\":[{\"schema\":{\"openAPIV3Schema\":{\"items\":%s,\"properties\":{\"a\":{"                  \
    "\"additionalProperties\":true,\"default\":null,\"enum\":[null,1]}},\"dependencies\":{\"d\":[\"x\"]}}}}]}}"

static void test_one_of(void **state) {
    const struct type_info *t = type_of_kind("apiextensions.k8s.io/v1", "CustomResourceDefinition");
    static const char *const good[] = {"{\"type\":\"string\"}", "[{\"type\":\"string\"},{}]"};
    for (size_t i = 0; i < 2; i++) {
        _cleanup_free_ char *text = xasprintf(CRD, good[i]);
        _cleanup_json_ struct json *doc = parse(text);
        _cleanup_strv_ char **unknown = NULL;
        assert_int_equal(schema_decode(t, &doc, &unknown, NULL), 0);
        assert_null(unknown);
    }
    _cleanup_json_ struct json *doc =
        parse("{\"spec\":{\"versions\":[{\"schema\":{\"openAPIV3Schema\":{\"properties\":{\"a\":{"
              "\"nullabel\":true}}}}}]}}");
    _cleanup_strv_ char **unknown = NULL;
    assert_int_equal(schema_decode(t, &doc, &unknown, NULL), 0);
    assert_string_equal(unknown[0], "unknown field \"spec.versions[0].schema.openAPIV3Schema.properties.a.nullabel\"");
}

/* A clean document comes back as the same value: nothing is copied. */
static void test_clean_document_is_kept(void **state) {
    _cleanup_json_ struct json *doc =
        parse("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"},\"spec\":{"
              "\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"ports\":[{\"containerPort\":80}]}]}}");
    const struct json *before = doc;
    _cleanup_json_ struct json *held = json_ref(doc);
    assert_int_equal(schema_decode(type_of_kind("v1", "Pod"), &doc, NULL, NULL), 0);
    assert_ptr_equal(doc, before);
    assert_ptr_equal(doc, held);
}

/* The input is never written to, whoever else holds it. */
static void test_shared_input(void **state) {
    _cleanup_json_ struct json *doc = parse("{\"spec\":{\"containers\":[{\"x\":1,\"name\":\"a\"}]}}");
    _cleanup_json_ struct json *held = json_ref(doc);
    _cleanup_free_ char *before = json_to_text(held);
    assert_int_equal(schema_decode(type_of_kind("v1", "Pod"), &doc, NULL, NULL), 0);
    _cleanup_free_ char *after = json_to_text(held);
    assert_string_equal(before, after);
    assert_ptr_not_equal(doc, held);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_type_errors),
        cmocka_unit_test(test_unknown_fields),
        cmocka_unit_test(test_many_unknown_fields),
        cmocka_unit_test(test_canonical_values),
        cmocka_unit_test(test_nulls_and_empties),
        cmocka_unit_test(test_one_of),
        cmocka_unit_test(test_clean_document_is_kept),
        cmocka_unit_test(test_shared_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
