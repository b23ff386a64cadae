/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pod Security at the door of a real server: what is refused, who is warned, and what namespaces may say. */
#include "tests/unit/apiserver/server_fixture.h"

#define PODS "/api/v1/namespaces/strict/pods"
#define BAD_POD(name)                                                                                                  \
    "{\"metadata\":{\"name\":\"" name "\"},\"spec\":{\"hostNetwork\":true,\"containers\":[{\"name\":\"c\",\"image\":"  \
    "\"i\"}]}}"
#define GOOD_SPEC                                                                                                      \
    "{\"securityContext\":{\"runAsNonRoot\":true,\"seccompProfile\":{\"type\":\"RuntimeDefault\"}},\"containers\":[{"  \
    "\"name\":\"c\",\"image\":\"i\",\"securityContext\":{\"allowPrivilegeEscalation\":false,\"capabilities\":{"        \
    "\"drop\":[\"ALL\"]}}}]}"
#define BAD_TEMPLATE                                                                                                   \
    "\"template\":{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"restartPolicy\":\"Always\",\"containers\":[{"   \
    "\"name\":\"c\",\"image\":\"i\",\"securityContext\":{\"privileged\":true}}]}}"
#define WOULD                                                                                                          \
    "Warning: 299 - \"would violate PodSecurity \\\"baseline:latest\\\": privileged (container \\\"c\\\" must not "    \
    "set securityContext.privileged=true)\""

static void make_namespace(struct fixture *f, const char *name, const char *labels) {
    _cleanup_free_ char *body = xasprintf("{\"metadata\":{\"name\":\"%s\",\"labels\":{%s}}}", name, labels);
    _cleanup_answer_ struct answer a = ask(f, "POST", "/api/v1/namespaces", body);
    assert_code(a, 201);
}

static bool warned(const struct answer *a, const char *text) {
    return strstr(strbuf_str(&a->headers), text) != NULL;
}

static size_t n_warnings(const struct answer *a) {
    size_t n = 0;
    for (const char *p = strbuf_str(&a->headers); (p = strstr(p, "Warning: ")); p++)
        n++;
    return n;
}

static void test_enforced(void **state) {
    struct fixture *f = *state;
    make_namespace(f, "strict", "\"pod-security.kubernetes.io/enforce\":\"restricted\"");
    _cleanup_answer_ struct answer bad = ask(f, "POST", PODS, BAD_POD("x"));
    assert_status(
        bad, 403, "Forbidden",
        "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": host namespaces "
        "(hostNetwork=true), allowPrivilegeEscalation != false (container \"c\" must set "
        "securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container \"c\" must set "
        "securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or container \"c\" must set "
        "securityContext.runAsNonRoot=true), seccompProfile (pod or container \"c\" must set "
        "securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")");
    assert_int_equal(n_warnings(&bad), 0);
    _cleanup_answer_ struct answer dry = ask(f, "POST", PODS "?dryRun=All", BAD_POD("x"));
    assert_code(dry, 403);
    _cleanup_answer_ struct answer good =
        ask(f, "POST", PODS, "{\"metadata\":{\"name\":\"g\"},\"spec\":" GOOD_SPEC "}");
    assert_code(good, 201);
    assert_int_equal(n_warnings(&good), 0);
    /* ephemeral containers are looked at like the others */
    _cleanup_answer_ struct answer debug =
        ask_as(f, "PATCH", PODS "/g/ephemeralcontainers", "application/strategic-merge-patch+json", NULL,
               "{\"spec\":{\"ephemeralContainers\":[{\"name\":\"d\",\"image\":\"i\"}]}}");
    assert_code(debug, 403);
    assert_non_null(strstr(message_of(&debug), "(container \"d\" must set securityContext.allowPrivilegeEscalation"));
    /* elsewhere nobody asks */
    _cleanup_answer_ struct answer free_pod = ask(f, "POST", "/api/v1/namespaces/default/pods", BAD_POD("x"));
    assert_code(free_pod, 201);
}

