/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What objects get from classes and plugins at the door: runtime classes, protection of storage, growth of claims, new
 * nodes, namespaces that are going. */
#include "tests/unit/apiserver/server_fixture.h"

#define PODS    "/api/v1/namespaces/default/pods"
#define CLAIMS  "/api/v1/namespaces/default/persistentvolumeclaims"
#define CLASSES "/apis/node.k8s.io/v1/runtimeclasses"

static void expect(struct fixture *f, const char *method, const char *path, const char *quoted, long code) {
    _cleanup_answer_ struct answer a = say(f, method, path, quoted);
    assert_code(a, code);
}

/* more: members of the spec with a comma at the end. */
static struct answer pod(struct fixture *f, const char *name, const char *more) {
    _cleanup_free_ char *body = xasprintf("{'apiVersion':'v1','kind':'Pod','metadata':{'generateName':'%s-'},'spec':{%s"
                                          "'containers':[{'name':'c','image':'i'}]}}",
                                          name, more);
    return say(f, "POST", PODS, body);
}

static void refused(struct fixture *f, const char *more, const char *why) {
    _cleanup_answer_ struct answer a = pod(f, "p", more);
    assert_int_equal(a.code, 403);
    assert_non_null(strstr(message_of(&a), why));
    assert_int_equal(strncmp(message_of(&a), "pods \"p-", strlen("pods \"p-")), 0);
}

static void test_runtime_class(void **state) {
    struct fixture *f = *state;
    expect(
        f, "POST", CLASSES,
        "{'apiVersion':'node.k8s.io/v1','kind':'RuntimeClass','metadata':{'name':'vm'},'handler':'vm','overhead':{"
        "'podFixed':{'cpu':'250m'}},'scheduling':{'nodeSelector':{'kvm':'yes'},'tolerations':[{'key':'vm','operator':"
        "'Exists'}]}}",
        201);
    _cleanup_answer_ struct answer a = pod(f, "p", "'runtimeClassName':'vm','nodeSelector':{'disk':'ssd'},");
    assert_code(a, 201);
    const struct json *spec = json_get(a.body, "spec");
    assert_string_equal(json_str(json_path(spec, "overhead", "cpu")), "250m");
    assert_string_equal(json_str(json_path(spec, "nodeSelector", "kvm")), "yes");
    assert_string_equal(json_str(json_path(spec, "nodeSelector", "disk")), "ssd");
    bool tolerated = false;
    for (size_t i = 0; i < json_len(json_get(spec, "tolerations")); i++)
        tolerated |= json_get_is(json_at(json_get(spec, "tolerations"), i), "key", "vm");
    assert_true(tolerated);
    refused(f, "'runtimeClassName':'none',", "pod rejected: RuntimeClass \"none\" not found");
    refused(f, "'runtimeClassName':'vm','overhead':{'cpu':'1'},",
            "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead");
    refused(f, "'overhead':{'cpu':'1'},",
            "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead");
    refused(f, "'runtimeClassName':'vm','nodeSelector':{'kvm':'no'},",
            "conflict: runtimeClass.scheduling.nodeSelector[kvm] = yes; pod.spec.nodeSelector[kvm] = no");
}

/* What the class adds counts for quotas. */
static void test_overhead_is_counted(void **state) {
    struct fixture *f = *state;
    expect(f, "POST", CLASSES,
           "{'apiVersion':'node.k8s.io/v1','kind':'RuntimeClass','metadata':{'name':'vm'},'handler':'vm','overhead':{"
           "'podFixed':{'ephemeral-storage':'2Gi'}}}",
           201);
    expect(f, "POST", "/api/v1/namespaces/default/resourcequotas",
           "{'apiVersion':'v1','kind':'ResourceQuota','metadata':{'name':'q'},'spec':{'hard':{"
           "'requests.ephemeral-storage':'1Gi'}}}",
           201);
    refused(f, "'runtimeClassName':'vm',",
            "exceeded quota: q, requested: requests.ephemeral-storage=2Gi, used: requests.ephemeral-storage=0, "
            "limited: requests.ephemeral-storage=1Gi");
}

static void test_claims_grow_when_they_may(void **state) {
    struct fixture *f = *state;
    static const char more[] = "{'spec':{'resources':{'requests':{'storage':'2Gi'}}}}";
    expect(f, "POST", CLAIMS,
           "{'apiVersion':'v1','kind':'PersistentVolumeClaim','metadata':{'name':'c'},'spec':{'accessModes':["
           "'ReadWriteOnce'],'storageClassName':'gold','resources':{'requests':{'storage':'1Gi'}}}}",
           201);
    _cleanup_answer_ struct answer early = say(f, "PATCH", CLAIMS "/c", more);
    assert_code(early, 422); /* the rules come before the plugin */
    assert_non_null(strstr(message_of(&early), "spec is immutable after creation except resources.requests"));
    expect(f, "PATCH", CLAIMS "/c/status", "{'status':{'phase':'Bound'}}", 200);
    _cleanup_answer_ struct answer fixed = say(f, "PATCH", CLAIMS "/c", more);
    assert_status(fixed, 403, "Forbidden",
                  "persistentvolumeclaims \"c\" is forbidden: only dynamically provisioned pvc can be resized and the "
                  "storageclass that provisions the pvc must support resize");
    expect(f, "POST", "/apis/storage.k8s.io/v1/storageclasses",
           "{'apiVersion':'storage.k8s.io/v1','kind':'StorageClass','metadata':{'name':'gold'},'provisioner':'p',"
           "'allowVolumeExpansion':true}",
           201);
    expect(f, "PATCH", CLAIMS "/c", more, 200);
}

