/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/schema.h"
#include "orchestrator/object/strategy.h"
#include "podium/base/alloc.h"

static struct json *parse(const char *text) {
    struct json *v = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    if (json_parse(text, strlen(text), NULL, &v, &err) < 0)
        fail_msg("%s", err.text);
    return v;
}

static struct json *load(const char *text) {
    struct json *doc = parse(text);
    const char *version = json_str(json_get(doc, "apiVersion")), *kind = json_str(json_get(doc, "kind"));
    assert_non_null(type_of_kind(version, kind));
    assert_int_equal(schema_decode(type_of_kind(version, kind), &doc, NULL, NULL), 0);
    schema_default(version, kind, &doc);
    return doc;
}

static void expect_equal(const struct json *got, const struct json *want) {
    if (json_equal(got, want))
        return;
    _cleanup_free_ char *a = json_to_text(got), *b = json_to_text(want);
    fail_msg("got  %s\nwant %s", a, b);
}

/* Defaults are complete, exact, and a second pass adds nothing (and copies nothing). */
static void expect_default(const char *text, const char *expected) {
    _cleanup_json_ struct json *doc = load(text), *want = parse(expected);
    expect_equal(doc, want);
    _cleanup_json_ struct json *again = json_ref(doc);
    schema_default(json_str(json_get(doc, "apiVersion")), json_str(json_get(doc, "kind")), &again);
    expect_equal(again, want);
    assert_ptr_equal(again, doc);
}

static void test_pod(void **state) {
    expect_default(
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\"},\"spec\":{\"hostNetwork\":true,"
        "\"containers\":[{\"name\":"
        "\"c\",\"image\":\"nginx\",\"ports\":[{\"containerPort\":80}],\"resources\":{\"limits\":{\"cpu\":\"1\","
        "\"memory\":\"1Gi\"},"
        "\"requests\":{\"cpu\":\"500m\"}},\"livenessProbe\":{\"httpGet\":{\"port\":80}}},{\"name\":\"d\",\"image\":"
        "\"r:5000/"
        "x:1.2\"}],\"volumes\":[{\"name\":\"v\"},{\"name\":\"s\",\"secret\":{\"secretName\":\"k\"}},{\"name\":\"h\","
        "\"hostPath\":{\"path\":\"/x\"}}]}}",
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"creationTimestamp\":null},\"spec\":{"
        "\"hostNetwork\":true,"
        "\"containers\":[{\"name\":\"c\",\"image\":\"nginx\",\"ports\":[{\"containerPort\":80,\"hostPort\":80,"
        "\"protocol\":\"TCP\"}],"
        "\"resources\":{\"limits\":{\"cpu\":\"1\",\"memory\":\"1Gi\"},\"requests\":{\"cpu\":\"500m\",\"memory\":"
        "\"1Gi\"}},"
        "\"livenessProbe\":{\"httpGet\":{\"port\":80,\"path\":\"/"
        "\",\"scheme\":\"HTTP\"},\"timeoutSeconds\":1,\"periodSeconds\":10,"
        "\"successThreshold\":1,\"failureThreshold\":3},\"terminationMessagePath\":\"/dev/termination-log\","
        "\"terminationMessagePolicy\":\"File\",\"imagePullPolicy\":\"Always\"},{\"name\":\"d\",\"image\":\"r:5000/"
        "x:1.2\","
        "\"resources\":{},\"terminationMessagePath\":\"/dev/termination-log\",\"terminationMessagePolicy\":\"File\","
        "\"imagePullPolicy\":\"IfNotPresent\"}],\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}},{\"name\":\"s\","
        "\"secret\":{"
        "\"secretName\":\"k\",\"defaultMode\":420}},{\"name\":\"h\",\"hostPath\":{\"path\":\"/x\",\"type\":\"\"}}],"
        "\"restartPolicy\":\"Always\",\"terminationGracePeriodSeconds\":30,\"dnsPolicy\":\"ClusterFirst\","
        "\"securityContext\":{},"
        "\"schedulerName\":\"default-scheduler\",\"enableServiceLinks\":true},\"status\":{}}");
}