/* A pod from before the labels lives on: only what matters to the standard is judged again. */
static void test_updates(void **state) {
    struct fixture *f = *state;
    make_namespace(f, "strict", "\"a\":\"b\"");
    _cleanup_answer_ struct answer old = ask(f, "POST", PODS, BAD_POD("x"));
    assert_code(old, 201);
    _cleanup_answer_ struct answer label =
        ask(f, "PATCH", "/api/v1/namespaces/strict",
            "{\"metadata\":{\"labels\":{\"pod-security.kubernetes.io/enforce\":\"baseline\"}}}");
    assert_code(label, 200);
    _cleanup_answer_ struct answer note = ask(f, "PATCH", PODS "/x", "{\"metadata\":{\"annotations\":{\"k\":\"v\"}}}");
    assert_code(note, 200);
    _cleanup_answer_ struct answer status = ask(f, "PATCH", PODS "/x/status", "{\"status\":{\"phase\":\"Running\"}}");
    assert_code(status, 200);
    _cleanup_answer_ struct answer image = ask_as(f, "PATCH", PODS "/x", "application/strategic-merge-patch+json", NULL,
                                                  "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"j\"}]}}");
    assert_status(image, 403, "Forbidden",
                  "pods \"x\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces "
                  "(hostNetwork=true)");
}

static void test_workloads(void **state) {
    struct fixture *f = *state;
    static const struct {
        const char *path, *body;
    } kinds[] = {
        {"/apis/apps/v1/namespaces/strict/deployments",
         "{\"metadata\":{\"name\":\"w\"},\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"}}," BAD_TEMPLATE "}}"},
        {"/apis/apps/v1/namespaces/strict/replicasets",
         "{\"metadata\":{\"name\":\"w\"},\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"}}," BAD_TEMPLATE "}}"},
        {"/apis/apps/v1/namespaces/strict/daemonsets",
         "{\"metadata\":{\"name\":\"w\"},\"spec\":{\"selector\":{\"matchLabels\":{\"a\":\"b\"}}," BAD_TEMPLATE "}}"},
        {"/apis/apps/v1/namespaces/strict/statefulsets",
         "{\"metadata\":{\"name\":\"w\"},\"spec\":{\"serviceName\":\"s\",\"selector\":{\"matchLabels\":{\"a\":\"b\"}}"
         "," BAD_TEMPLATE "}}"},
        {"/api/v1/namespaces/strict/replicationcontrollers",
         "{\"metadata\":{\"name\":\"w\"},\"spec\":{" BAD_TEMPLATE "}}"},
        {"/api/v1/namespaces/strict/podtemplates", "{\"metadata\":{\"name\":\"w\"}," BAD_TEMPLATE "}"},
        {"/apis/batch/v1/namespaces/strict/jobs",
         "{\"metadata\":{\"name\":\"w\"},\"spec\":{\"template\":{\"spec\":{\"restartPolicy\":\"Never\",\"containers\":["
         "{"
         "\"name\":\"c\",\"image\":\"i\",\"securityContext\":{\"privileged\":true}}]}}}}"},
        {"/apis/batch/v1/namespaces/strict/cronjobs",
         "{\"metadata\":{\"name\":\"w\"},\"spec\":{\"schedule\":\"* * * * *\",\"jobTemplate\":{\"spec\":{\"template\":{"
         "\"spec\":{\"restartPolicy\":\"Never\",\"containers\":[{\"name\":\"c\",\"image\":\"i\",\"securityContext\":{"
         "\"privileged\":true}}]}}}}}}"},
    };
    make_namespace(f, "strict", "\"pod-security.kubernetes.io/enforce\":\"baseline\""); /* warn follows it */
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        _cleanup_answer_ struct answer a = ask(f, "POST", kinds[i].path, kinds[i].body);
        assert_code(a, 201);
        if (!warned(&a, WOULD))
            fail_msg("%s: no warning:\n%s", kinds[i].path, strbuf_str(&a.headers));
        assert_int_equal(n_warnings(&a), 1);
    }
    /* a subresource says nothing of the template */
    _cleanup_answer_ struct answer scale =
        ask(f, "PATCH", "/apis/apps/v1/namespaces/strict/deployments/w/scale", "{\"spec\":{\"replicas\":3}}");
    assert_code(scale, 200);
    assert_int_equal(n_warnings(&scale), 0);
    _cleanup_answer_ struct answer update =
        ask(f, "PATCH", "/apis/apps/v1/namespaces/strict/deployments/w", "{\"spec\":{\"replicas\":4}}");
    assert_code(update, 200);
    assert_true(warned(&update, WOULD));
}

