/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bootstrap tokens and the objects every cluster has, on a real server with the controllers that keep them. */
#include "tests/unit/apiserver/server_fixture.h"

#include <gnutls/crypto.h>

#include "orchestrator/apiserver/local_client.h"
#include "orchestrator/controller/clusterinfo/controller.h"
#include "orchestrator/controller/clusterinfo/decide.h"
#include "orchestrator/controller/serviceaccount/controller.h"
#include "orchestrator/controller/tokencleaner/controller.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/base64.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"

#define SECRETS "/api/v1/namespaces/kube-system/secrets"
#define INFO    "/api/v1/namespaces/kube-public/configmaps/cluster-info"
#define AUTH    "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
#define ROOT_CA "/api/v1/namespaces/default/configmaps/kube-root-ca.crt"
#define CLASSES "/apis/scheduling.k8s.io/v1/priorityclasses"
#define TOKEN   "abcdef.0123456789abcdef"
#define JOIN    "system:bootstrappers:podium:join"

static const struct controller_ops *const controllers[] = {&cluster_info_controller, &token_cleaner_controller,
                                                           &serviceaccount_controller};

struct world {
    struct fixture f;
    sd_event *loop;
    struct client *client;
    struct controller_env env;
    void *handles[ARRAY_LEN(controllers)];
};

static int world_setup(void **state) {
    struct world *w = xnew0(struct world);

    fixture_new(&w->f, true, 0);
    fixture_start(&w->f);
    assert_true(sd_event_new(&w->loop) >= 0);
    assert_int_equal(local_client_new(w->loop, w->f.api, "system:kube-controller-manager", NULL, &w->client, NULL), 0);
    w->env = (struct controller_env){
        .loop = w->loop,
        .client = w->client,
        .informers = informer_set_new(w->loop, w->client),
        .options = {.ca_pem = "-----AUTHORITY-----", .api_address = "192.0.2.1", .api_port = 6443}};
    for (size_t i = 0; i < ARRAY_LEN(controllers); i++)
        assert_int_equal(controllers[i]->start(&w->env, &w->handles[i], NULL), 0);
    *state = w;
    return 0;
}

static int world_teardown(void **state) {
    struct world *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(controllers); i++)
        controllers[i]->free(w->handles[i]);
    informer_set_free(w->env.informers);
    client_free(w->client);
    sd_event_unref(w->loop);
    fixture_finish(&w->f);
    free(w);
    return 0;
}

/* Until the object at the path has (or, text NULL, has not) this member of data; "" any text. */
static void wait_for(struct world *w, const char *path, const char *key, const char *text) {
    uint64_t end = now_monotonic_usec() + 20 * USEC_PER_SEC;
    for (;;) {
        _cleanup_answer_ struct answer a = ask(&w->f, "GET", path, NULL);
        const char *have = json_str(json_path(a.body, "data", key));
        if (text ? have && (!*text || strcmp(have, text) == 0) : !have)
            return;
        assert_true(now_monotonic_usec() < end);
        assert_true(sd_event_run(w->loop, 20 * USEC_PER_MSEC) >= 0);
    }
}

static void wait_while(struct world *w, const char *path, const char *key, const char *text) {
    uint64_t end = now_monotonic_usec() + 20 * USEC_PER_SEC;
    for (;;) {
        _cleanup_answer_ struct answer a = ask(&w->f, "GET", path, NULL);
        if (strcmp(json_str_or(json_path(a.body, "data", key), text), text) != 0)
            return;
        assert_true(now_monotonic_usec() < end);
        assert_true(sd_event_run(w->loop, 20 * USEC_PER_MSEC) >= 0);
    }
}

static void add(struct strbuf *body, const char *key, const char *value) {
    _cleanup_free_ char *text = base64_encode(value, strlen(value));
    if (*value)
        strbuf_addf(body, ",\"%s\":\"%s\"", key, text);
}

