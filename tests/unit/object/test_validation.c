/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What users see when they write something wrong: fields and texts as upstream words them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "orchestrator/object/schema.h"
#include "orchestrator/object/strategy.h"
#include "orchestrator/object/validation.h"
#include "podium/base/alloc.h"
#include "podium/base/strbuf.h"

static struct json *parse(const char *text) {
    struct json *v = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    if (json_parse(text, strlen(text), NULL, &v, &err) < 0)
        fail_msg("%s in %s", err.text, text);
    return v;
}

static const struct resource *resource_of(const struct json *doc) {
    const struct resource *r =
        resource_by_api_version(json_str(json_get(doc, "apiVersion")), json_str(json_get(doc, "kind")));
    assert_non_null(r);
    return r;
}

static struct json *load(const char *text) {
    struct json *doc = parse(text);
    const struct resource *r = resource_of(doc);
    assert_int_equal(schema_decode(type_by_name(r->type), &doc, NULL, NULL), 0);
    schema_default(r->api_version, r->kind, &doc);
    strategy_prepare_create(r, &doc);
    return doc;
}

/* "field: message" per line. */
static char *text_of(const struct field_errors *errors) {
    struct strbuf out = STRBUF_INIT;
    for (size_t i = 0; i < errors->n; i++)
        strbuf_addf(&out, "%s%s: %s", i ? "\n" : "", errors->items[i].field, errors->items[i].message);
    return strbuf_steal(&out);
}

static void expect_create(const char *text, const char *expected) {
    _cleanup_json_ struct json *doc = load(text);
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    validate_create(resource_of(doc), doc, &errors);
    _cleanup_free_ char *got = text_of(&errors);
    assert_string_equal(got, expected);
}

static void expect_update(const char *old_text, const char *text, const char *expected) {
    _cleanup_json_ struct json *old = load(old_text), *doc = load(text);
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    strategy_prepare_update(resource_of(doc), NULL, &doc, old);
    validate_update(resource_of(doc), NULL, doc, old, &errors);
    _cleanup_free_ char *got = text_of(&errors);
    assert_string_equal(got, expected);
}

#define POD(spec)                                                                                                      \
    "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"n\"},\"spec\":{" spec "}}"
#define CONTAINER(more)  POD("\"containers\":[{\"name\":\"c\",\"image\":\"i\"" more "}]")
#define CONFIG(metadata) "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{" metadata "}}"
#define DEPLOY(spec)                                                                                                   \
    "{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"d\",\"namespace\":\"n\"},\"spec\":{" \
    "\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{"    \
    "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}" spec "}}"
#define SERVICE(spec)                                                                                                  \
    "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"s\",\"namespace\":\"n\"},\"spec\":{" spec "}}"

#define SUBDOMAIN                                                                                                      \
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "   \
    "and "                                                                                                             \
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "                            \
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
#define LABEL                                                                                                          \
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "    \
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "                     \
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"

static void test_metadata(void **state) {
    expect_create(CONFIG("\"name\":\"a.b-c\",\"namespace\":\"n\""), "");
    expect_create(CONFIG("\"namespace\":\"n\""), "metadata.name: Required value: name or generateName is required");
    expect_create(CONFIG("\"name\":\"A_b\",\"namespace\":\"n\""), "metadata.name: Invalid value: \"A_b\": " SUBDOMAIN);
    expect_create(CONFIG("\"name\":\"a\""), "metadata.namespace: Required value");
    expect_create("{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"a.b\",\"namespace\":\"n\"}}",
                  "metadata.name: Invalid value: \"a.b\": must not contain dots\nmetadata.namespace: Forbidden: not "
                  "allowed on this type");
    expect_create(
        CONFIG("\"name\":\"a\",\"namespace\":\"n\",\"labels\":{\"x\":\"y z\"}"),
        "metadata.labels: Invalid value: \"y z\": a valid label must be an empty string or consist of alphanumeric "
        "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "
        "'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')");
    expect_create(CONFIG("\"name\":\"a\",\"namespace\":\"n\",\"labels\":{\"/x\":\"y\"}"),
                  "metadata.labels: Invalid value: \"/x\": prefix part must be non-empty");
    expect_create(
        CONFIG("\"name\":\"a\",\"namespace\":\"n\",\"finalizers\":[\"mine\",\"a.b/c\"]"),
        "metadata.finalizers[0]: Invalid value: \"mine\": name is neither a standard finalizer name nor is it fully "
        "qualified");
    expect_create(
        CONFIG(
            "\"name\":\"a\",\"namespace\":\"n\",\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":"
            "\"\",\"uid\":\"u\"}]"),
        "metadata.ownerReferences.name: Invalid value: \"\": must not be empty");
    expect_create("{\"apiVersion\":\"rbac.authorization.k8s.io/v1\",\"kind\":\"ClusterRole\",\"metadata\":{\"name\":"
                  "\"system:Node_x\"}}",
                  "");
}

