/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a node writes is its own: the plugin NodeRestriction, behind the node authorizer. */
#include "tests/unit/apiserver/as.h"

#define NODES "/api/v1/nodes"
#define PODS  "/api/v1/namespaces/default/pods"
#define LEASE "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"

static struct answer node(struct fixture *f, const char *method, const char *path, const char *body) {
    return request_as(f, "system:node:n1", "system:nodes", method, path, body);
}

/* The node's request ends with this code, and this text behind "is forbidden: " where it is 403. */
static void expect(struct fixture *f, const char *method, const char *path, const char *body, long code,
                   const char *why) {
    _cleanup_answer_ struct answer a = node(f, method, path, body);
    const char *said = strstr(message_of(&a), "is forbidden: ");
    if (a.code != code)
        fail_msg("%s %s %s: %ld %s", method, path, body, a.code, strbuf_str(&a.text));
    if (why) {
        assert_non_null(said);
        assert_string_equal(said + strlen("is forbidden: "), why);
    }
}

static void test_nodes(void **state) {
    struct fixture *f = *state;
    given(f, NODES, "{\"metadata\":{\"name\":\"n2\"}}");
    expect(f, "POST", NODES, "{\"metadata\":{\"name\":\"n3\"}}", 403,
           "node \"n1\" is not allowed to modify node \"n3\"");
    expect(f, "POST", NODES,
           "{\"metadata\":{\"name\":\"n1\",\"labels\":{\"node-restriction.kubernetes.io/x\":\"y\",\"kubernetes.io/os\":"
           "\"linux\",\"a.kubernetes.io/b\":\"c\",\"mine\":\"z\"}}}",
           403,
           "node \"n1\" is not allowed to set the following labels: a.kubernetes.io/b, "
           "node-restriction.kubernetes.io/x");
    expect(f, "POST", NODES,
           "{\"metadata\":{\"name\":\"n1\",\"labels\":{\"kubernetes.io/os\":\"linux\",\"node.kubernetes.io/x\":\"1\","
           "\"kubelet.kubernetes.io/x\":\"1\",\"mine\":\"z\"}},\"spec\":{\"taints\":[{\"key\":\"t\",\"effect\":"
           "\"NoSchedule\"}]}}",
           201, NULL);
    expect(f, "PATCH", NODES "/n1", "{\"metadata\":{\"labels\":{\"mine\":\"y\",\"other\":\"1\"}}}", 200, NULL);
    expect(f, "PATCH", NODES "/n1", "{\"metadata\":{\"labels\":{\"x.k8s.io/y\":\"1\"}}}", 403,
           "is not allowed to modify labels: x.k8s.io/y");
    expect(f, "PATCH", NODES "/n1", "{\"spec\":{\"taints\":null}}", 403, "node \"n1\" is not allowed to modify taints");
    expect(f, "PATCH", NODES "/n1",
           "{\"metadata\":{\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"name\":\"n2\",\"uid\":\"u\"}"
           "]}}",
           403, "node \"n1\" is not allowed to modify ownerReferences");
    expect(f, "PATCH", NODES "/n2", "{\"metadata\":{\"labels\":{\"mine\":\"y\"}}}", 403,
           "node \"n1\" is not allowed to modify node \"n2\"");
    expect(f, "PATCH", NODES "/n1/status", "{\"status\":{\"phase\":\"Running\"}}", 200, NULL);
    expect(f, "PATCH", NODES "/n2/status", "{\"status\":{\"phase\":\"Running\"}}", 403,
           "node \"n1\" is not allowed to modify node \"n2\"");
    expect(f, "DELETE", NODES "/n1", NULL, 403, NULL);
    /* Whom it does not concern may all that. */
    _cleanup_answer_ struct answer root =
        ask(f, "PATCH", NODES "/n1", "{\"metadata\":{\"labels\":{\"node-restriction.kubernetes.io/x\":\"y\"}}}");
    assert_code(root, 200);
    /* and the node keeps what others set */
    expect(f, "PATCH", NODES "/n1", "{\"metadata\":{\"labels\":{\"mine\":\"again\"}}}", 200, NULL);
    expect(f, "PATCH", NODES "/n1", "{\"metadata\":{\"labels\":{\"node-restriction.kubernetes.io/x\":null}}}", 403,
           "is not allowed to modify labels: node-restriction.kubernetes.io/x");
}

