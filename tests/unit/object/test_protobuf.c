/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "orchestrator/object/protobuf.h"
#include "orchestrator/object/resources.h"
#include "orchestrator/object/schema.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"

/* Bodies that kubectl 1.32 sent for `kubectl create …`, and what `--dry-run=client -o json` prints for the same. */
static const struct {
    const char *body, *json;
} vectors[] = {
    {"azhzAAoPCgJ2MRIJTmFtZXNwYWNlEhkKEQoBeBIAGgAiACoAMgA4AEIAEgAaAgoAGgAiAA==",
     "{\"kind\":\"Namespace\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"x\",\"creationTimestamp\":null},\"spec\":{"
     "},\"st"
     "atus\":{}}"},
    {"azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50EsEBCiMKA3dlYhIAGgRkZW1vIgAqADIAOABCAFoKCgNhcHASA3dlYhKLAQgDEgwK"
     "CgoDYXBwEgN3ZWIacQocCgASABoAIgAqADIAOABCAFoKCgNhcHASA3dlYhJREjMKBW5naW54EgpuZ2lueDoxLjI1KgAyCgoAEAAY"
     "UCIAKgBCAGoAcgCAAQCIAQCQAQCiAQAaADIAQgBKAFIAWABgAGgAggEAigEAmgEAwgEAIgIKACgAOAAaDAgAEAAYACAAKAA4ABoA"
     "IgA=",
     "{\"kind\":\"Deployment\",\"apiVersion\":\"apps/"
     "v1\",\"metadata\":{\"name\":\"web\",\"namespace\":\"demo\",\"creationTim"
     "estamp\":null,\"labels\":{\"app\":\"web\"}},\"spec\":{\"replicas\":3,\"selector\":{\"matchLabels\":{\"app\":"
     "\"web\"}},\""
     "template\":{\"metadata\":{\"creationTimestamp\":null,\"labels\":{\"app\":\"web\"}},\"spec\":{\"containers\":[{"
     "\"name"
     "\":\"nginx\",\"image\":\"nginx:1.25\",\"ports\":[{\"containerPort\":80}],\"resources\":{}}]}},\"strategy\":{}},"
     "\"sta"
     "tus\":{}}"},
    {"azhzAAoPCgJ2MRIJQ29uZmlnTWFwEicKFQoBYxIAGgRkZW1vIgAqADIAOABCABIGCgFhEgExEgYKAWISATIaACIA",
     "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"c\",\"namespace\":\"demo\","
     "\"creationTimestamp\":"
     "null},\"data\":{\"a\":\"1\",\"b\":\"2\"}}"},
    {"azhzAAoMCgJ2MRIGU2VjcmV0EicKFQoBcxIAGgRkZW1vIgAqADIAOABCABIMCgFwEgdodW50ZXIyGgAaACIA",
     "{\"kind\":\"Secret\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"s\",\"namespace\":\"demo\","
     "\"creationTimestamp\":nul"
     "l},\"data\":{\"p\":\"aHVudGVyMg==\"}}"},
    {"azhzAAoNCgJ2MRIHU2VydmljZRJmCh8KAXMSABoEZGVtbyIAKgAyADgAQgBaCAoDYXBwEgFzEj8KGwoHODAtODA4MBIDVENQGFAi"
     "BwgAEJA/GgAoABIICgNhcHASAXMaACIITm9kZVBvcnQ6AEIAUgBaAGAAaAAaAgoAGgAiAA==",
     "{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"s\",\"namespace\":\"demo\","
     "\"creationTimestamp\":nu"
     "ll,\"labels\":{\"app\":\"s\"}},\"spec\":{\"ports\":[{\"name\":\"80-8080\",\"protocol\":\"TCP\",\"port\":80,"
     "\"targetPort\":"
     "8080}],\"selector\":{\"app\":\"s\"},\"type\":\"NodePort\"},\"status\":{\"loadBalancer\":{}}}"},
    {"azhzAAoPCghiYXRjaC92MRIDSm9iEo0BChUKAWoSABoEZGVtbyIAKgAyADgAQgASajJoChAKABIAGgAiACoAMgA4AEIAElQSMQoB"
     "ahIHYnVzeWJveBoCc2gaAi1jGgdlY2hvIGhpKgBCAGoAcgCAAQCIAQCQAQCiAQAaBU5ldmVyMgBCAEoAUgBYAGAAaACCAQCKAQCa"
     "AQDCAQAaCCAAKAAwADoAGgAiAA==",
     "{\"kind\":\"Job\",\"apiVersion\":\"batch/"
     "v1\",\"metadata\":{\"name\":\"j\",\"namespace\":\"demo\",\"creationTimestamp\":"
     "null},\"spec\":{\"template\":{\"metadata\":{\"creationTimestamp\":null},\"spec\":{\"containers\":[{\"name\":"
     "\"j\",\"i"
     "mage\":\"busybox\",\"command\":[\"sh\",\"-c\",\"echo "
     "hi\"],\"resources\":{}}],\"restartPolicy\":\"Never\"}}},\"status\""
     ":{}}"},
    {"azhzAAoTCghiYXRjaC92MRIHQ3JvbkpvYhKoAQoWCgJjahIAGgRkZW1vIgAqADIAOABCABKLAQoLKi81ICogKiAqICoaACp6ChIK"
     "AmNqEgAaACIAKgAyADgAQgASZDJiChAKABIAGgAiACoAMgA4AEIAEk4SJwoCY2oSB2J1c3lib3gaBGRhdGUqAEIAagByAIABAIgB"
     "AJABAKIBABoJT25GYWlsdXJlMgBCAEoAUgBYAGAAaACCAQCKAQCaAQDCAQAaABoAIgA=",
     "{\"kind\":\"CronJob\",\"apiVersion\":\"batch/"
     "v1\",\"metadata\":{\"name\":\"cj\",\"namespace\":\"demo\",\"creationTimest"
     "amp\":null},\"spec\":{\"schedule\":\"*/5 * * * "
     "*\",\"jobTemplate\":{\"metadata\":{\"name\":\"cj\",\"creationTimestam"
     "p\":null},\"spec\":{\"template\":{\"metadata\":{\"creationTimestamp\":null},\"spec\":{\"containers\":[{\"name\":"
     "\"cj"
     "\",\"image\":\"busybox\",\"command\":[\"date\"],\"resources\":{}}],\"restartPolicy\":\"OnFailure\"}}}}},"
     "\"status\":{}"
     "}"},
    {"azhzAAokChxyYmFjLmF1dGhvcml6YXRpb24uazhzLmlvL3YxEgRSb2xlEiwKFQoBchIAGgRkZW1vIgAqADIAOABCABITCgNnZXQK"
     "BGxpc3QSABoEcG9kcxoAIgA=",
     "{\"kind\":\"Role\",\"apiVersion\":\"rbac.authorization.k8s.io/"
     "v1\",\"metadata\":{\"name\":\"r\",\"namespace\":\"demo\""
     ",\"creationTimestamp\":null},\"rules\":[{\"verbs\":[\"get\",\"list\"],\"apiGroups\":[\"\"],\"resources\":["
     "\"pods\"]}]}"},
    {"azhzAAorChxyYmFjLmF1dGhvcml6YXRpb24uazhzLmlvL3YxEgtSb2xlQmluZGluZxJcChYKAnJiEgAaBGRlbW8iACoAMgA4AEIA"
     "EhwKDlNlcnZpY2VBY2NvdW50EgAaAnNhIgRkZW1vGiQKGXJiYWMuYXV0aG9yaXphdGlvbi5rOHMuaW8SBFJvbGUaAXIaACIA",
     "{\"kind\":\"RoleBinding\",\"apiVersion\":\"rbac.authorization.k8s.io/"
     "v1\",\"metadata\":{\"name\":\"rb\",\"namespace"
     "\":\"demo\",\"creationTimestamp\":null},\"subjects\":[{\"kind\":\"ServiceAccount\",\"name\":\"sa\",\"namespace\":"
     "\"dem"
     "o\"}],\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"Role\",\"name\":\"r\"}}"},
    {"azhzAAofChRuZXR3b3JraW5nLms4cy5pby92MRIHSW5ncmVzcxJNChUKAWkSABoEZGVtbyIAKgAyADgAQgASMBouCgdmb28uY29t"
     "EiMKIQofCgQvYmFyEg8iDQoEc3ZjMRIFCgAQkD8aBlByZWZpeBoCCgAaACIA",
     "{\"kind\":\"Ingress\",\"apiVersion\":\"networking.k8s.io/"
     "v1\",\"metadata\":{\"name\":\"i\",\"namespace\":\"demo\",\"cre"
     "ationTimestamp\":null},\"spec\":{\"rules\":[{\"host\":\"foo.com\",\"http\":{\"paths\":[{\"path\":\"/"
     "bar\",\"pathType\":"
     "\"Prefix\",\"backend\":{\"service\":{\"name\":\"svc1\",\"port\":{\"number\":8080}}}}]}}]},\"status\":{"
     "\"loadBalancer\""
     ":{}}}"},
    {"azhzAAoTCgJ2MRINUmVzb3VyY2VRdW90YRI4ChUKAXESABoEZGVtbyIAKgAyADgAQgASHQoKCgNjcHUSAwoBMQoPCgZtZW1vcnkS"
     "BQoDMUdpGgAaACIA",
     "{\"kind\":\"ResourceQuota\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"q\",\"namespace\":\"demo\","
     "\"creationTimesta"
     "mp\":null},\"spec\":{\"hard\":{\"cpu\":\"1\",\"memory\":\"1Gi\"}},\"status\":{}}"},
    {"azhzAAoUCgJ2MRIOU2VydmljZUFjY291bnQSGAoWCgJzYRIAGgRkZW1vIgAqADIAOABCABoAIgA=",
     "{\"kind\":\"ServiceAccount\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"sa\",\"namespace\":\"demo\","
     "\"creationTimes"
     "tamp\":null}}"},
    {"azhzAAogCglwb2xpY3kvdjESE1BvZERpc3J1cHRpb25CdWRnZXQSOgoVCgFwEgAaBGRlbW8iACoAMgA4AEIAEhUKCQgBEAAaAzUw"
     "JRIICgYKAWESAWIaCggAGAAgACgAMAAaACIA",
     "{\"kind\":\"PodDisruptionBudget\",\"apiVersion\":\"policy/"
     "v1\",\"metadata\":{\"name\":\"p\",\"namespace\":\"demo\",\"cr"
     "eationTimestamp\":null},\"spec\":{\"minAvailable\":\"50%\",\"selector\":{\"matchLabels\":{\"a\":\"b\"}}},"
     "\"status\":{"
     "\"disruptionsAllowed\":0,\"currentHealthy\":0,\"desiredHealthy\":0,\"expectedPods\":0}}"},
    {"azhzAAoyChdhdXRob3JpemF0aW9uLms4cy5pby92MRIXU2VsZlN1YmplY3RBY2Nlc3NSZXZpZXcSOQoQCgASABoAIgAqADIAOABC"
     "ABIbChkKBGRlbW8SA2dldBoAIgAqBHBvZHMyADoAGggIABIAGgAgABoAIgA=",
     "{\"kind\":\"SelfSubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/v1\",\"metadata\":{\"creationTimest"
     "amp\":null},\"spec\":{\"resourceAttributes\":{\"namespace\":\"demo\",\"verb\":\"get\",\"resource\":\"pods\"}},"
     "\"status"
     "\":{\"allowed\":false}}"},
};