static void test_pod(void **state) {
    expect_create(CONTAINER(""), "");
    expect_create(POD("\"containers\":[]"), "spec.containers: Required value");
    expect_create(POD("\"containers\":[{}]"),
                  "spec.containers[0].name: Required value\nspec.containers[0].image: Required value");
    expect_create(
        POD("\"containers\":[{\"name\":\"c\",\"image\":\"i\"}],\"initContainers\":[{\"name\":\"c\",\"image\":\"i \"}]"),
        "spec.initContainers[0].name: Duplicate value: \"c\"\n"
        "spec.initContainers[0].image: Invalid value: \"i \": must not have leading or trailing whitespace");
    expect_create(POD("\"containers\":[{\"name\":\"C\",\"image\":\"i\"}]"),
                  "spec.containers[0].name: Invalid value: \"C\": " LABEL);
    expect_create(
        POD("\"restartPolicy\":\"Sometimes\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]"),
        "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"");
    expect_create(CONTAINER(",\"imagePullPolicy\":\"Now\""),
                  "spec.containers[0].imagePullPolicy: Unsupported value: \"Now\": supported values: \"Always\", "
                  "\"IfNotPresent\", \"Never\"");
    expect_create(POD("\"terminationGracePeriodSeconds\":-1,\"activeDeadlineSeconds\":0,\"containers\":[{\"name\":"
                      "\"c\",\"image\":"
                      "\"i\"}]"),
                  "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive");
    expect_create(
        POD("\"tolerations\":[{\"key\":\"a\",\"operator\":\"Exists\",\"tolerationSeconds\":3}],\"containers\":[{"
            "\"name\":"
            "\"c\",\"image\":\"i\"}]"),
        "spec.tolerations[0].effect: Invalid value: \"\": effect must be 'NoExecute' when `tolerationSeconds` is set");
}

static void test_containers(void **state) {
    expect_create(
        CONTAINER(",\"ports\":[{\"containerPort\":70000},{},{\"containerPort\":1,\"protocol\":\"X\",\"name\":\"-\"}]"),
        "spec.containers[0].ports[2].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"\n"
        "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive\n"
        "spec.containers[0].ports[1].containerPort: Required value\n"
        "spec.containers[0].ports[2].name: Invalid value: \"-\": must contain at least one letter (a-z)\n"
        "spec.containers[0].ports[2].name: Invalid value: \"-\": must not begin or end with a hyphen");
    expect_create(CONTAINER(",\"ports\":[{\"containerPort\":1,\"hostPort\":9},{\"containerPort\":2,\"hostPort\":9}]"),
                  "spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//9\"");
    expect_create(CONTAINER(",\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/a\",\"subPath\":\"../x\"}]"),
                  "spec.containers[0].volumeMounts[0].name: Not found: \"v\"\n"
                  "spec.containers[0].volumeMounts.subPath: Invalid value: \"../x\": must not contain '..'");
    expect_create(
        CONTAINER(",\"resources\":{\"requests\":{\"cpu\":\"2\",\"disk\":\"1\"},\"limits\":{\"cpu\":\"1\"}}"),
        "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1\n"
        "spec.containers[0].resources.requests[disk]: Invalid value: \"disk\": must be a standard resource type or "
        "fully "
        "qualified\n"
        "spec.containers[0].resources.requests[disk]: Invalid value: \"disk\": must be a standard resource for "
        "containers");
    expect_create(
        CONTAINER(",\"env\":[{\"value\":\"x\"},{\"name\":\"a=b\"},{\"name\":\"f\",\"valueFrom\":{\"fieldRef\":{"
                  "\"fieldPath\":\"spec.x\"}}},{\"name\":\"g\",\"valueFrom\":{}}]"),
        "spec.containers[0].env[0].name: Required value\n"
        "spec.containers[0].env[1].name: Invalid value: \"a=b\": a valid environment variable name must consist only "
        "of "
        "printable ASCII characters other than '='\n"
        "spec.containers[0].env[2].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.x\": error converting "
        "fieldPath: field label not supported: spec.x\n"
        "spec.containers[0].env[3].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, "
        "`resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`");
    expect_create(
        CONTAINER(",\"livenessProbe\":{\"periodSeconds\":-1,\"successThreshold\":2},\"readinessProbe\":{\"exec\":{},"
                  "\"tcpSocket\":{\"port\":0}}"),
        "spec.containers[0].livenessProbe: Required value: must specify a handler type\n"
        "spec.containers[0].livenessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0\n"
        "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1\n"
        "spec.containers[0].readinessProbe.exec.command: Required value\n"
        "spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type");
}

static void test_volumes(void **state) {
    expect_create(
        POD("\"containers\":[{\"name\":\"c\",\"image\":\"i\"}],\"volumes\":[{\"name\":\"a\",\"emptyDir\":{},\"secret\":"
            "{"
            "\"secretName\":\"s\"}},{\"name\":\"a\",\"hostPath\":{\"path\":\"/a/../"
            "b\"}},{\"name\":\"c\",\"configMap\":{"
            "\"defaultMode\":512,\"items\":[{\"key\":\"k\",\"path\":\"/x\"}]}}]"),
        "spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type\n"
        "spec.volumes[1].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'\n"
        "spec.volumes[2].configMap.name: Required value\n"
        "spec.volumes[2].configMap.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both "
        "inclusive\n"
        "spec.volumes[2].configMap.items[0].path: Invalid value: \"/x\": must be a relative path");
    expect_create(POD("\"containers\":[{\"name\":\"c\",\"image\":\"i\"}],\"volumes\":[{\"name\":\"a\",\"projected\":{"
                      "\"sources\":["
                      "{\"configMap\":{\"name\":\"m\",\"items\":[{\"key\":\"k\",\"path\":\"same\"}]}},"
                      "{\"secret\":{\"name\":\"s\",\"items\":[{\"key\":\"k\",\"path\":\"same\"}]}},"
                      "{\"serviceAccountToken\":{\"path\":\"same\"}}]}}]"),
                  "spec.volumes[0].projected: Invalid value: \"s\": conflicting duplicate paths");
    expect_create(
        POD("\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"volumeMounts\":["
            "{\"name\":\"v\",\"mountPath\":\"/a\",\"recursiveReadOnly\":\"Enabled\"},"
            "{\"name\":\"v\",\"mountPath\":\"/b\",\"readOnly\":true,\"recursiveReadOnly\":\"IfPossible\","
            "\"mountPropagation\":\"HostToContainer\"},"
            "{\"name\":\"v\",\"mountPath\":\"/c\",\"readOnly\":true,\"recursiveReadOnly\":\"Sometimes\"},"
            "{\"name\":\"v\",\"mountPath\":\"/d\",\"readOnly\":true,\"recursiveReadOnly\":\"Enabled\"}]}],"
            "\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}]"),
        "spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true\n"
        "spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified when mountPropagation "
        "is "
        "None or not specified\n"
        "spec.containers[0].volumeMounts.recursiveReadOnly: Unsupported value: \"Sometimes\": supported values: "
        "\"Disabled\", \"Enabled\", \"IfPossible\"");
}

static void test_pod_update(void **state) {
    expect_update(CONTAINER(""), POD("\"containers\":[{\"name\":\"c\",\"image\":\"j\"}]"), "");
    expect_update(
        CONTAINER(""), CONTAINER(",\"command\":[\"x\"]"),
        "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
        "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
        "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
        "  core.PodSpec{\n"
        "  \tContainers: {\n"
        "  \t\t{\n"
        "  \t\t\t... // 6 identical fields\n"
        "+ \t\t\tCommand: [\"x\"],\n"
        "  \t\t},\n"
        "  \t},\n"
        "  \t... // 6 identical fields\n"
        "  }\n");
    expect_update(CONTAINER(""),
                  POD("\"containers\":[{\"name\":\"c\",\"image\":\"i\"},{\"name\":\"d\",\"image\":\"i\"}]"),
                  "spec.containers: Forbidden: pod updates may not add or remove containers");
}

static void test_deployment(void **state) {
    expect_create(DEPLOY(""), "");
    expect_create(DEPLOY(",\"replicas\":-1"), "spec.replicas: Invalid value: -1: must be greater than or equal to 0");
    expect_create(
        DEPLOY(",\"selector\":{\"matchLabels\":{\"x\":\"y\"}}"),
        "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`");
    expect_create(DEPLOY(",\"selector\":null"), "spec.selector: Required value");
    expect_create(DEPLOY(",\"selector\":{}"),
                  "spec.selector: Invalid value: {}: empty selector is invalid for deployment");
    expect_create(DEPLOY(",\"strategy\":{\"type\":\"Recreate\",\"rollingUpdate\":{}}"),
                  "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'");
    expect_create(DEPLOY(",\"strategy\":{\"type\":\"Slow\"}"),
                  "spec.strategy.type: Unsupported value: \"Slow\": supported values: \"Recreate\", \"RollingUpdate\"");
    expect_create(DEPLOY(",\"strategy\":{\"rollingUpdate\":{\"maxSurge\":0,\"maxUnavailable\":\"0%\"}}"),
                  "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: intstr.IntOrString{Type:1, IntVal:0, "
                  "StrVal:\"0%\"}: may not be 0 when `maxSurge` is 0");
    expect_create(DEPLOY(",\"strategy\":{\"rollingUpdate\":{\"maxUnavailable\":\"x\"}}"),
                  "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: intstr.IntOrString{Type:1, IntVal:0, "
                  "StrVal:\"x\"}: a valid percent string must be a numeric "
                  "string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')");
    expect_create(DEPLOY(",\"progressDeadlineSeconds\":5,\"minReadySeconds\":5"),
                  "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds");
    expect_update(
        DEPLOY(""),
        DEPLOY(",\"selector\":{\"matchLabels\":{\"x\":\"y\"}},\"template\":{\"metadata\":{\"labels\":{\"x\":\"y\"}},"
               "\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}"),
        "spec.selector: Invalid value: {\"matchLabels\":{\"x\":\"y\"}}: field is immutable");
}

static void test_controllers(void **state) {
    expect_create(
        "{\"apiVersion\":\"v1\",\"kind\":\"ReplicationController\",\"metadata\":{\"name\":\"r\",\"namespace\":\"n\"},"
        "\"spec\":{\"selector\":{\"a\":\"b\"}}}",
        "spec.template: Required value");
    expect_create(
        "{\"apiVersion\":\"apps/"
        "v1\",\"kind\":\"ReplicaSet\",\"metadata\":{\"name\":\"r\",\"namespace\":\"n\"},\"spec\":{"
        "\"selector\":{\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{"
        "\"restartPolicy\":\"Never\",\"activeDeadlineSeconds\":3,\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}}}",
        "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"\n"
        "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported");
}

static void test_configuration(void **state) {
    expect_create("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\",\"namespace\":\"n\"},"
                  "\"data\":{\"a b\":"
                  "\"\"}}",
                  "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', "
                  "'_' or '.' "
                  "(e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')");
    expect_update("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\",\"namespace\":\"n\"},"
                  "\"data\":{\"a\":"
                  "\"1\"},\"immutable\":true}",
                  "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"c\",\"namespace\":\"n\"},"
                  "\"data\":{\"a\":"
                  "\"2\"}}",
                  "immutable: Forbidden: field is immutable when `immutable` is set\n"
                  "data: Forbidden: field is immutable when `immutable` is set");
    expect_create(
        "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\",\"namespace\":\"n\"},\"type\":"
        "\"kubernetes.io/tls\",\"data\":{\"tls.crt\":\"\"}}",
        "data[tls.key]: Required value");
    expect_update("{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\",\"namespace\":\"n\"}}",
                  "{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\",\"namespace\":\"n\"},"
                  "\"type\":\"x/y\"}",
                  "type: Invalid value: \"x/y\": field is immutable");
}

static void test_service(void **state) {
    expect_create(SERVICE("\"ports\":[{\"port\":80}],\"selector\":{\"a\":\"b\"}"), "");
    expect_create(SERVICE("\"type\":\"ClusterIP\""), "spec.ports: Required value");
    expect_create(SERVICE("\"clusterIP\":\"None\""), "");
    expect_create(SERVICE("\"ports\":[{\"port\":80},{\"port\":80,\"name\":\"b\",\"nodePort\":30000}]"),
                  "spec.ports[0].name: Required value\n"
                  "spec.ports[1].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'\n"
                  "spec.ports[1]: Duplicate value: {\"port\":80,\"protocol\":\"TCP\"}");
    expect_create(SERVICE("\"type\":\"ExternalName\""), "spec.externalName: Required value");
    expect_create(
        SERVICE("\"ports\":[{\"port\":0}],\"clusterIP\":\"x\""),
        "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive\n"
        "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive\n"
        "spec.clusterIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
    expect_update(SERVICE("\"ports\":[{\"port\":80}],\"clusterIP\":\"10.0.0.1\""),
                  SERVICE("\"ports\":[{\"port\":80}],\"clusterIP\":\"10.0.0.2\""),
                  "spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set");
}

static void test_cluster_kinds(void **state) {
    expect_create(
        "{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"metadata\":{\"name\":\"n\"},\"spec\":{\"taints\":[{\"key\":\"k\","
        "\"effect\":"
        "\"Stop\"},{\"key\":\"k\",\"effect\":\"NoSchedule\"},{\"key\":\"k\",\"effect\":\"NoSchedule\"}]}}",
        "metadata.taints[0].effect: Unsupported value: \"Stop\": supported values: \"NoSchedule\", "
        "\"PreferNoSchedule\", \"NoExecute\"\n"
        "metadata.taints[2]: Duplicate value: {\"key\":\"k\",\"effect\":\"NoSchedule\"}: taints must be unique by key "
        "and effect pair");
    expect_create("{\"apiVersion\":\"v1\",\"kind\":\"Event\",\"metadata\":{\"name\":\"e\",\"namespace\":\"n\"},"
                  "\"involvedObject\":{"
                  "\"namespace\":\"m\"}}",
                  "involvedObject.namespace: Invalid value: \"m\": does not match event.namespace");
    expect_create("{\"apiVersion\":\"coordination.k8s.io/"
                  "v1\",\"kind\":\"Lease\",\"metadata\":{\"name\":\"l\",\"namespace\":\"n\"},"
                  "\"spec\":{\"leaseDurationSeconds\":0,\"leaseTransitions\":-1}}",
                  "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0\n"
                  "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0");
}

static void expect_debug(const char *before, const char *after, const char *expected) {
    static const char pod[] = "{'apiVersion':'v1','kind':'Pod','metadata':{'name':'p','namespace':'d'},'spec':{"
                              "'containers':[{'name':'main','image':'i'}],'ephemeralContainers':[%s]}}";
    _cleanup_free_ char *old_text = xasprintf(pod, before), *text = xasprintf(pod, after);
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    for (char *p = old_text; (p = strchr(p, '\''));)
        *p = '"';
    for (char *p = text; (p = strchr(p, '\''));)
        *p = '"';
    _cleanup_json_ struct json *old = load(old_text), *doc = load(text);
    json_set_path(&old, json_string("1"), "metadata", "resourceVersion");
    json_set_path(&doc, json_string("1"), "metadata", "resourceVersion");
    validate_update(resource_of(doc), "ephemeralcontainers", doc, old, &errors);
    _cleanup_free_ char *got = text_of(&errors);
    assert_string_equal(got, expected);
}

/* They come through their own subresource, are never changed, and are no full containers. */
static void test_ephemeral_containers(void **state) {
#define DEBUGGER "'name':'dbg','image':'i'"
    expect_create("{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"d\"},\"spec\":"
                  "{\"containers\":[{\"name\":\"main\",\"image\":\"i\"}],\"ephemeralContainers\":[{\"name\":\"dbg\","
                  "\"image\":\"i\"}]}}",
                  "spec.ephemeralContainers: Forbidden: cannot be set on create");
    expect_debug("", "{" DEBUGGER ",'targetContainerName':'main','stdin':true,'tty':true}", "");
    expect_debug("{" DEBUGGER "}", "{" DEBUGGER "},{'name':'two','image':'i'}", "");
    expect_debug("{" DEBUGGER "}", "",
                 "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"dbg\" may not be removed\n");
    expect_debug("{" DEBUGGER "}", "{" DEBUGGER ",'command':['x']}",
                 "spec.ephemeralContainers: Forbidden: existing ephemeral containers \"dbg\" may not be changed\n"
                 "  core.EphemeralContainer{\n"
                 "  \t... // 6 identical fields\n"
                 "+ \tCommand: [\"x\"],\n"
                 "  }\n");
    expect_debug("", "{'name':'main','image':'i'}", "spec.ephemeralContainers[0].name: Duplicate value: \"main\"");
    expect_debug("", "{" DEBUGGER ",'targetContainerName':'who'}",
                 "spec.ephemeralContainers[0].targetContainerName: Not found: \"who\"");
    expect_debug("", "{" DEBUGGER ",'restartPolicy':'Always','resources':{'limits':{'cpu':'1'}}}",
                 "spec.ephemeralContainers[0].resources: Forbidden: cannot be set for an Ephemeral Container\n"
                 "spec.ephemeralContainers[0].restartPolicy: Forbidden: cannot be set for an Ephemeral Container");
}

static void test_other_kinds(void **state) {
    expect_create(
        "{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"j\",\"namespace\":\"n\",\"uid\":\"u\"},"
        "\"spec\":{\"completions\":-1,\"template\":{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}}}",
        "spec.completions: Invalid value: -1: must be greater than or equal to 0\n"
        "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"");
    expect_create(
        "{\"apiVersion\":\"batch/v1\",\"kind\":\"CronJob\",\"metadata\":{\"name\":\"j\",\"namespace\":\"n\"},\"spec\":{"
        "\"schedule\":\"* * *\",\"jobTemplate\":{\"spec\":{\"template\":{\"spec\":{\"restartPolicy\":\"Never\","
        "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}}}}}",
        "spec.schedule: Invalid value: \"* * *\": expected exactly 5 fields, found 3: [* * *]");
    expect_create(
        "{\"apiVersion\":\"rbac.authorization.k8s.io/v1\",\"kind\":\"RoleBinding\",\"metadata\":{\"name\":\"r\","
        "\"namespace\":\"n\"},\"roleRef\":{\"kind\":\"Thing\",\"name\":\"x\"},\"subjects\":[{\"kind\":\"User\"},{"
        "\"kind\":"
        "\"Robot\",\"name\":\"r\"}]}",
        "roleRef.kind: Unsupported value: \"Thing\": supported values: \"ClusterRole\", \"Role\"\n"
        "subjects[0].name: Required value\n"
        "subjects[1].kind: Unsupported value: \"Robot\": supported values: \"Group\", \"ServiceAccount\", \"User\"");
    expect_create("{\"apiVersion\":\"rbac.authorization.k8s.io/"
                  "v1\",\"kind\":\"Role\",\"metadata\":{\"name\":\"a:b\",\"namespace\":"
                  "\"n\"},\"rules\":[{\"verbs\":[\"get\"],\"apiGroups\":[\"\"]}]}",
                  "rules[0].resources: Required value: resource rules must supply at least one resource");
    expect_create(
        "{\"apiVersion\":\"networking.k8s.io/"
        "v1\",\"kind\":\"Ingress\",\"metadata\":{\"name\":\"i\",\"namespace\":\"n\"},"
        "\"spec\":{\"rules\":[{\"host\":\"1.2.3.4\",\"http\":{\"paths\":[{\"path\":\"a\",\"pathType\":\"Prefix\","
        "\"backend\":{\"service\":{\"name\":\"s\"}}}]}}]}}",
        "spec.rules[0].host: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address\n"
        "spec.rules[0].http.paths[0].path: Invalid value: \"a\": must be an absolute path\n"
        "spec.rules[0].http.paths[0].backend.service.port: Required value: port name or number is required");
    expect_create(
        "{\"apiVersion\":\"networking.k8s.io/"
        "v1\",\"kind\":\"NetworkPolicy\",\"metadata\":{\"name\":\"i\",\"namespace\":"
        "\"n\"},\"spec\":{\"podSelector\":{},\"ingress\":[{\"from\":[{\"ipBlock\":{\"cidr\":\"10.0.0.0/33\"}}]}]}}",
        "spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"10.0.0.0/33\": must be a valid CIDR value, (e.g. "
        "10.9.8.0/24 or 2001:db8::/64)");
    expect_create(
        "{\"apiVersion\":\"discovery.k8s.io/v1\",\"kind\":\"EndpointSlice\",\"metadata\":{\"name\":\"s\",\"namespace\":"
        "\"n\"},\"addressType\":\"IPv4\",\"endpoints\":[{\"addresses\":[]}],\"ports\":[{\"name\":\"a\"},{\"name\":"
        "\"a\"}]}",
        "endpoints[0].addresses: Required value: must contain at least 1 address\n"
        "ports[1].name: Duplicate value: \"a\"");
    expect_create(
        "{\"apiVersion\":\"v1\",\"kind\":\"PersistentVolumeClaim\",\"metadata\":{\"name\":\"c\",\"namespace\":\"n\"},"
        "\"spec\":{\"accessModes\":[\"Everywhere\"]}}",
        "spec.accessModes: Unsupported value: \"Everywhere\": supported values: \"ReadOnlyMany\", "
        "\"ReadWriteMany\", \"ReadWriteOnce\", \"ReadWriteOncePod\"\n"
        "spec.resources[storage]: Required value");
}

static void test_update_metadata(void **state) {
    expect_update(CONFIG("\"name\":\"a\",\"namespace\":\"n\",\"uid\":\"u\""),
                  CONFIG("\"name\":\"b\",\"namespace\":\"n\",\"uid\":\"v\""),
                  "metadata.name: Invalid value: \"b\": field is immutable\nmetadata.uid: Invalid value: \"v\": field "
                  "is immutable");
}

static void test_message(void **state) {
    _cleanup_json_ struct json *doc = load(DEPLOY(",\"replicas\":-1"));
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    validate_create(resource_of(doc), doc, &errors);
    _cleanup_free_ char *one = field_errors_message(&errors, "Deployment", "apps", "d");
    assert_string_equal(
        one, "Deployment.apps \"d\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0");
    assert_string_equal(errors.items[0].reason, "FieldValueInvalid");
    field_errors_add(&errors, "FieldValueRequired", "spec.x", NULL, NULL);
    _cleanup_free_ char *two = field_errors_message(&errors, "Pod", "", "p");
    assert_string_equal(
        two, "Pod \"p\" is invalid: [spec.replicas: Invalid value: -1: must be greater than or equal to 0, spec.x: "
             "Required value]");
}

/* A document full of mistakes is answered at once and not with megabytes. */
static void test_many_mistakes(void **state) {
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    strbuf_adds(&text, "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"p\",\"namespace\":\"n\"},"
                       "\"spec\":{\"containers\":["
                       "{\"name\":\"a\"}");
    for (int i = 0; i < 100000; i++)
        strbuf_addf(&text, ",{\"name\":\"c%d\",\"ports\":[{}]}", i);
    strbuf_adds(&text, "]}}");
    _cleanup_json_ struct json *doc = load(strbuf_str(&text));
    _cleanup_field_errors_ struct field_errors errors = FIELD_ERRORS_INIT;
    clock_t start = clock();
    validate_create(resource_of(doc), doc, &errors);
    assert_int_equal(errors.n, FIELD_ERRORS_MAX);
    if (!getenv("TEST_SLOW")) /* set where a tool makes everything slower */
        assert_true(clock() - start < 5 * CLOCKS_PER_SEC);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metadata),        cmocka_unit_test(test_pod),
        cmocka_unit_test(test_containers),      cmocka_unit_test(test_volumes),
        cmocka_unit_test(test_pod_update),      cmocka_unit_test(test_deployment),
        cmocka_unit_test(test_controllers),     cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_service),         cmocka_unit_test(test_cluster_kinds),
        cmocka_unit_test(test_other_kinds),     cmocka_unit_test(test_ephemeral_containers),
        cmocka_unit_test(test_update_metadata), cmocka_unit_test(test_message),
        cmocka_unit_test(test_many_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