/* "" leaves a member out. */
static void make_token(struct world *w, const char *id, const char *use, const char *groups, const char *expiration) {
    _cleanup_strbuf_ struct strbuf body = STRBUF_INIT;

    strbuf_addf(&body,
                "{\"metadata\":{\"name\":\"bootstrap-token-%s\"},\"type\":\"bootstrap.kubernetes.io/token\",\"data\":{"
                "\"token-secret\":\"MDEyMzQ1Njc4OWFiY2RlZg==\"",
                id);
    add(&body, "token-id", id);
    add(&body, "usage-bootstrap-authentication", use);
    add(&body, "usage-bootstrap-signing", use);
    add(&body, "auth-extra-groups", groups);
    add(&body, "expiration", expiration);
    strbuf_adds(&body, "}}");
    _cleanup_answer_ struct answer a = ask(&w->f, "POST", SECRETS, strbuf_str(&body));
    assert_code(a, 201);
}

static struct answer with_token(struct world *w, const char *token, const char *method, const char *path,
                                const char *body) {
    CURL *c = curl_easy_init();
    _cleanup_free_ char *url = xasprintf("https://127.0.0.1:%d%s", apiserver_port(w->f.api), path);
    _cleanup_free_ char *ca = fixture_path(&w->f, "ca.crt");
    curl_easy_setopt(c, CURLOPT_CAINFO, ca);
    curl_easy_setopt(c, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, token);
    struct answer a = request_on(c, url, method, NULL, NULL, body);
    curl_easy_cleanup(c);
    return a;
}

#define WHO      "/apis/authentication.k8s.io/v1/selfsubjectreviews"
#define WHO_BODY "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"SelfSubjectReview\"}"

static long code_of(struct world *w, const char *token) {
    _cleanup_answer_ struct answer a = with_token(w, token, "POST", WHO, WHO_BODY);
    return a.code;
}

static void soon(char out[TIMESTAMP_SIZE], int64_t seconds) {
    timestamp_format((uint64_t) ((int64_t) now_realtime_usec() + seconds * (int64_t) USEC_PER_SEC), out);
}

