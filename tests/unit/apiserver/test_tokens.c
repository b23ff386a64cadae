/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tokens of service accounts: how they are asked for, what they say, when they are good for something; and what pods
 * get from their account. */
#include "podium/base/base64.h"
#include "tests/unit/apiserver/server_fixture.h"

#define ACCOUNTS "/api/v1/namespaces/default/serviceaccounts"
#define PODS     "/api/v1/namespaces/default/pods"
#define REVIEWS  "/apis/authentication.k8s.io/v1/tokenreviews"
#define ISSUER   "https://kubernetes.default.svc.cluster.local"

static struct answer with_token(struct fixture *f, const char *token, const char *path) {
    CURL *c = curl_easy_init();
    _cleanup_free_ char *url = xasprintf("https://127.0.0.1:%d%s", apiserver_port(f->api), path);
    _cleanup_free_ char *ca = fixture_path(f, "ca.crt");
    curl_easy_setopt(c, CURLOPT_CAINFO, ca);
    curl_easy_setopt(c, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, token);
    struct answer a = request_on(c, url, "GET", NULL, NULL, NULL);
    curl_easy_cleanup(c);
    return a;
}

static char *token_for(struct fixture *f, const char *account, const char *spec) {
    _cleanup_free_ char *path = xasprintf(ACCOUNTS "/%s/token", account), *body = xasprintf("{\"spec\":%s}", spec);
    _cleanup_answer_ struct answer a = ask(f, "POST", path, body);
    assert_code(a, 201);
    assert_string_equal(json_str(json_get(a.body, "kind")), "TokenRequest");
    return xstrdup(json_str(json_path(a.body, "status", "token")));
}

/* The middle part of a token. */
static struct json *claims_of(const char *token) {
    const char *begin = strchr(token, '.') + 1;
    size_t n = strcspn(begin, ".");
    _cleanup_free_ char *text = xmalloc(n + 4);
    _cleanup_free_ uint8_t *bytes = NULL;
    struct json *claims = NULL;
    size_t bytes_n;
    for (size_t i = 0; i < n; i++)
        text[i] = (char) (begin[i] == '-' ? '+' : begin[i] == '_' ? '/' : begin[i]);
    while (n % 4)
        text[n++] = '=';
    assert_int_equal(base64_decode(text, n, &bytes, &bytes_n), 0);
    assert_int_equal(json_parse((char *) bytes, bytes_n, NULL, &claims, NULL), 0);
    return claims;
}

static void make_account(struct fixture *f, const char *name) {
    _cleanup_free_ char *body = xasprintf("{\"metadata\":{\"name\":\"%s\"}}", name);
    _cleanup_answer_ struct answer a = ask(f, "POST", ACCOUNTS, body);
    assert_code(a, 201);
}

static char *make_pod(struct fixture *f, const char *name, const char *account) {
    _cleanup_free_ char *body =
        xasprintf("{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"serviceAccountName\":\"%s\",\"containers\":[{\"name\":"
                  "\"c\",\"image\":\"i\"}]}}",
                  name, account);
    _cleanup_answer_ struct answer a = ask(f, "POST", PODS, body);
    assert_code(a, 201);
    return xstrdup(json_str(json_path(a.body, "metadata", "uid")));
}

static const char *text_at(const struct json *list, size_t i) {
    return json_str_or(json_at(list, i), "");
}

static void test_claims_and_user(void **state) {
    struct fixture *f = *state;
    make_account(f, "robot");
    _cleanup_free_ char *token = token_for(f, "robot", "{\"expirationSeconds\":1200}");
    _cleanup_json_ struct json *claims = claims_of(token);
    assert_string_equal(json_str(json_get(claims, "iss")), ISSUER);
    assert_string_equal(json_str(json_get(claims, "sub")), "system:serviceaccount:default:robot");
    assert_string_equal(text_at(json_get(claims, "aud"), 0), ISSUER);
    assert_int_equal(json_int_or(json_get(claims, "exp"), 0) - json_int_or(json_get(claims, "iat"), 0), 1200);
    assert_string_equal(json_str(json_path(claims, "kubernetes.io", "namespace")), "default");
    assert_string_equal(json_str(json_path(claims, "kubernetes.io", "serviceaccount", "name")), "robot");
    /* good for what its account may do: nothing yet */
    _cleanup_answer_ struct answer refused = with_token(f, token, PODS);
    assert_status(refused, 403, "Forbidden",
                  "pods is forbidden: User \"system:serviceaccount:default:robot\" cannot list resource \"pods\" in "
                  "API group \"\" in the namespace \"default\"");
    _cleanup_answer_ struct answer bind =
        ask(f, "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
            "{\"metadata\":{\"name\":\"robots\"},\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":"
            "\"ClusterRole\",\"name\":\"view\"},\"subjects\":[{\"kind\":\"ServiceAccount\",\"name\":\"robot\","
            "\"namespace\":\"default\"}]}");
    assert_code(bind, 201);
    _cleanup_answer_ struct answer allowed = with_token(f, token, PODS);
    assert_code(allowed, 200);
    /* one bit changed */
    token[strlen(token) - 20] ^= 1;
    _cleanup_answer_ struct answer forged = with_token(f, token, PODS);
    assert_code(forged, 401);
    token[strlen(token) - 20] ^= 1;
    _cleanup_answer_ struct answer gone = ask(f, "DELETE", ACCOUNTS "/robot", NULL);
    assert_code(gone, 200);
    _cleanup_answer_ struct answer after = with_token(f, token, PODS);
    assert_code(after, 401);
    make_account(f, "robot"); /* the same name is not the same account */
    _cleanup_answer_ struct answer again = with_token(f, token, PODS);
    assert_code(again, 401);
}

