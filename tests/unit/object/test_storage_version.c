/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/schema.h"
#include "orchestrator/object/storage_version.h"
#include "podium/base/alloc.h"

static struct json *load(const char *text) {
    struct json *doc = NULL;
    assert_int_equal(json_parse(text, strlen(text), NULL, &doc, NULL), 0);
    const char *version = json_str(json_get(doc, "apiVersion")), *kind = json_str(json_get(doc, "kind"));
    assert_int_equal(schema_decode(type_of_kind(version, kind), &doc, NULL, NULL), 0);
    schema_default(version, kind, &doc);
    return doc;
}

static void check_fits(const struct json *doc) {
    _cleanup_json_ struct json *copy = json_ref(doc);
    _cleanup_strv_ char **unknown = NULL;
    const struct type_info *t = type_of_kind(json_str(json_get(doc, "apiVersion")), json_str(json_get(doc, "kind")));
    assert_int_equal(schema_decode(t, &copy, &unknown, NULL), 0);
    if (unknown)
        fail_msg("%s", unknown[0]);
}

/* Written in one shape, stored in the other, read back unchanged. */
static void round_trip(const char *text, const char *storage_version) {
    _cleanup_json_ struct json *doc = load(text), *stored = json_ref(doc);
    const struct resource *r =
        resource_by_api_version(json_str(json_get(doc, "apiVersion")), json_str(json_get(doc, "kind")));
    storage_version_encode(r, &stored);
    assert_string_equal(json_str(json_get(stored, "apiVersion")), storage_version);
    check_fits(stored);
    storage_version_decode(r, &stored);
    check_fits(stored);
    _cleanup_free_ char *a = json_to_text(stored), *b = json_to_text(doc);
    if (!json_equal(stored, doc))
        fail_msg("got  %s\nwant %s", a, b);
}

static void test_events(void **state) {
    round_trip(
        "{\"apiVersion\":\"events.k8s.io/v1\",\"kind\":\"Event\",\"metadata\":{\"name\":\"e\",\"namespace\":\"n\"},"
        "\"eventTime\":\"2024-01-01T00:00:00.000001Z\",\"reportingController\":\"x\",\"reason\":\"r\",\"note\":"
        "\"hello\","
        "\"regarding\":{\"kind\":\"Pod\",\"name\":\"p\"},\"deprecatedCount\":3,\"type\":\"Normal\"}",
        "v1");
    round_trip("{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"metadata\":{\"name\":\"e\"},\"involvedObject\":{}}", "v1");
}

static void test_autoscalers(void **state) {
    round_trip("{\"apiVersion\":\"autoscaling/"
               "v1\",\"kind\":\"HorizontalPodAutoscaler\",\"metadata\":{\"name\":\"h\"},\"spec\":{"
               "\"scaleTargetRef\":{\"kind\":\"Deployment\",\"name\":\"d\"},\"maxReplicas\":5,"
               "\"targetCPUUtilizationPercentage\":70},\"status\":{\"currentReplicas\":1,\"desiredReplicas\":2,"
               "\"currentCPUUtilizationPercentage\":50}}",
               "autoscaling/v2");
    /* What v1 cannot say survives a reader and writer of v1. */
    _cleanup_json_ struct json *v2 = load(
        "{\"apiVersion\":\"autoscaling/"
        "v2\",\"kind\":\"HorizontalPodAutoscaler\",\"metadata\":{\"name\":\"h\"},\"spec\":{"
        "\"scaleTargetRef\":{\"kind\":\"Deployment\",\"name\":\"d\"},\"maxReplicas\":5,\"metrics\":[{\"type\":"
        "\"Resource\","
        "\"resource\":{\"name\":\"cpu\",\"target\":{\"type\":\"Utilization\",\"averageUtilization\":60}}},{\"type\":"
        "\"Pods\","
        "\"pods\":{\"metric\":{\"name\":\"rps\"},\"target\":{\"type\":\"AverageValue\",\"averageValue\":\"100\"}}}],"
        "\"behavior\":{\"scaleUp\":{\"stabilizationWindowSeconds\":7}}}}");
    _cleanup_json_ struct json *doc = json_ref(v2);
    const struct resource *v1 = resource_by_kind("autoscaling", "v1", "HorizontalPodAutoscaler");
    storage_version_decode(v1, &doc);
    check_fits(doc);
    assert_int_equal(json_int_or(json_path(doc, "spec", "targetCPUUtilizationPercentage"), 0), 60);
    storage_version_encode(v1, &doc);
    assert_true(json_equal(json_get(doc, "spec"), json_get(v2, "spec")));
    assert_true(json_equal(json_get(doc, "metadata"), json_get(v2, "metadata")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_autoscalers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