static void test_who_a_token_is(void **state) {
    struct world *w = *state;
    char later[TIMESTAMP_SIZE];

    soon(later, 3600);
    assert_int_equal(code_of(w, TOKEN), 401);
    make_token(w, "abcdef", "true", JOIN ",system:bootstrappers:x", later);
    _cleanup_answer_ struct answer a = with_token(w, TOKEN, "POST", WHO, WHO_BODY);
    assert_code(a, 201);
    const struct json *user = json_path(a.body, "status", "userInfo"), *groups = json_get(user, "groups");
    assert_string_equal(json_str(json_get(user, "username")), "system:bootstrap:abcdef");
    assert_string_equal(json_str(json_at(groups, 0)), "system:bootstrappers");
    assert_string_equal(json_str(json_at(groups, 1)), JOIN);
    assert_string_equal(json_str(json_at(groups, 2)), "system:bootstrappers:x");
    assert_string_equal(json_str(json_at(groups, 3)), "system:authenticated");
    assert_int_equal(code_of(w, "abcdef.0123456789abcdee"), 401);
    assert_int_equal(code_of(w, "abcdeg.0123456789abcdef"), 401);
    assert_int_equal(code_of(w, TOKEN "0"), 401);
    /* it may do what it is for, and no more */
    _cleanup_answer_ struct answer info = with_token(w, TOKEN, "GET", SECRETS, NULL);
    assert_code(info, 403);
    _cleanup_answer_ struct answer review =
        ask(&w->f, "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            "{\"spec\":{\"user\":\"system:bootstrap:abcdef\",\"groups\":[\"" JOIN
            "\"],\"resourceAttributes\":{\"group\":\"certificates.k8s.io\",\"resource\":\"certificatesigningrequests\","
            "\"subresource\":\"nodeclient\",\"verb\":\"create\"}}}");
    assert_true(json_bool_or(json_path(review.body, "status", "allowed"), false));
    _cleanup_answer_ struct answer token_review =
        ask(&w->f, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", "{\"spec\":{\"token\":\"" TOKEN "\"}}");
    assert_string_equal(json_str_or(json_path(token_review.body, "status", "user", "username"), ""),
                        "system:bootstrap:abcdef");
    _cleanup_answer_ struct answer gone = ask(&w->f, "DELETE", SECRETS "/bootstrap-token-abcdef", NULL);
    assert_code(gone, 200);
    assert_int_equal(code_of(w, TOKEN), 401);
}

static void test_what_is_no_token(void **state) {
    struct world *w = *state;
    char past[TIMESTAMP_SIZE];

    soon(past, -1);
    make_token(w, "usage0", "false", "", "");
    assert_int_equal(code_of(w, "usage0.0123456789abcdef"), 401);
    make_token(w, "group0", "true", "system:masters", "");
    assert_int_equal(code_of(w, "group0.0123456789abcdef"), 401);
    make_token(w, "dated0", "true", "", past); /* before anybody cleans up */
    assert_int_equal(code_of(w, "dated0.0123456789abcdef"), 401);
    make_token(w, "dated1", "true", "", "tomorrow");
    assert_int_equal(code_of(w, "dated1.0123456789abcdef"), 401);
    make_token(w, "plain0", "true", "", "");
    assert_int_equal(code_of(w, "plain0.0123456789abcdef"), 201);
    _cleanup_answer_ struct answer opaque =
        ask(&w->f, "POST", SECRETS,
            "{\"metadata\":{\"name\":\"bootstrap-token-opaque\"},\"data\":{\"token-id\":\"b3BhcXVl\",\"token-secret\":"
            "\"MDEyMzQ1Njc4OWFiY2RlZg==\",\"usage-bootstrap-authentication\":\"dHJ1ZQ==\"}}");
    assert_code(opaque, 201);
    assert_int_equal(code_of(w, "opaque.0123456789abcdef"), 401);
}

static void test_over_and_gone(void **state) {
    struct world *w = *state;
    char past[TIMESTAMP_SIZE], near[TIMESTAMP_SIZE], far[TIMESTAMP_SIZE];

    soon(past, -5);
    soon(near, 1);
    soon(far, 3600);
    make_token(w, "past00", "true", "", past);
    make_token(w, "near00", "true", "", near);
    make_token(w, "far000", "true", "", far);
    wait_for(w, SECRETS "/bootstrap-token-past00", "token-id", NULL);
    wait_for(w, SECRETS "/bootstrap-token-near00", "token-id", NULL);
    wait_for(w, SECRETS "/bootstrap-token-far000", "token-id", "");
}

/* HMAC-SHA256 of the same parts, made here. */
static void check_signature(const char *jws, const char *text, const char *secret) {
    const char *dots = strstr(jws, "..");
    assert_non_null(dots);
    _cleanup_free_ char *payload = base64_encode(text, strlen(text));
    for (char *c = payload; *c; c++)
        *c = (char) (*c == '+' ? '-' : *c == '/' ? '_' : *c);
    payload[strcspn(payload, "=")] = 0;
    _cleanup_free_ char *both = xasprintf("%.*s.%s", (int) (dots - jws), jws, payload);
    unsigned char mac[32];
    assert_int_equal(gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret, strlen(secret), both, strlen(both), mac), 0);
    _cleanup_free_ char *want = base64_encode(mac, sizeof(mac));
    for (char *c = want; *c; c++)
        *c = (char) (*c == '+' ? '-' : *c == '/' ? '_' : *c);
    want[strcspn(want, "=")] = 0;
    assert_string_equal(dots + 2, want);
}

static void test_cluster_info(void **state) {
    struct world *w = *state;

    wait_for(w, INFO, "kubeconfig", "");
    make_token(w, "abcdef", "true", "", "");
    wait_for(w, INFO, "jws-kubeconfig-abcdef", "");
    _cleanup_answer_ struct answer a = ask(&w->f, "GET", INFO, NULL);
    const char *text = json_str(json_path(a.body, "data", "kubeconfig"));
    assert_non_null(strstr(text, "server: https://192.0.2.1:6443\n"));
    check_signature(json_str(json_path(a.body, "data", "jws-kubeconfig-abcdef")), text, "0123456789abcdef");
    /* {"alg":"HS256","kid":"abcdef"} */
    assert_int_equal(strncmp(json_str(json_path(a.body, "data", "jws-kubeconfig-abcdef")),
                             "eyJhbGciOiJIUzI1NiIsImtpZCI6ImFiY2RlZiJ9..", 42),
                     0);
    /* readable with the token, not without */
    _cleanup_answer_ struct answer mine = with_token(w, TOKEN, "GET", INFO, NULL);
    assert_code(mine, 200);
    CURL *c = curl_easy_init();
    _cleanup_free_ char *url = xasprintf("https://127.0.0.1:%d" INFO, apiserver_port(w->f.api));
    _cleanup_free_ char *ca = fixture_path(&w->f, "ca.crt");
    curl_easy_setopt(c, CURLOPT_CAINFO, ca);
    _cleanup_answer_ struct answer nobody = request_on(c, url, "GET", NULL, NULL, NULL);
    curl_easy_cleanup(c);
    assert_true(nobody.code == 401 || nobody.code == 403);
    /* a forged signature is put right; what somebody wrote into it is signed; a token's goes with it */
    _cleanup_answer_ struct answer patched =
        ask(&w->f, "PATCH", INFO, "{\"data\":{\"jws-kubeconfig-abcdef\":\"x\",\"kubeconfig\":\"mine\"}}");
    assert_code(patched, 200);
    wait_while(w, INFO, "jws-kubeconfig-abcdef", "x");
    _cleanup_answer_ struct answer b = ask(&w->f, "GET", INFO, NULL);
    check_signature(json_str(json_path(b.body, "data", "jws-kubeconfig-abcdef")), "mine", "0123456789abcdef");
    _cleanup_answer_ struct answer gone = ask(&w->f, "DELETE", SECRETS "/bootstrap-token-abcdef", NULL);
    assert_code(gone, 200);
    wait_for(w, INFO, "jws-kubeconfig-abcdef", NULL);
}

static void test_config_maps_come_back(void **state) {
    static const struct {
        const char *path, *key, *text;
    } maps[] = {
        {ROOT_CA, "ca.crt", "-----AUTHORITY-----"},
        {AUTH, "client-ca-file", "-----AUTHORITY-----"},
        {INFO, "kubeconfig", ""},
    };
    struct world *w = *state;

    for (size_t i = 0; i < ARRAY_LEN(maps); i++) {
        wait_for(w, maps[i].path, maps[i].key, maps[i].text);
        _cleanup_answer_ struct answer gone = ask(&w->f, "DELETE", maps[i].path, NULL);
        assert_code(gone, 200);
        wait_for(w, maps[i].path, maps[i].key, maps[i].text);
        _cleanup_free_ char *patch = xasprintf("{\"data\":{\"%s\":null}}", maps[i].key);
        _cleanup_answer_ struct answer emptied = ask(&w->f, "PATCH", maps[i].path, patch);
        assert_code(emptied, 200);
        wait_for(w, maps[i].path, maps[i].key, maps[i].text);
    }
}

static void test_priority_classes_of_the_system(void **state) {
    struct world *w = *state;
    _cleanup_answer_ struct answer there = ask(&w->f, "GET", CLASSES "/system-node-critical", NULL);
    assert_code(there, 200);
    assert_int_equal(json_int_or(json_get(there.body, "value"), 0), 2000001000);
    _cleanup_answer_ struct answer gone = ask(&w->f, "DELETE", CLASSES "/system-node-critical", NULL);
    assert_status(gone, 403, "Forbidden",
                  "priorityclasses.scheduling.k8s.io \"system-node-critical\" is forbidden: this is a system priority "
                  "class and cannot be deleted");
    _cleanup_answer_ struct answer changed =
        ask(&w->f, "PATCH", CLASSES "/system-cluster-critical", "{\"globalDefault\":true}");
    assert_status(
        changed, 422, "Invalid",
        "PriorityClass.scheduling.k8s.io \"system-cluster-critical\" is invalid: metadata.name: Forbidden: "
        "priority class names with 'system-' prefix are reserved for system use only. error: globalDefault of "
        "system-cluster-critical PriorityClass must be false");
    _cleanup_answer_ struct answer one_more =
        ask(&w->f, "POST", CLASSES, "{\"metadata\":{\"name\":\"system-mine\"},\"value\":5}");
    assert_code(one_more, 422);
    assert_non_null(strstr(message_of(&one_more), "error: system-mine is not a known system priority class"));
    static const char *const kept[] = {"default", "kube-system", "kube-public"};
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        _cleanup_free_ char *path = xasprintf("/api/v1/namespaces/%s", kept[i]);
        _cleanup_answer_ struct answer a = ask(&w->f, "DELETE", path, NULL);
        assert_code(a, 403);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_who_a_token_is), T(test_what_is_no_token),      T(test_over_and_gone),
        T(test_cluster_info),   T(test_config_maps_come_back), T(test_priority_classes_of_the_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