static void test_foreign_tokens(void **state) {
    static const char *const tokens[] = {
        "a.b.c", "..", "", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        _cleanup_answer_ struct answer a = with_token(f, *tokens[i] ? tokens[i] : "x", PODS);
        assert_code(a, 401);
    }
    _cleanup_free_ char *token = token_for(f, "default", "{\"audiences\":[\"vault\"]}");
    _cleanup_answer_ struct answer other = with_token(f, token, "/version");
    assert_code(other, 401); /* for somebody else's ears */
}

static void test_limits(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer brief =
        ask(f, "POST", ACCOUNTS "/default/token", "{\"spec\":{\"expirationSeconds\":599}}");
    assert_status(brief, 422, "Invalid",
                  "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 599: may "
                  "not specify a duration less than 10 minutes");
    _cleanup_answer_ struct answer eternal =
        ask(f, "POST", ACCOUNTS "/default/token", "{\"spec\":{\"expirationSeconds\":4294967297}}");
    assert_code(eternal, 422);
    _cleanup_answer_ struct answer nobody = ask(f, "POST", ACCOUNTS "/nobody/token", "{\"spec\":{}}");
    assert_status(nobody, 404, "NotFound", "serviceaccounts \"nobody\" not found");
    _cleanup_free_ char *token = token_for(f, "default", "{}");
    _cleanup_json_ struct json *claims = claims_of(token);
    assert_int_equal(json_int_or(json_get(claims, "exp"), 0) - json_int_or(json_get(claims, "iat"), 0), 3600);
}

static void test_bound_to_pod(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *uid = make_pod(f, "p", "default");
    _cleanup_free_ char *spec = xasprintf(
        "{\"expirationSeconds\":3607,\"boundObjectRef\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"p\","
        "\"uid\":\"%s\"}}",
        uid);
    _cleanup_free_ char *token = token_for(f, "default", spec);
    _cleanup_json_ struct json *claims = claims_of(token);
    int64_t now = json_int_or(json_get(claims, "iat"), 0);
    assert_string_equal(json_str(json_path(claims, "kubernetes.io", "pod", "uid")), uid);
    /* the token every pod gets is good for a year and says from when on that is a favour */
    assert_int_equal(json_int_or(json_path(claims, "kubernetes.io", "warnafter"), 0), now + 3607);
    assert_int_equal(json_int_or(json_get(claims, "exp"), 0), now + 365 * 86400);
    _cleanup_free_ char *body = xasprintf("{\"spec\":{\"token\":\"%s\"}}", token);
    _cleanup_answer_ struct answer good = ask(f, "POST", REVIEWS, body);
    assert_code(good, 201);
    const struct json *user = json_path(good.body, "status", "user");
    assert_true(json_bool_or(json_path(good.body, "status", "authenticated"), false));
    assert_string_equal(json_str(json_get(user, "username")), "system:serviceaccount:default:default");
    assert_string_equal(text_at(json_get(user, "groups"), 1), "system:serviceaccounts:default");
    assert_string_equal(text_at(json_path(user, "extra", "authentication.kubernetes.io/pod-name"), 0), "p");
    assert_string_equal(text_at(json_path(good.body, "status", "audiences"), 0), ISSUER);
    _cleanup_answer_ struct answer gone = ask(f, "DELETE", PODS "/p", "{\"gracePeriodSeconds\":0}");
    assert_code(gone, 200);
    _cleanup_answer_ struct answer after = ask(f, "POST", REVIEWS, body);
    assert_code(after, 201);
    assert_false(json_bool_or(json_path(after.body, "status", "authenticated"), false));
    assert_non_null(json_str(json_path(after.body, "status", "error")));
}

static void test_bound_wrongly(void **state) {
    struct fixture *f = *state;
    make_account(f, "other");
    _cleanup_free_ char *uid = make_pod(f, "q", "default");
    _cleanup_answer_ struct answer account =
        ask(f, "POST", ACCOUNTS "/other/token",
            "{\"spec\":{\"boundObjectRef\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"q\"}}}");
    assert_status(account, 400, "BadRequest",
                  "cannot bind token for serviceaccount \"other\" to pod running with different serviceaccount name.");
    _cleanup_answer_ struct answer stale =
        ask(f, "POST", ACCOUNTS "/default/token",
            "{\"spec\":{\"boundObjectRef\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":\"q\",\"uid\":\"x\"}}}");
    assert_code(stale, 409);
    _cleanup_answer_ struct answer kind =
        ask(f, "POST", ACCOUNTS "/default/token",
            "{\"spec\":{\"boundObjectRef\":{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"name\":\"q\"}}}");
    assert_code(kind, 400);
    _cleanup_answer_ struct answer absent =
        ask(f, "POST", ACCOUNTS "/default/token",
            "{\"spec\":{\"boundObjectRef\":{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"name\":\"q\"}}}");
    assert_status(absent, 404, "NotFound", "secrets \"q\" not found");
}