static struct json *parse(const char *text) {
    struct json *v = NULL;
    assert_int_equal(json_parse(text, strlen(text), NULL, &v, NULL), 0);
    return v;
}

static void expect_equal(const struct json *got, const struct json *want) {
    if (json_equal(got, want))
        return;
    _cleanup_free_ char *a = json_to_text(got), *b = json_to_text(want);
    fail_msg("got  %s\nwant %s", a, b);
}

static struct json *decode(const void *p, size_t n) {
    struct json *doc = NULL;
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    if (protobuf_decode(p, n, &doc, &err) < 0)
        fail_msg("%s", error_text(&err, -EINVAL));
    return doc;
}

static void normalize(struct json **doc) {
    const struct type_info *t = type_of_kind(json_str(json_get(*doc, "apiVersion")), json_str(json_get(*doc, "kind")));
    assert_int_equal(schema_decode(t, doc, NULL, NULL), 0);
}

static void test_kubectl_bodies(void **state) {
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        _cleanup_free_ uint8_t *body = NULL;
        size_t n;
        assert_int_equal(base64_decode(vectors[i].body, strlen(vectors[i].body), &body, &n), 0);
        _cleanup_json_ struct json *doc = decode(body, n), *want = parse(vectors[i].json);
        _cleanup_json_ struct json *plain = json_ref(doc);
        const char *version = json_str(json_get(want, "apiVersion")), *kind = json_str(json_get(want, "kind"));
        normalize(&want);
        normalize(&plain);
        schema_default(version, kind, &plain);
        schema_default(version, kind, &want);
        expect_equal(plain, want);
        /* and back, byte for byte */
        _cleanup_strbuf_ struct strbuf again = STRBUF_INIT;
        assert_int_equal(protobuf_encode(doc, &again, NULL), 0);
        assert_int_equal(again.len, n);
        assert_memory_equal(again.data, body, n);
    }
}