static void test_warned_pods(void **state) {
    struct fixture *f = *state;
    make_namespace(f, "strict",
                   "\"pod-security.kubernetes.io/warn\":\"baseline\",\"pod-security.kubernetes.io/"
                   "warn-version\":\"v1.20\"");
    _cleanup_answer_ struct answer a = ask(f, "POST", PODS, BAD_POD("x"));
    assert_code(a, 201);
    assert_true(warned(&a, "\"would violate PodSecurity \\\"baseline:v1.20\\\": host namespaces (hostNetwork=true)\""));
}

static void test_namespace_labels(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer bad =
        ask(f, "POST", "/api/v1/namespaces",
            "{\"metadata\":{\"name\":\"strict\",\"labels\":{\"pod-security.kubernetes.io/enforce\":\"hard\"}}}");
    assert_status(
        bad, 422, "Invalid",
        "Namespace \"strict\" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "
        "\"hard\": must be one of privileged, baseline, restricted");
    make_namespace(f, "strict", "");
    _cleanup_answer_ struct answer update =
        ask(f, "PATCH", "/api/v1/namespaces/strict",
            "{\"metadata\":{\"labels\":{\"pod-security.kubernetes.io/warn-version\":\"v2\"}}}");
    assert_status(update, 422, "Invalid",
                  "Namespace \"strict\" is invalid: metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid "
                  "value: \"v2\": must be \"latest\" or \"v1.x\"");
}

static void test_existing_pods(void **state) {
    struct fixture *f = *state;
    make_namespace(f, "strict", "");
    static const char *const pods[] = {BAD_POD("z"), BAD_POD("b"), BAD_POD("m"),
                                       "{\"metadata\":{\"name\":\"one\"},\"spec\":{\"hostPID\":true,\"containers\":[{"
                                       "\"name\":\"c\",\"image\":\"i\",\"securityContext\":{\"privileged\":true}}]}}",
                                       "{\"metadata\":{\"name\":\"fine\"},\"spec\":" GOOD_SPEC "}"};
    for (size_t i = 0; i < ARRAY_LEN(pods); i++) {
        _cleanup_answer_ struct answer a = ask(f, "POST", PODS, pods[i]);
        assert_code(a, 201);
    }
    _cleanup_answer_ struct answer tighter =
        ask(f, "PATCH", "/api/v1/namespaces/strict",
            "{\"metadata\":{\"labels\":{\"pod-security.kubernetes.io/enforce\":\"baseline\"}}}");
    assert_code(tighter, 200);
    assert_int_equal(n_warnings(&tighter), 3);
    const char *head =
        strstr(strbuf_str(&tighter.headers), "Warning: 299 - \"existing pods in namespace \\\"strict\\\" "
                                             "violate the new PodSecurity enforce level "
                                             "\\\"baseline:latest\\\"\"");
    const char *many = strstr(strbuf_str(&tighter.headers), "299 - \"b (and 2 other pods): host namespaces\"");
    const char *one = strstr(strbuf_str(&tighter.headers), "299 - \"one: host namespaces, privileged\"");
    assert_non_null(head);
    assert_non_null(many);
    assert_non_null(one);
    /* not when it is relaxed, nor when something else changes */
    _cleanup_answer_ struct answer other =
        ask(f, "PATCH", "/api/v1/namespaces/strict", "{\"metadata\":{\"labels\":{\"x\":\"y\"}}}");
    assert_int_equal(n_warnings(&other), 0);
    _cleanup_answer_ struct answer looser =
        ask(f, "PATCH", "/api/v1/namespaces/strict",
            "{\"metadata\":{\"labels\":{\"pod-security.kubernetes.io/enforce\":\"privileged\"}}}");
    assert_int_equal(n_warnings(&looser), 0);
}