static void test_deployment(void **state) {
    expect_default(
        "{\"apiVersion\":\"apps/"
        "v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"a\"},\"spec\":{\"selector\":{\"matchLabels\":{"
        "\"a\":\"b\"}},\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"containers\":[{\"name\":\"c\","
        "\"image\":"
        "\"i@sha256:0\"}]}}}}",
        "{\"apiVersion\":\"apps/"
        "v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"a\",\"creationTimestamp\":null},\"spec\":{"
        "\"replicas\":1,\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"strategy\":{\"type\":\"RollingUpdate\","
        "\"rollingUpdate\":{"
        "\"maxUnavailable\":\"25%\",\"maxSurge\":\"25%\"}},\"revisionHistoryLimit\":10,\"progressDeadlineSeconds\":600,"
        "\"template\":{\"metadata\":{\"creationTimestamp\":null,\"labels\":{\"a\":\"b\"}},\"spec\":{\"containers\":[{"
        "\"name\":\"c\","
        "\"image\":\"i@sha256:0\",\"resources\":{},\"terminationMessagePath\":\"/dev/termination-log\","
        "\"terminationMessagePolicy\":\"File\",\"imagePullPolicy\":\"IfNotPresent\"}],\"restartPolicy\":\"Always\","
        "\"terminationGracePeriodSeconds\":30,\"dnsPolicy\":\"ClusterFirst\",\"securityContext\":{},\"schedulerName\":"
        "\"default-scheduler\"}}},\"status\":{}}");
    _cleanup_json_ struct json *recreate =
        load("{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"spec\":{\"replicas\":0,"
             "\"strategy\":{\"type\":\"Recreate\"}}}");
    _cleanup_json_ struct json *strategy = parse("{\"type\":\"Recreate\"}");
    expect_equal(json_path(recreate, "spec", "strategy"), strategy);
    assert_int_equal(json_int_or(json_path(recreate, "spec", "replicas"), -1), 0);
}

static void test_service(void **state) {
    expect_default(
        "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"a\"},\"spec\":{\"ports\":[{\"port\":80}],"
        "\"sessionAffinity\":\"ClientIP\"}}",
        "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"a\",\"creationTimestamp\":null},\"spec\":"
        "{"
        "\"ports\":[{\"port\":80,\"protocol\":\"TCP\",\"targetPort\":80}],\"sessionAffinity\":\"ClientIP\","
        "\"sessionAffinityConfig\":{\"clientIP\":{\"timeoutSeconds\":10800}},\"type\":\"ClusterIP\","
        "\"internalTrafficPolicy\":\"Cluster\"},\"status\":{\"loadBalancer\":{}}}");
    _cleanup_json_ struct json *balanced = load("{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"spec\":{\"type\":"
                                                "\"LoadBalancer\"},\"status\":{\"loadBalancer\":{"
                                                "\"ingress\":[{\"ip\":\"10.0.0.1\"}]}}}");
    assert_string_equal(json_str(json_path(balanced, "spec", "externalTrafficPolicy")), "Cluster");
    assert_true(json_bool_or(json_path(balanced, "spec", "allocateLoadBalancerNodePorts"), false));
    assert_string_equal(
        json_str(json_get(json_at(json_path(balanced, "status", "loadBalancer", "ingress"), 0), "ipMode")), "VIP");
}