/* A pod as a node makes it, with more members of metadata, owner and spec. */
static char *mirror(const char *uid, const char *owner, const char *spec) {
    return xasprintf(
        "{\"metadata\":{\"name\":\"m\",\"annotations\":{\"kubernetes.io/config.mirror\":\"h\"},"
        "\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"Node\",\"name\":\"n1\",\"uid\":\"%s\"%s}]},"
        "\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]%s}}",
        uid, owner, spec);
}

static void expect_mirror(struct fixture *f, const char *uid, const char *owner, const char *spec, long code,
                          const char *why) {
    _cleanup_free_ char *body = mirror(uid, owner, spec);
    expect(f, "POST", PODS "?dryRun=All", body, code, why);
}

#define CONTROLLER ",\"controller\":true"

static void test_mirror_pods(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer n1 = ask(f, "POST", NODES, "{\"metadata\":{\"name\":\"n1\"}}");
    const char *uid = json_str(json_path(n1.body, "metadata", "uid"));
    expect_mirror(f, uid, CONTROLLER, "", 201, NULL);
    expect_mirror(f, "other", CONTROLLER, "", 403, NULL);
    expect_mirror(f, uid, "", "", 403,
                  "node \"n1\" can only create pods with a controller owner reference set to itself");
    expect_mirror(f, uid, CONTROLLER ",\"blockOwnerDeletion\":true", "", 403,
                  "node \"n1\" must not set blockOwnerDeletion on an owner reference");
    expect_mirror(f, uid, CONTROLLER, ",\"volumes\":[{\"name\":\"v\",\"secret\":{\"secretName\":\"s\"}}]", 403,
                  "node \"n1\" can not create pods that reference secrets");
    expect_mirror(f, uid, CONTROLLER, ",\"volumes\":[{\"name\":\"v\",\"configMap\":{\"name\":\"s\"}}]", 403,
                  "node \"n1\" can not create pods that reference configmaps");
    expect_mirror(f, uid, CONTROLLER, ",\"volumes\":[{\"name\":\"v\",\"persistentVolumeClaim\":{\"claimName\":\"s\"}}]",
                  403, "node \"n1\" can not create pods that reference persistentvolumeclaims");
    expect_mirror(f, uid, CONTROLLER, ",\"serviceAccountName\":\"default\"", 403, NULL);
    expect(f, "POST", PODS,
           "{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}", 403,
           "pod does not have \"kubernetes.io/config.mirror\" annotation, node \"n1\" can only create mirror pods");
}

static void test_pods(void **state) {
    static const char pod[] = "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"nodeName\":\"%s\",\"containers\":[{\"name\":"
                              "\"c\",\"image\":\"i\"}]}}";
    static const char eviction[] =
        "{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":\"%s\"}}";
    struct fixture *f = *state;
    _cleanup_free_ char *own = xasprintf(pod, "own", "n1"), *other = xasprintf(pod, "other", "n2"),
                        *evict = xasprintf(eviction, "other"), *evict_own = xasprintf(eviction, "own");
    given(f, PODS, own);
    given(f, PODS, other);
    expect(f, "PATCH", PODS "/own/status", "{\"status\":{\"phase\":\"Running\"}}", 200, NULL);
    expect(f, "PATCH", PODS "/other/status", "{\"status\":{\"phase\":\"Running\"}}", 403,
           "node \"n1\" can only update pod status for pods with spec.nodeName set to itself");
    expect(f, "PATCH", PODS "/own/status", "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}", 403,
           "node \"n1\" cannot update labels through pod status");
    expect(f, "PATCH", PODS "/own", "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}", 403, NULL);
    expect(f, "DELETE", PODS "/other", NULL, 403, "node \"n1\" can only delete pods with spec.nodeName set to itself");
    expect(f, "POST", PODS "/other/eviction", evict, 403,
           "node n1 can only evict pods with spec.nodeName set to itself");
    expect(f, "POST", PODS "/own/eviction", evict_own, 201, NULL);
    expect(f, "DELETE", PODS "/own?gracePeriodSeconds=0", NULL, 200, NULL);
}