/* --- every kind, every field --- */

static struct json *sample(const struct type_info *t, unsigned depth);

static struct json *sample_value(const struct field_info *f, unsigned depth) {
    switch (f->type) {
    case FIELD_STRING:
        return json_stringf("%s-\xc3\xa9", field_name(f));
    case FIELD_BOOL:
        return json_bool(true);
    case FIELD_INT32:
        return json_int(-7);
    case FIELD_INT64:
        return json_int(INT64_MIN);
    case FIELD_DOUBLE:
        return json_double(-2.5);
    case FIELD_BYTES:
        return json_string("AAECAw==");
    case FIELD_TIME:
        return json_string("2024-02-29T12:34:56Z");
    case FIELD_MICRO_TIME:
        return json_string("2024-02-29T12:34:56.654321Z");
    case FIELD_DURATION:
        return json_string("1m30.5s");
    case FIELD_QUANTITY:
        return json_string("1500m");
    case FIELD_INT_OR_STRING:
        return depth % 2 ? json_string("25%") : json_int(8080);
    case FIELD_RAW:
        return parse("{\"raw\":[1,\"x\",null,{}]}");
    case FIELD_OBJECT:
        return sample(field_object(f), depth + 1);
    case FIELD_ONE_OF:
        if (depth % 2)
            return sample(field_object(f), depth + 1);
        return f->one_of == ONE_OF_BOOL ? json_bool(true)
                                        : parse(f->one_of == ONE_OF_STRING_ARRAY ? "[\"a\",\"b\"]" : "[{},{}]");
    }
    return NULL;
}