static void test_controllers(void **state) {
    expect_default("{\"apiVersion\":\"v1\",\"kind\":\"ReplicationController\",\"metadata\":{\"name\":\"a\"},\"spec\":{"
                   "\"template\":{\"metadata\":{"
                   "\"labels\":{\"x\":\"y\"}},\"spec\":{\"containers\":null}}}}",
                   "{\"apiVersion\":\"v1\",\"kind\":\"ReplicationController\",\"metadata\":{\"name\":\"a\","
                   "\"creationTimestamp\":null,\"labels\":{"
                   "\"x\":\"y\"}},\"spec\":{\"replicas\":1,\"selector\":{\"x\":\"y\"},\"template\":{\"metadata\":{"
                   "\"creationTimestamp\":null,"
                   "\"labels\":{\"x\":\"y\"}},\"spec\":{\"containers\":null,\"restartPolicy\":\"Always\","
                   "\"terminationGracePeriodSeconds\":30,"
                   "\"dnsPolicy\":\"ClusterFirst\",\"securityContext\":{},\"schedulerName\":\"default-scheduler\"}}},"
                   "\"status\":{\"replicas\":0}}");
    _cleanup_json_ struct json *job = load("{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"spec\":{\"template\":{}}}");
    assert_int_equal(json_int_or(json_path(job, "spec", "completions"), 0), 1);
    assert_int_equal(json_int_or(json_path(job, "spec", "parallelism"), 0), 1);
    assert_int_equal(json_int_or(json_path(job, "spec", "backoffLimit"), 0), 6);
    assert_string_equal(json_str(json_path(job, "spec", "podReplacementPolicy")), "TerminatingOrFailed");
    _cleanup_json_ struct json *cron =
        load("{\"apiVersion\":\"batch/"
             "v1\",\"kind\":\"CronJob\",\"spec\":{\"jobTemplate\":{\"spec\":{\"template\":{\"spec\":{}}}}}}");
    const struct json *spec = json_path(cron, "spec", "jobTemplate", "spec");
    assert_null(json_get(spec, "parallelism"));
    assert_null(json_get(spec, "backoffLimit"));
    assert_string_equal(json_str(json_path(spec, "template", "spec", "dnsPolicy")), "ClusterFirst");
    assert_string_equal(json_str(json_path(cron, "spec", "concurrencyPolicy")), "Allow");
    _cleanup_json_ struct json *set = load("{\"apiVersion\":\"apps/v1\",\"kind\":\"StatefulSet\",\"spec\":{}}");
    assert_int_equal(json_int_or(json_path(set, "spec", "updateStrategy", "rollingUpdate", "partition"), -1), 0);
    assert_string_equal(json_str(json_path(set, "spec", "persistentVolumeClaimRetentionPolicy", "whenScaled")),
                        "Retain");
}

static void test_others(void **state) {
    expect_default("{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"n\"}}",
                   "{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"n\",\"creationTimestamp\":"
                   "null,\"labels\":{"
                   "\"kubernetes.io/metadata.name\":\"n\"}},\"spec\":{},\"status\":{\"phase\":\"Active\"}}");
    expect_default(
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\"},\"data\":{\"a\":\"YQ==\"},"
        "\"stringData\":{"
        "\"b\":\"hello\",\"a\":\"z\"}}",
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\",\"creationTimestamp\":null},\"data\":{"
        "\"a\":\"eg==\",\"b\":\"aGVsbG8=\"},\"type\":\"Opaque\"}");
    expect_default(
        "{\"apiVersion\":\"rbac.authorization.k8s.io/v1\",\"kind\":\"RoleBinding\",\"metadata\":{\"name\":\"r\"},"
        "\"roleRef\":{\"kind\":\"Role\",\"name\":\"x\"},\"subjects\":[{\"kind\":\"User\",\"name\":\"u\"},{\"kind\":"
        "\"ServiceAccount\",\"name\":\"s\",\"namespace\":\"n\"}]}",
        "{\"apiVersion\":\"rbac.authorization.k8s.io/v1\",\"kind\":\"RoleBinding\",\"metadata\":{\"name\":\"r\","
        "\"creationTimestamp\":null},\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"Role\","
        "\"name\":"
        "\"x\"},\"subjects\":[{\"kind\":\"User\",\"apiGroup\":\"rbac.authorization.k8s.io\",\"name\":\"u\"},{\"kind\":"
        "\"ServiceAccount\",\"name\":\"s\",\"namespace\":\"n\"}]}");
    expect_default("{\"apiVersion\":\"coordination.k8s.io/"
                   "v1\",\"kind\":\"Lease\",\"metadata\":{\"name\":\"l\"},\"spec\":{\"renewTime\":"
                   "\"2024-01-01T00:00:00.5Z\"}}",
                   "{\"apiVersion\":\"coordination.k8s.io/"
                   "v1\",\"kind\":\"Lease\",\"metadata\":{\"name\":\"l\",\"creationTimestamp\":"
                   "null},\"spec\":{\"renewTime\":\"2024-01-01T00:00:00.500000Z\"}}");
    expect_default(
        "{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"metadata\":{\"name\":\"e\",\"namespace\":\"n\"},"
        "\"involvedObject\":{}}",
        "{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"metadata\":{\"name\":\"e\",\"namespace\":\"n\","
        "\"creationTimestamp\":"
        "null},\"involvedObject\":{},\"source\":{},\"firstTimestamp\":null,\"lastTimestamp\":null,\"eventTime\":null,"
        "\"reportingComponent\":\"\",\"reportingInstance\":\"\"}");
}