/* --- settings of the server --- */

static int setup_strict(void **state) {
    struct fixture *f = xnew0(struct fixture);
    const struct api_pod_security security = {.enforce = "baseline:v1.30",
                                              .exempt_namespaces = "kube-system, strict",
                                              .exempt_users = "jane,joe",
                                              .exempt_runtime_classes = "vm"};
    fixture_new_secured(f, false, 0, &security);
    fixture_start(f);
    *state = f;
    return 0;
}

/* The code of a POST as somebody else with all rights. */
static long post_as(struct fixture *f, const char *who, const char *path, const char *body) {
    _cleanup_free_ char *url = xasprintf("http://api%s", path), *sock = fixture_path(f, "sock"),
                        *user = xasprintf("Impersonate-User: %s", who);
    struct curl_slist *h = curl_slist_append(NULL, "Content-Type: application/json");
    CURL *c = curl_easy_init();
    _cleanup_strbuf_ struct strbuf text = STRBUF_INIT;
    long code = 0;
    h = curl_slist_append(h, user);
    h = curl_slist_append(h, "Impersonate-Group: system:masters");
    curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, sock);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, h);
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, fixture_write);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &text);
    curl_easy_setopt(c, CURLOPT_TIMEOUT, 20L);
    assert_int_equal(curl_easy_perform(c), CURLE_OK);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &code);
    curl_slist_free_all(h);
    curl_easy_cleanup(c);
    return code;
}

static void test_settings(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer bad = ask(f, "POST", "/api/v1/namespaces/default/pods", BAD_POD("x"));
    assert_status(bad, 403, "Forbidden",
                  "pods \"x\" is forbidden: violates PodSecurity \"baseline:v1.30\": host namespaces "
                  "(hostNetwork=true)");
    assert_int_equal(post_as(f, "joe", "/api/v1/namespaces/default/pods", BAD_POD("j")), 201);
    assert_int_equal(post_as(f, "jack", "/api/v1/namespaces/default/pods", BAD_POD("k")), 403);
    _cleanup_answer_ struct answer system = ask(f, "POST", "/api/v1/namespaces/kube-system/pods", BAD_POD("x"));
    assert_code(system, 201);
    _cleanup_answer_ struct answer class =
        ask(f, "POST", "/apis/node.k8s.io/v1/runtimeclasses", "{\"metadata\":{\"name\":\"vm\"},\"handler\":\"vm\"}");
    assert_code(class, 201);
    _cleanup_answer_ struct answer vm = ask(
        f, "POST", "/api/v1/namespaces/default/pods",
        "{\"metadata\":{\"name\":\"v\"},\"spec\":{\"runtimeClassName\":\"vm\",\"hostNetwork\":true,\"containers\":[{"
        "\"name\":\"c\",\"image\":\"i\"}]}}");
    assert_code(vm, 201);
    _cleanup_answer_ struct answer label =
        ask(f, "POST", "/api/v1/namespaces",
            "{\"metadata\":{\"name\":\"strict\",\"labels\":{\"pod-security.kubernetes.io/enforce\":\"restricted\"}}}");
    assert_code(label, 201);
    assert_true(warned(&label, "namespace \\\"strict\\\" is exempt from Pod Security, and the policy "
                               "(enforce=restricted:v1.30) will be ignored"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_enforced, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_updates, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_workloads, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_warned_pods, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_namespace_labels, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_existing_pods, fixture_setup_local, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_settings, setup_strict, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