static void test_a_new_node_has_to_say_that_it_is_ready(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer a = say(f, "POST", "/api/v1/nodes",
                                           "{'apiVersion':'v1','kind':'Node','metadata':{'name':'n'},'spec':{'taints':["
                                           "{'key':'mine','effect':'NoExecute'}]}}");
    assert_code(a, 201);
    const struct json *taints = json_path(a.body, "spec", "taints");
    assert_int_equal(json_len(taints), 2);
    assert_true(json_get_is(json_at(taints, 1), "key", "node.kubernetes.io/not-ready"));
    assert_true(json_get_is(json_at(taints, 1), "effect", "NoSchedule"));
    expect(f, "PATCH", "/api/v1/nodes/n", "{'spec':{'taints':null}}", 200);
    _cleanup_answer_ struct answer after = ask(f, "GET", "/api/v1/nodes/n", NULL);
    assert_int_equal(json_len(json_path(after.body, "spec", "taints")), 0);
}

static void test_priority_is_kept_by_updates(void **state) {
    struct fixture *f = *state;
    expect(f, "POST", "/apis/scheduling.k8s.io/v1/priorityclasses",
           "{'apiVersion':'scheduling.k8s.io/v1','kind':'PriorityClass','metadata':{'name':'high'},'value':7,"
           "'preemptionPolicy':'Never'}",
           201);
    _cleanup_answer_ struct answer a = pod(f, "p", "'priorityClassName':'high',");
    assert_code(a, 201);
    json_del(json_edit(&a.body, "spec"), "priority");
    json_del(json_edit(&a.body, "spec"), "preemptionPolicy");
    _cleanup_free_ char *text = json_to_text(a.body);
    _cleanup_free_ char *path = xasprintf(PODS "/%s", json_str(json_path(a.body, "metadata", "name")));
    _cleanup_answer_ struct answer put = ask(f, "PUT", path, text);
    assert_code(put, 200);
    assert_int_equal(json_int_or(json_path(put.body, "spec", "priority"), 0), 7);
    assert_string_equal(json_str(json_path(put.body, "spec", "preemptionPolicy")), "Never");
}

static void test_namespaces(void **state) {
    struct fixture *f = *state;
    static const char *const immortal[] = {"default", "kube-system", "kube-public"};
    for (size_t i = 0; i < ARRAY_LEN(immortal); i++) {
        _cleanup_free_ char *path = xasprintf("/api/v1/namespaces/%s", immortal[i]);
        _cleanup_free_ char *why =
            xasprintf("namespaces \"%s\" is forbidden: this namespace may not be deleted", immortal[i]);
        _cleanup_answer_ struct answer a = ask(f, "DELETE", path, NULL);
        assert_status(a, 403, "Forbidden", why);
    }
    expect(f, "POST", "/api/v1/namespaces", "{'apiVersion':'v1','kind':'Namespace','metadata':{'name':'going'}}", 201);
    expect(f, "DELETE", "/api/v1/namespaces/going", NULL, 200);
    _cleanup_answer_ struct answer late = say(f, "POST", "/api/v1/namespaces/going/configmaps",
                                              "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'m'}}");
    assert_status(late, 403, "Forbidden",
                  "configmaps \"m\" is forbidden: unable to create new content in namespace going because it is being "
                  "terminated");
    const struct json *cause = json_at(json_path(late.body, "details", "causes"), 0);
    assert_string_equal(json_get_str(cause, "reason"), "NamespaceTerminating");
    assert_string_equal(json_get_str(cause, "field"), "metadata.namespace");
    _cleanup_answer_ struct answer nowhere = say(f, "POST", "/api/v1/namespaces/nowhere/configmaps",
                                                 "{'apiVersion':'v1','kind':'ConfigMap','metadata':{'name':'m'}}");
    assert_status(nowhere, 404, "NotFound", "namespaces \"nowhere\" not found");
}

#define F(t) cmocka_unit_test_setup_teardown(t, fixture_setup_local, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        F(test_runtime_class),
        F(test_overhead_is_counted),
        F(test_claims_grow_when_they_may),
        F(test_a_new_node_has_to_say_that_it_is_ready),
        F(test_priority_is_kept_by_updates),
        F(test_namespaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