static struct json *sample_field(const struct field_info *f, unsigned depth) {
    struct json *v = NULL;
    if (f->container == FIELD_PLAIN)
        return sample_value(f, depth);
    if (f->container == FIELD_MAP_OF_ARRAY)
        return parse("{\"b\":[\"x\",\"y\"],\"a\":[\"\"]}");
    for (unsigned i = 0; i < 2; i++) {
        if (f->container == FIELD_ARRAY)
            json_append(&v, sample_value(f, depth));
        else
            json_set(&v, i ? "key/one" : "zwei", sample_value(f, depth));
    }
    return v;
}

static struct json *sample(const struct type_info *t, unsigned depth) {
    struct json *object = json_object();
    for (size_t i = 0; i < t->n_fields; i++) {
        const struct field_info *f = &t->fields[i];
        bool nests = f->type == FIELD_OBJECT || f->type == FIELD_ONE_OF;
        bool recursive = field_object(f) == t || strcmp(t->name, "apiextensions.v1.JSONSchemaProps") == 0;
        if (field_protobuf(f) && !(nests && (depth > 14 || (recursive && depth > 6))))
            json_set(&object, field_name(f), sample_field(f, depth));
    }
    return object;
}

static void round_trip(const char *api_version, const char *kind) {
    _cleanup_json_ struct json *doc = sample(type_of_kind(api_version, kind), 0);
    json_set(&doc, "apiVersion", json_string(api_version));
    json_set(&doc, "kind", json_string(kind));
    _cleanup_strbuf_ struct strbuf bytes = STRBUF_INIT, again = STRBUF_INIT;
    assert_int_equal(protobuf_encode(doc, &bytes, NULL), 0);
    _cleanup_json_ struct json *back = decode(bytes.data, bytes.len);
    normalize(&back);
    normalize(&doc);
    schema_default(api_version, kind, &back);
    schema_default(api_version, kind, &doc);
    expect_equal(back, doc);
    assert_int_equal(protobuf_encode(back, &again, NULL), 0);
    _cleanup_json_ struct json *third = decode(again.data, again.len);
    schema_default(api_version, kind, &third);
    expect_equal(third, doc);
}