static void test_discovery(void **state) {
    struct fixture *f = *state;
    _cleanup_free_ char *token = token_for(f, "default", "{}");
    _cleanup_answer_ struct answer conf = with_token(f, token, "/.well-known/openid-configuration");
    assert_code(conf, 200);
    assert_string_equal(json_str(json_get(conf.body, "issuer")), ISSUER);
    _cleanup_answer_ struct answer keys = with_token(f, token, "/openid/v1/jwks");
    assert_code(keys, 200);
    assert_non_null(strstr(strbuf_str(&keys.headers), "application/jwk-set+json"));
    const struct json *key = json_at(json_get(keys.body, "keys"), 0);
    assert_string_equal(json_str(json_get(key, "kty")), "EC");
    assert_int_equal(strlen(json_str(json_get(key, "x"))), 43);
}

/* --- admission --- */

static struct answer pod_with(struct fixture *f, const char *spec) {
    _cleanup_free_ char *body = xasprintf("{\"metadata\":{\"generateName\":\"a-\"},\"spec\":%s}", spec);
    return ask(f, "POST", PODS, body);
}

static void test_token_volume(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer a = pod_with(
        f, "{\"initContainers\":[{\"name\":\"i\",\"image\":\"i\"}],\"containers\":[{\"name\":\"c\",\"image\":\"i\"},"
           "{\"name\":\"own\",\"image\":\"i\",\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":"
           "\"/var/run/secrets/kubernetes.io/serviceaccount\"}]}],\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}]}");
    assert_code(a, 201);
    const struct json *spec = json_get(a.body, "spec"), *volume = json_at(json_get(spec, "volumes"), 1);
    const char *name = json_str_or(json_get(volume, "name"), "");
    assert_string_equal(json_str(json_get(spec, "serviceAccountName")), "default");
    assert_int_equal(json_len(json_get(spec, "volumes")), 2);
    assert_memory_equal(name, "kube-api-access-", 16);
    assert_int_equal(json_len(json_path(volume, "projected", "sources")), 3);
    const struct json *init = json_at(json_get(json_at(json_get(spec, "initContainers"), 0), "volumeMounts"), 0);
    const struct json *first = json_at(json_get(json_at(json_get(spec, "containers"), 0), "volumeMounts"), 0);
    const struct json *own = json_get(json_at(json_get(spec, "containers"), 1), "volumeMounts");
    assert_string_equal(json_str(json_get(init, "name")), name);
    assert_string_equal(json_str(json_get(first, "name")), name);
    assert_true(json_bool_or(json_get(first, "readOnly"), false));
    assert_int_equal(json_len(own), 1);
    assert_string_equal(json_str(json_get(json_at(own, 0), "name")), "v");
}

static void test_no_token(void **state) {
    struct fixture *f = *state;
    _cleanup_answer_ struct answer account =
        ask(f, "POST", ACCOUNTS,
            "{\"metadata\":{\"name\":\"quiet\"},\"automountServiceAccountToken\":false,"
            "\"imagePullSecrets\":[{\"name\":\"pull\"}]}");
    assert_code(account, 201);
    _cleanup_answer_ struct answer quiet =
        pod_with(f, "{\"serviceAccountName\":\"quiet\",\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}");
    assert_code(quiet, 201);
    assert_int_equal(json_len(json_path(quiet.body, "spec", "volumes")), 0);
    assert_string_equal(json_str(json_get(json_at(json_path(quiet.body, "spec", "imagePullSecrets"), 0), "name")),
                        "pull");
    _cleanup_answer_ struct answer loud =
        pod_with(f, "{\"serviceAccountName\":\"quiet\",\"automountServiceAccountToken\":true,"
                    "\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]}");
    assert_code(loud, 201);
    assert_int_equal(json_len(json_path(loud.body, "spec", "volumes")), 1);
    _cleanup_answer_ struct answer nobody = ask(
        f, "POST", PODS,
        "{\"metadata\":{\"name\":\"n\"},\"spec\":{\"serviceAccountName\":\"nobody\",\"containers\":[{\"name\":\"c\","
        "\"image\":\"i\"}]}}");
    assert_status(nobody, 403, "Forbidden",
                  "pods \"n\" is forbidden: error looking up service account default/nobody: serviceaccount \"nobody\" "
                  "not found");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_claims_and_user, fixture_setup_tcp, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_foreign_tokens, fixture_setup_tcp, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_limits, fixture_setup_tcp, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_bound_to_pod, fixture_setup_tcp, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_bound_wrongly, fixture_setup_tcp, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_discovery, fixture_setup_tcp, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_token_volume, fixture_setup_tcp, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_no_token, fixture_setup_tcp, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