static void test_tokens(void **state) {
    static const char pod[] = "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"nodeName\":\"%s\",\"serviceAccountName\":"
                              "\"default\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}}";
    static const char path[] = "/api/v1/namespaces/default/serviceaccounts/default/token";
    struct fixture *f = *state;
    _cleanup_free_ char *own = xasprintf(pod, "own", "n1"), *other = xasprintf(pod, "other", "n2");
    _cleanup_answer_ struct answer a = ask(f, "POST", PODS, own), b = ask(f, "POST", PODS, other);
    static const char format[] =
        "{\"spec\":{\"boundObjectRef\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"%s\",\"uid\":\"%s\"}}}";
    const char *uid_a = json_str(json_path(a.body, "metadata", "uid")),
               *uid_b = json_str(json_path(b.body, "metadata", "uid"));
    _cleanup_free_ char *good = xasprintf(format, "own", uid_a), *foreign = xasprintf(format, "other", uid_b),
                        *old = xasprintf(format, "own", uid_b), *any = xasprintf(format, "own", "");
    expect(f, "POST", path, good, 201, NULL);
    expect(f, "POST", path, "{\"spec\":{}}", 403, "node requested token not bound to a pod");
    expect(f, "POST", path, any, 403, "node requested token with a pod binding without a uid");
    expect(f, "POST", path, foreign, 403, "node requested token bound to a pod scheduled on a different node");
    expect(f, "POST", path, old, 403, NULL);
}

static void test_leases(void **state) {
    struct fixture *f = *state;
    expect(f, "POST", LEASE, "{\"metadata\":{\"name\":\"n2\"}}", 403,
           "can only access node lease with the same name as the requesting node");
    expect(f, "POST", LEASE, "{\"metadata\":{\"name\":\"n1\"}}", 201, NULL);
    expect(f, "PATCH", LEASE "/n1", "{\"spec\":{\"holderIdentity\":\"n1\"}}", 200, NULL);
    expect(f, "POST", "/apis/storage.k8s.io/v1/csinodes", "{\"metadata\":{\"name\":\"n2\"},\"spec\":{\"drivers\":[]}}",
           403, "can only access CSINode with the same name as the requesting node");
    expect(f, "POST", "/apis/storage.k8s.io/v1/csinodes", "{\"metadata\":{\"name\":\"n1\"},\"spec\":{\"drivers\":[]}}",
           201, NULL);
}

/* The graph follows: a Secret is the node's business from the pod's binding until the pod goes. */
static void test_graph(void **state) {
    static const char pod[] =
        "{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"i\"}],"
        "\"volumes\":[{\"name\":\"v\",\"secret\":{\"secretName\":\"s\"}}]}}";
    static const char secret[] = "/api/v1/namespaces/default/secrets/s";
    struct fixture *f = *state;
    _cleanup_free_ char *one = xasprintf(pod, "one"), *two = xasprintf(pod, "two");
    given(f, "/api/v1/namespaces/default/secrets", "{\"metadata\":{\"name\":\"s\"}}");
    given(f, PODS, one);
    given(f, PODS, two);
    _cleanup_answer_ struct answer before = node(f, "GET", secret, NULL);
    assert_status(
        before, 403, "Forbidden",
        "secrets \"s\" is forbidden: User \"system:node:n1\" cannot get resource \"secrets\" in API group \"\" in "
        "the namespace \"default\": no relationship found between node 'n1' and this object");
    for (size_t i = 0; i < 2; i++) {
        const char *name = i == 0 ? "one" : "two";
        _cleanup_free_ char *path = xasprintf(PODS "/%s/binding", name),
                            *body = xasprintf(
                                "{\"metadata\":{\"name\":\"%s\"},\"target\":{\"kind\":\"Node\",\"name\":\"n1\"}}",
                                name);
        given(f, path, body);
        expect(f, "GET", secret, NULL, 200, NULL);
    }
    _cleanup_answer_ struct answer gone = ask(f, "DELETE", PODS "/one?gracePeriodSeconds=0", NULL);
    expect(f, "GET", secret, NULL, 200, NULL); /* there is another */
    _cleanup_answer_ struct answer both = ask(f, "DELETE", PODS "/two?gracePeriodSeconds=0", NULL);
    expect(f, "GET", secret, NULL, 403, NULL);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup_local, fixture_teardown)

int main(void) {
    (void) curl_global_init(CURL_GLOBAL_ALL);
    const struct CMUnitTest tests[] = {CASE(test_nodes),  CASE(test_mirror_pods), CASE(test_pods),
                                       CASE(test_tokens), CASE(test_leases),      CASE(test_graph)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