/* --- strategies --- */

static struct json *create(const char *text) {
    struct json *doc = load(text);
    strategy_prepare_create(
        resource_by_api_version(json_str(json_get(doc, "apiVersion")), json_str(json_get(doc, "kind"))), &doc);
    return doc;
}

static void test_create_pod(void **state) {
    _cleanup_json_ struct json *pod = create(
        "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"generation\":7,\"deletionTimestamp\":"
        "\"2024-01-01T00:00:00Z\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{\"limits\":{\"cpu\":\"1\","
        "\"memory\":\"1Gi\"}}}],\"schedulingGates\":[{\"name\":\"g\"}]},\"status\":{\"phase\":\"Running\"}}");
    _cleanup_json_ struct json *want = parse(
        "{\"phase\":\"Pending\",\"qosClass\":\"Guaranteed\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":"
        "\"False\","
        "\"lastProbeTime\":null,\"lastTransitionTime\":null,\"reason\":\"SchedulingGated\",\"message\":\"Scheduling is "
        "blocked due to non-empty scheduling gates\"}]}");
    expect_equal(json_get(pod, "status"), want);
    assert_null(json_path(pod, "metadata", "generation"));
    assert_null(json_path(pod, "metadata", "deletionTimestamp"));
}

static void test_qos(void **state) {
    static const struct {
        const char *spec, *class;
    } cases[] = {
        {"{\"containers\":[{}]}", "BestEffort"},
        {"{\"containers\":[{\"resources\":{\"requests\":{\"cpu\":\"1m\"}}}]}", "Burstable"},
        {"{\"containers\":[{\"resources\":{\"requests\":{\"cpu\":\"1\",\"memory\":\"1\"},\"limits\":{\"cpu\":\"1000m\","
         "\"memory\":"
         "\"1\"}}},{}]}",
         "Burstable"},
        {"{\"containers\":[{\"resources\":{\"requests\":{\"cpu\":\"1\",\"memory\":\"1Ki\"},\"limits\":{\"cpu\":"
         "\"1000m\","
         "\"memory\":\"1024\"}}}]}",
         "Guaranteed"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_json_ struct json *spec = parse(cases[i].spec);
        assert_string_equal(pod_qos_class(spec), cases[i].class);
    }
}

static void test_update(void **state) {
    const struct resource *r = resource_by_kind("apps", "v1", "Deployment");
    _cleanup_json_ struct json *old =
        create("{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"a\",\"uid\":"
               "\"u\"},\"spec\":{\"replicas\":2,\"template\":{}}}");
    assert_int_equal(json_int_or(json_path(old, "metadata", "generation"), 0), 1);
    json_set_path(&old, json_int(1), "status", "observedGeneration");

    _cleanup_json_ struct json *same = json_ref(old);
    json_set_path(&same, json_int(9), "status", "replicas");
    strategy_prepare_update(r, NULL, &same, old);
    expect_equal(same, old); /* status is not written here, and nothing else changed */

    _cleanup_json_ struct json *scaled = json_ref(old);
    json_set_path(&scaled, json_int(3), "spec", "replicas");
    json_del(json_edit(&scaled, "metadata"), "uid");
    strategy_prepare_update(r, NULL, &scaled, old);
    assert_int_equal(json_int_or(json_path(scaled, "metadata", "generation"), 0), 2);
    assert_string_equal(json_str(json_path(scaled, "metadata", "uid")), "u");

    _cleanup_json_ struct json *status = json_ref(old);
    json_set_path(&status, json_int(5), "status", "replicas");
    json_set_path(&status, json_int(5), "spec", "replicas");
    json_set_path(&status, json_string("b"), "metadata", "annotations", "a");
    strategy_prepare_update(r, "status", &status, old);
    assert_int_equal(json_int_or(json_path(status, "spec", "replicas"), 0), 2);
    assert_int_equal(json_int_or(json_path(status, "status", "replicas"), 0), 5);
    assert_int_equal(json_int_or(json_path(status, "metadata", "generation"), 0), 1);
}

static void test_deletion_is_final(void **state) {
    _cleanup_json_ struct json *old =
        load("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\",\"deletionTimestamp\":"
             "\"2024-01-01T00:00:00Z\",\"deletionGracePeriodSeconds\":0}}");
    _cleanup_json_ struct json *new =
        load("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\"}}");
    strategy_prepare_update(resource_by_kind("", "v1", "ConfigMap"), NULL, &new, old);
    expect_equal(new, old);
}

static void test_service_update(void **state) {
    const struct resource *r = resource_by_kind("", "v1", "Service");
    _cleanup_json_ struct json *old = load("{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"a\"},"
                                           "\"spec\":{\"type\":\"NodePort\",\"clusterIP\":"
                                           "\"10.0.0.5\",\"clusterIPs\":[\"10.0.0.5\"],\"ipFamilies\":[\"IPv4\"],"
                                           "\"ipFamilyPolicy\":\"SingleStack\",\"ports\":[{"
                                           "\"port\":80,\"nodePort\":30001}]}}");
    _cleanup_json_ struct json *new =
        load("{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"a\"},\"spec\":{"
             "\"type\":\"NodePort\",\"ports\":[{\"port\":80}]}}");
    strategy_prepare_update(r, NULL, &new, old);
    expect_equal(new, old);
    _cleanup_json_ struct json *internal = json_ref(old);
    json_set_path(&internal, json_string("ClusterIP"), "spec", "type");
    strategy_prepare_update(r, NULL, &internal, old);
    assert_null(json_get(json_at(json_path(internal, "spec", "ports"), 0), "nodePort"));
    assert_null(json_path(internal, "spec", "externalTrafficPolicy"));
    assert_string_equal(json_str(json_path(internal, "spec", "clusterIP")), "10.0.0.5");
}

static void test_namespace_finalizer(void **state) {
    const struct resource *r = resource_by_kind("", "v1", "Namespace");
    _cleanup_json_ struct json *old =
        create("{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"n\"}}");
    assert_string_equal(json_str(json_at(json_path(old, "spec", "finalizers"), 0)), "kubernetes");
    _cleanup_json_ struct json *new = json_ref(old);
    json_del(&new, "spec");
    strategy_prepare_update(r, NULL, &new, old);
    expect_equal(new, old);
    json_del(json_edit(&new, "spec"), "finalizers");
    strategy_prepare_update(r, "finalize", &new, old);
    assert_int_equal(json_len(json_path(new, "spec", "finalizers")), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pod),
        cmocka_unit_test(test_deployment),
        cmocka_unit_test(test_service),
        cmocka_unit_test(test_controllers),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_create_pod),
        cmocka_unit_test(test_qos),
        cmocka_unit_test(test_update),
        cmocka_unit_test(test_deletion_is_final),
        cmocka_unit_test(test_service_update),
        cmocka_unit_test(test_namespace_finalizer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