static void test_round_trip(void **state) {
    size_t n;
    const struct resource *all = resources_all(&n);
    for (size_t i = 0; i < n; i++) {
        if (!all[i].stored && strcmp(all[i].group, "metrics.k8s.io") != 0)
            continue;
        round_trip(all[i].api_version, all[i].kind);
    }
    round_trip("policy/v1", "Eviction");
    round_trip("autoscaling/v1", "Scale");
    round_trip("v1", "Binding");
    round_trip("v1", "DeleteOptions");
    round_trip("v1", "Status");
}

static void expect_refused(const char *bytes, size_t n, int code) {
    struct json *doc = NULL;
    assert_int_equal(protobuf_decode(bytes, n, &doc, NULL), code);
    assert_null(doc);
}

static void test_malformed(void **state) {
    static const char pod[] = "k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12";
    expect_refused("", 0, -EINVAL);
    expect_refused("k8s", 3, -EINVAL);
    expect_refused("{\"kind\":\"Pod\"}", 14, -EINVAL);
    expect_refused("k8s\0", 4, -EPROTONOSUPPORT);
    for (size_t n = 5; n < sizeof(pod) - 1; n++) /* cut off anywhere but behind the type: that is an empty pod */
        if (n != 15)
            expect_refused(pod, n, -EINVAL);
#define BODY(s) ("k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12" s), sizeof(pod) - 1 + sizeof(s) - 1
    expect_refused(BODY("\x05\x0a\x7f"), -EINVAL);             /* longer than what is there */
    expect_refused(BODY("\x02\x08\x01"), -EINVAL);             /* metadata as a number */
    expect_refused(BODY("\x05\x0a\x03\x0a\x01\xff"), -EINVAL); /* a name that is not UTF-8 */
    expect_refused(BODY("\x01\x07"), -EINVAL);                 /* no such wire type */
    static const char table[] = "k8s\0\x0a\x1a\x0a\x11meta.k8s.io/v1\0\0\0\x12\x05Table";
    expect_refused(table, sizeof(table) - 1, -EPROTONOSUPPORT);
}

static void test_deep(void **state) {
    /* properties of properties, 400 levels */
    _cleanup_strbuf_ struct strbuf schema = STRBUF_INIT;
    _cleanup_json_ struct json *deep = json_object();
    for (int i = 0; i < 400; i++) {
        struct json *outer = json_object();
        json_set(&outer, "not", steal(&deep));
        deep = outer;
    }
    _cleanup_json_ struct json *version = json_object(), *crd = json_object();
    json_set_path(&version, json_ref(deep), "schema", "openAPIV3Schema");
    json_set(&crd, "apiVersion", json_string("apiextensions.k8s.io/v1"));
    json_set(&crd, "kind", json_string("CustomResourceDefinition"));
    json_append(json_edit(json_edit(&crd, "spec"), "versions"), json_ref(version));
    assert_int_equal(protobuf_encode(crd, &schema, NULL), 0);
    expect_refused(schema.data, schema.len, -EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kubectl_bodies),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
