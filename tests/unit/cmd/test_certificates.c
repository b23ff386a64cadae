/* SPDX-License-Identifier: GPL-2.0-or-later */
/* CertificateSigningRequests from end to end: a real server, the controllers on it, the real authority. */
#include "tests/unit/apiserver/server_fixture.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "orchestrator/apiserver/local_client.h"
#include "orchestrator/cmd/signing_authority.h"
#include "orchestrator/controller/certificates/controller.h"
#include "podium/base/base64.h"
#include "podium/base/clock.h"
#include "podium/base/fd.h"

#define CSRS  "/apis/certificates.k8s.io/v1/certificatesigningrequests"
#define ROLES "/apis/rbac.authorization.k8s.io/v1/clusterroles"
#define BINDS "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"

#define API_CLIENT      "kubernetes.io/kube-apiserver-client"
#define KUBELET_CLIENT  "kubernetes.io/kube-apiserver-client-kubelet"
#define KUBELET_SERVING "kubernetes.io/kubelet-serving"

struct world {
    struct fixture f;
    sd_event *loop;
    struct client *client;
    struct certificate_authority authority;
    struct controller_env env;
    void *signing, *cleaning;
    char *key_pem; /* of the request made last */
};

static int world_setup(void **state) {
    struct world *w = xnew0(struct world);
    _cleanup_(error_clear) struct error err = ERROR_INIT;

    fixture_new(&w->f, true, 0);
    fixture_start(&w->f);
    assert_true(sd_event_new(&w->loop) >= 0);
    assert_int_equal(local_client_new(w->loop, w->f.api, "system:kube-controller-manager", NULL, &w->client, &err), 0);
    w->authority = signing_authority(w->f.dir);
    w->env = (struct controller_env){.loop = w->loop,
                                     .client = w->client,
                                     .informers = informer_set_new(w->loop, w->client),
                                     .options = {.authority = &w->authority}};
    assert_int_equal(certificate_controller.start(&w->env, &w->signing, &err), 0);
    assert_int_equal(certificate_cleaner_controller.start(&w->env, &w->cleaning, &err), 0);
    *state = w;
    return 0;
}

static int world_teardown(void **state) {
    struct world *w = *state;

    certificate_cleaner_controller.free(w->cleaning);
    certificate_controller.free(w->signing);
    informer_set_free(w->env.informers);
    client_free(w->client);
    sd_event_unref(w->loop);
    fixture_finish(&w->f);
    pki_key_free(w->key_pem);
    free(w);
    return 0;
}

/* --- requests --- */

enum { SAN_DNS = 1, SAN_EMAIL = 2 };

/* A new key and a request for it, as base64. */
static char *make_request(struct world *w, const char *name, const char *organization, unsigned alternatives) {
    gnutls_x509_privkey_t key;
    gnutls_x509_crq_t crq;
    gnutls_datum_t pem, key_pem;

    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(
        gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0), 0);
    assert_int_equal(gnutls_x509_crq_init(&crq), 0);
    assert_int_equal(gnutls_x509_crq_set_version(crq, 1), 0);
    assert_int_equal(gnutls_x509_crq_set_dn_by_oid(crq, GNUTLS_OID_X520_COMMON_NAME, 0, name, (unsigned) strlen(name)),
                     0);
    if (organization)
        assert_int_equal(gnutls_x509_crq_set_dn_by_oid(crq, GNUTLS_OID_X520_ORGANIZATION_NAME, 0, organization,
                                                       (unsigned) strlen(organization)),
                         0);
    if (alternatives & SAN_DNS)
        assert_int_equal(gnutls_x509_crq_set_subject_alt_name(crq, GNUTLS_SAN_DNSNAME, "n1", 2, GNUTLS_FSAN_SET), 0);
    if (alternatives & SAN_EMAIL)
        assert_int_equal(gnutls_x509_crq_set_subject_alt_name(crq, GNUTLS_SAN_RFC822NAME, "a@b", 3, GNUTLS_FSAN_APPEND),
                         0);
    assert_int_equal(gnutls_x509_crq_set_key(crq, key), 0);
    assert_int_equal(gnutls_x509_crq_sign2(crq, key, GNUTLS_DIG_SHA256, 0), 0);
    assert_int_equal(gnutls_x509_crq_export2(crq, GNUTLS_X509_FMT_PEM, &pem), 0);
    assert_int_equal(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &key_pem), 0);
    /* GnuTLS's old name for it, which Kubernetes does not take */
    _cleanup_strbuf_ struct strbuf renamed = STRBUF_INIT;
    for (const char *at = (char *) pem.data, *new; at; at = new) {
        new = strstr(at, "NEW ");
        strbuf_add(&renamed, at, new ? (size_t) (new - at) : strlen(at));
        new = new ? new + 4 : NULL;
    }
    char *text = base64_encode(renamed.data, renamed.len);
    pki_key_free(w->key_pem);
    w->key_pem = xstrndup((char *) key_pem.data, key_pem.size);
    gnutls_free(pem.data);
    gnutls_free(key_pem.data);
    gnutls_x509_crq_deinit(crq);
    gnutls_x509_privkey_deinit(key);
    return text;
}

/* usages: JSON. */
static struct answer post_request(struct world *w, const char *name, const char *request, const char *signer,
                                  const char *usages, const char *more) {
    _cleanup_free_ char *body =
        xasprintf("{\"metadata\":{\"name\":\"%s\"},\"spec\":{\"request\":\"%s\",\"signerName\":\"%s\",\"usages\":%s,"
                  "\"username\":\"somebody-else\",\"groups\":[\"x\"]%s}}",
                  name, request, signer, usages, more);
    return ask(&w->f, "POST", CSRS, body);
}

#define CLIENT_USAGES "[\"digital signature\",\"client auth\"]"

static void create_request(struct world *w, const char *name, const char *user, const char *organization,
                           const char *signer, const char *usages) {
    _cleanup_free_ char *request = make_request(w, user, organization, 0);
    _cleanup_answer_ struct answer a = post_request(w, name, request, signer, usages, "");
    assert_code(a, 201);
}

static struct answer decide(struct world *w, const char *name, const char *type) {
    _cleanup_free_ char *path = xasprintf(CSRS "/%s/approval", name);
    _cleanup_free_ char *body = xasprintf("{\"status\":{\"conditions\":[{\"type\":\"%s\",\"status\":\"True\","
                                          "\"reason\":\"Test\",\"message\":\"m\"}]}}",
                                          type);
    return ask(&w->f, "PATCH", path, body);
}

static struct answer get_request(struct world *w, const char *name) {
    _cleanup_free_ char *path = xasprintf(CSRS "/%s", name);
    return ask(&w->f, "GET", path, NULL);
}

static bool has_condition(const struct answer *a, const char *type) {
    const struct json *list = json_path(a->body, "status", "conditions");
    for (size_t i = 0; i < json_len(list); i++)
        if (json_get_is(json_at(list, i), "type", type))
            return true;
    return false;
}

static bool reached(struct world *w, const char *name, const char *what) {
    _cleanup_answer_ struct answer a = get_request(w, name);
    if (strcmp(what, "gone") == 0)
        return a.code == 404;
    if (strcmp(what, "certificate") == 0)
        return json_str(json_path(a.body, "status", "certificate")) != NULL;
    return has_condition(&a, what);
}

static void wait_for(struct world *w, const char *name, const char *what) {
    uint64_t end = now_monotonic_usec() + 20 * USEC_PER_SEC;
    while (!reached(w, name, what)) {
        assert_true(now_monotonic_usec() < end);
        assert_true(sd_event_run(w->loop, 20 * USEC_PER_MSEC) >= 0);
    }
}

static void settle(struct world *w) {
    uint64_t end = now_monotonic_usec() + 300 * USEC_PER_MSEC;
    while (now_monotonic_usec() < end)
        assert_true(sd_event_run(w->loop, 20 * USEC_PER_MSEC) >= 0);
}

static char *certificate_of(struct world *w, const char *name) {
    _cleanup_answer_ struct answer a = get_request(w, name);
    const char *text = json_str_or(json_path(a.body, "status", "certificate"), "");
    uint8_t *pem = NULL;
    size_t n;
    assert_int_equal(base64_decode(text, strlen(text), &pem, &n), 0);
    return (char *) pem;
}

/* With a client certificate; name: of the files in the fixture's folder. */
static struct answer ask_with(struct world *w, const char *name, const char *method, const char *path, const char *type,
                              const char *body) {
    CURL *c = curl_easy_init();
    _cleanup_free_ char *url = xasprintf("https://127.0.0.1:%d%s", apiserver_port(w->f.api), path);
    _cleanup_free_ char *ca = fixture_path(&w->f, "ca.crt"), *crt = xasprintf("%s/%s.crt", w->f.dir, name),
                        *key = xasprintf("%s/%s.key", w->f.dir, name);
    curl_easy_setopt(c, CURLOPT_CAINFO, ca);
    curl_easy_setopt(c, CURLOPT_SSLCERT, crt);
    curl_easy_setopt(c, CURLOPT_SSLKEY, key);
    struct answer a = request_on(c, url, method, type, NULL, body);
    curl_easy_cleanup(c);
    return a;
}

static void allow(struct world *w, const char *name, const char *subject_kind, const char *subject, const char *rule) {
    _cleanup_free_ char *role = xasprintf("{\"metadata\":{\"name\":\"%s\"},\"rules\":[%s]}", name, rule);
    _cleanup_free_ char *bind = xasprintf(
        "{\"metadata\":{\"name\":\"%s\"},\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":"
        "\"ClusterRole\",\"name\":\"%s\"},\"subjects\":[{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"%s\","
        "\"name\":\"%s\"}]}",
        name, name, subject_kind, subject);
    _cleanup_answer_ struct answer a = ask(&w->f, "POST", ROLES, role), b = ask(&w->f, "POST", BINDS, bind);
    assert_code(a, 201);
    assert_code(b, 201);
}

/* --- tests --- */

static void test_approved_signed_and_let_in(void **state) {
    struct world *w = *state;
    _cleanup_free_ char *request = make_request(w, "jane", "devs", 0);
    _cleanup_answer_ struct answer made =
        post_request(w, "jane", request, API_CLIENT, CLIENT_USAGES, ",\"expirationSeconds\":3600");
    assert_code(made, 201);
    /* who asks is whom the server saw */
    assert_string_equal(json_str(json_path(made.body, "spec", "username")), "system:admin");
    assert_string_equal(json_str_or(json_at(json_path(made.body, "spec", "groups"), 0), ""), "system:masters");
    settle(w);
    assert_false(reached(w, "jane", "certificate"));
    _cleanup_answer_ struct answer approved = decide(w, "jane", "Approved");
    assert_code(approved, 200);
    const struct json *c = json_at(json_path(approved.body, "status", "conditions"), 0);
    assert_non_null(json_str(json_get(c, "lastUpdateTime")));
    assert_non_null(json_str(json_get(c, "lastTransitionTime")));
    wait_for(w, "jane", "certificate");
    _cleanup_free_ char *pem = certificate_of(w, "jane");
    _cleanup_(pki_identity_finish) struct pki_identity id = {0};
    assert_int_equal(pki_identity_from_pem(pem, &id, NULL), 0);
    assert_string_equal(id.common_name, "jane");
    assert_string_equal(id.organizations[0], "devs");
    int64_t left = id.expires_sec - (int64_t) (now_realtime_usec() / USEC_PER_SEC);
    assert_in_range(left, 3500, 3600);
    /* the server takes it for what it says */
    assert_int_equal(pki_install(w->f.dir, "jane", pem, w->key_pem, NULL), 0);
    _cleanup_answer_ struct answer self =
        ask_with(w, "jane", "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", NULL,
                 "{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"SelfSubjectReview\"}");
    assert_code(self, 201);
    assert_string_equal(json_str_or(json_path(self.body, "status", "userInfo", "username"), ""), "jane");
    assert_string_equal(json_str_or(json_at(json_path(self.body, "status", "userInfo", "groups"), 0), ""), "devs");
}

static void test_what_cannot_be_asked_for(void **state) {
    static const struct {
        const char *request, *signer, *usages, *more, *message;
    } rows[] = {
        {"YmFk", API_CLIENT, CLIENT_USAGES, "",
         "spec.request: Invalid value: []byte{0x62, 0x61, 0x64}: PEM block type must be CERTIFICATE REQUEST"},
        {NULL, "", CLIENT_USAGES, "", "spec.signerName: Required value"},
        {NULL, "signer", CLIENT_USAGES, "",
         "spec.signerName: Invalid value: \"signer\": must be a fully qualified domain and path of the form "
         "'example.com/signer-name'"},
        {NULL, "example/signer", CLIENT_USAGES, "",
         "spec.signerName: Invalid value: \"example\": should be a domain with at least two segments separated by "
         "dots"},
        {NULL, "kubernetes.io/legacy-unknown", CLIENT_USAGES, "",
         "spec.signerName: Invalid value: \"kubernetes.io/legacy-unknown\": the legacy signerName is not allowed via "
         "this API version"},
        {NULL, API_CLIENT, "[]", "", "spec.usages: Required value"},
        {NULL, API_CLIENT, "[\"client auth\",\"client auth\"]", "", "spec.usages[1]: Duplicate value: \"client auth\""},
        {NULL, API_CLIENT, CLIENT_USAGES, ",\"expirationSeconds\":599",
         "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)"},
    };
    struct world *w = *state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *request = rows[i].request ? xstrdup(rows[i].request) : make_request(w, "jane", NULL, 0);
        _cleanup_free_ char *want =
            xasprintf("CertificateSigningRequest.certificates.k8s.io \"bad\" is invalid: %s", rows[i].message);
        _cleanup_answer_ struct answer a =
            post_request(w, "bad", request, rows[i].signer, rows[i].usages, rows[i].more);
        assert_status(a, 422, "Invalid", want);
    }
    _cleanup_free_ char *request = make_request(w, "jane", NULL, 0);
    _cleanup_answer_ struct answer usage = post_request(w, "bad", request, API_CLIENT, "[\"flying\"]", "");
    assert_code(usage, 422);
    assert_non_null(
        strstr(message_of(&usage), "spec.usages[0]: Unsupported value: \"flying\": supported values: \"any\""));
    /* its own signature counts */
    uint8_t *pem;
    size_t n;
    assert_int_equal(base64_decode(request, strlen(request), &pem, &n), 0);
    char *last = strstr((char *) pem, "\n-----END") - 12;
    *last = *last == 'A' ? 'B' : 'A';
    _cleanup_free_ char *changed = base64_encode(pem, n);
    free(pem);
    _cleanup_answer_ struct answer forged = post_request(w, "bad", changed, API_CLIENT, CLIENT_USAGES, "");
    assert_code(forged, 422);
    assert_non_null(strstr(message_of(&forged), "x509: "));
    /* and nobody becomes a master by it */
    _cleanup_free_ char *master = make_request(w, "jane", "system:masters", 0);
    _cleanup_answer_ struct answer refused = post_request(w, "master", master, API_CLIENT, CLIENT_USAGES, "");
    assert_status(refused, 403, "Forbidden",
                  "certificatesigningrequests.certificates.k8s.io \"master\" is forbidden: use of " API_CLIENT
                  " signer with system:masters group is not allowed");
}

static void test_only_subresources_change_it(void **state) {
    struct world *w = *state;
    create_request(w, "r", "jane", NULL, "example.com/other", CLIENT_USAGES);
    _cleanup_answer_ struct answer spec =
        ask(&w->f, "PATCH", CSRS "/r",
            "{\"metadata\":{\"labels\":{\"a\":\"b\"}},\"spec\":{\"username\":\"root\"},"
            "\"status\":{\"certificate\":\"YQ==\"}}");
    assert_code(spec, 200);
    assert_string_equal(json_str(json_path(spec.body, "metadata", "labels", "a")), "b");
    assert_string_equal(json_str(json_path(spec.body, "spec", "username")), "system:admin");
    assert_null(json_path(spec.body, "status", "certificate"));
    _cleanup_answer_ struct answer approve =
        ask(&w->f, "PATCH", CSRS "/r/status",
            "{\"status\":{\"conditions\":[{\"type\":\"Approved\",\"status\":\"True\"}]}}");
    assert_status(approve, 422, "Invalid",
                  "CertificateSigningRequest.certificates.k8s.io \"r\" is invalid: status.conditions: Forbidden: "
                  "updates may not add a condition of type \"Approved\"");
    _cleanup_answer_ struct answer no =
        ask(&w->f, "PATCH", CSRS "/r/approval",
            "{\"status\":{\"conditions\":[{\"type\":\"Approved\",\"status\":\"False\"}]}}");
    assert_status(no, 422, "Invalid",
                  "CertificateSigningRequest.certificates.k8s.io \"r\" is invalid: status.conditions[0].status: "
                  "Unsupported value: \"False\": supported values: \"True\"");
    _cleanup_answer_ struct answer yes = decide(w, "r", "Approved");
    assert_code(yes, 200);
    _cleanup_answer_ struct answer both =
        ask(&w->f, "PATCH", CSRS "/r/approval",
            "{\"status\":{\"conditions\":[{\"type\":\"Approved\",\"status\":\"True\"},{\"type\":\"Denied\",\"status\":"
            "\"True\"}]}}");
    assert_code(both, 422);
    assert_non_null(strstr(message_of(&both), "Approved and Denied conditions are mutually exclusive"));
    _cleanup_answer_ struct answer back = ask(&w->f, "PATCH", CSRS "/r/approval", "{\"status\":{\"conditions\":[]}}");
    assert_status(back, 422, "Invalid",
                  "CertificateSigningRequest.certificates.k8s.io \"r\" is invalid: status.conditions: Forbidden: "
                  "updates may not remove a condition of type \"Approved\"");
    _cleanup_answer_ struct answer junk =
        ask(&w->f, "PATCH", CSRS "/r/status", "{\"status\":{\"certificate\":\"YQ==\"}}");
    assert_status(junk, 422, "Invalid",
                  "CertificateSigningRequest.certificates.k8s.io \"r\" is invalid: status.certificate: Invalid value: "
                  "\"<certificate data>\": must contain at least one CERTIFICATE PEM block");
    settle(w); /* a signer of somebody else's: nothing is signed */
    assert_false(reached(w, "r", "certificate"));
}

static void test_who_may_approve_and_sign(void **state) {
    struct world *w = *state;
    create_request(w, "r", "jane", NULL, "example.com/one", CLIENT_USAGES);
    allow(w, "touch", "User", "guest",
          "{\"apiGroups\":[\"certificates.k8s.io\"],\"resources\":[\"certificatesigningrequests/approval\","
          "\"certificatesigningrequests/status\"],\"verbs\":[\"patch\"]}");
    const char *approve = "{\"status\":{\"conditions\":[{\"type\":\"Approved\",\"status\":\"True\"}]}}";
    const char *fail = "{\"status\":{\"conditions\":[{\"type\":\"Failed\",\"status\":\"True\"}]}}";
    const char *merge = "application/merge-patch+json";
    _cleanup_answer_ struct answer a = ask_with(w, "guest", "PATCH", CSRS "/r/approval", merge, approve);
    assert_status(a, 403, "Forbidden",
                  "certificatesigningrequests.certificates.k8s.io \"r\" is forbidden: user not permitted to approve "
                  "requests with signerName \"example.com/one\"");
    _cleanup_answer_ struct answer b = ask_with(w, "guest", "PATCH", CSRS "/r/status", merge, fail);
    assert_status(b, 403, "Forbidden",
                  "certificatesigningrequests.certificates.k8s.io \"r\" is forbidden: user not permitted to sign "
                  "requests with signerName \"example.com/one\"");
    allow(w, "signer", "User", "guest",
          "{\"apiGroups\":[\"certificates.k8s.io\"],\"resources\":[\"signers\"],\"resourceNames\":[\"example.com/*\"],"
          "\"verbs\":[\"approve\"]},{\"apiGroups\":[\"certificates.k8s.io\"],\"resources\":[\"signers\"],"
          "\"resourceNames\":[\"example.com/one\"],\"verbs\":[\"sign\"]}");
    _cleanup_answer_ struct answer c = ask_with(w, "guest", "PATCH", CSRS "/r/status", merge, fail);
    assert_code(c, 200);
    const char *too =
        "{\"status\":{\"conditions\":[{\"type\":\"Failed\",\"status\":\"True\"},{\"type\":\"Denied\",\"status\":"
        "\"True\"}]}}";
    _cleanup_answer_ struct answer d = ask_with(w, "guest", "PATCH", CSRS "/r/approval", merge, too);
    assert_code(d, 200);
}

static void test_what_is_never_signed(void **state) {
    static const struct {
        const char *name, *user, *organization, *signer, *usages, *why;
        unsigned alternatives;
    } rows[] = {
        {"a", "jane", NULL, API_CLIENT, "[\"client auth\",\"server auth\"]",
         "invalid usage for client certificate: server auth", 0},
        {"b", "jane", NULL, API_CLIENT, "[\"digital signature\"]",
         "missing required usage for client certificate: client auth", 0},
        {"c", "jane", NULL, KUBELET_SERVING, "[\"digital signature\",\"server auth\"]",
         "subject organization is not system:nodes", SAN_DNS},
        {"d", "system:node:n1", "system:nodes", KUBELET_SERVING, "[\"digital signature\",\"server auth\"]",
         "DNS or IP subjectAltName is required", 0},
        {"e", "system:node:n1", "system:nodes", KUBELET_SERVING, "[\"digital signature\",\"server auth\"]",
         "Email subjectAltNames are not allowed", SAN_DNS | SAN_EMAIL},
        {"f", "n1", "system:nodes", KUBELET_CLIENT, CLIENT_USAGES,
         "subject common name does not begin with system:node:", 0},
        {"g", "system:node:n1", "system:nodes", KUBELET_CLIENT, CLIENT_USAGES, "DNS subjectAltNames are not allowed",
         SAN_DNS},
        {"h", "system:node:n1", "system:nodes", KUBELET_SERVING, CLIENT_USAGES,
         "usages did not match [digital signature key encipherment server auth]", SAN_DNS},
    };
    struct world *w = *state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *request = make_request(w, rows[i].user, rows[i].organization, rows[i].alternatives);
        _cleanup_answer_ struct answer made =
            post_request(w, rows[i].name, request, rows[i].signer, rows[i].usages, "");
        assert_code(made, 201);
        _cleanup_answer_ struct answer approved = decide(w, rows[i].name, "Approved");
        assert_code(approved, 200);
        wait_for(w, rows[i].name, "Failed");
        _cleanup_answer_ struct answer a = get_request(w, rows[i].name);
        const struct json *failed = json_at(json_path(a.body, "status", "conditions"), 1);
        assert_string_equal(json_str_or(json_get(failed, "reason"), ""), "SignerValidationFailure");
        assert_string_equal(json_str_or(json_get(failed, "message"), ""), rows[i].why);
        assert_null(json_path(a.body, "status", "certificate"));
    }
    create_request(w, "denied", "jane", NULL, API_CLIENT, CLIENT_USAGES);
    _cleanup_answer_ struct answer denied = decide(w, "denied", "Denied");
    assert_code(denied, 200);
    settle(w);
    assert_false(reached(w, "denied", "certificate"));
}

static void test_nodes_get_theirs_by_permission(void **state) {
    struct world *w = *state;
    allow(w, "nobody", "User", "nobody", "{\"apiGroups\":[\"\"],\"resources\":[\"x\"],\"verbs\":[\"get\"]}");
    allow(w, "joiner", "User", "guest",
          "{\"apiGroups\":[\"certificates.k8s.io\"],\"resources\":[\"certificatesigningrequests\"],\"verbs\":["
          "\"create\"]}");
    _cleanup_free_ char *request = make_request(w, "system:node:n1", "system:nodes", 0);
    _cleanup_free_ char *body =
        xasprintf("{\"apiVersion\":\"certificates.k8s.io/v1\",\"kind\":"
                  "\"CertificateSigningRequest\",\"metadata\":{\"name\":\"n1\"},\"spec\":{"
                  "\"request\":\"%s\",\"signerName\":\"" KUBELET_CLIENT "\",\"usages\":" CLIENT_USAGES "}}",
                  request);
    _cleanup_answer_ struct answer a = ask_with(w, "guest", "POST", CSRS, NULL, body);
    assert_code(a, 201);
    settle(w);
    assert_false(reached(w, "n1", "Approved"));
    allow(w, "approved", "User", "guest",
          "{\"apiGroups\":[\"certificates.k8s.io\"],\"resources\":[\"certificatesigningrequests/nodeclient\"],"
          "\"verbs\":[\"create\"]}");
    _cleanup_answer_ struct answer touch = ask(&w->f, "PATCH", CSRS "/n1", "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}");
    assert_code(touch, 200);
    wait_for(w, "n1", "certificate");
    _cleanup_answer_ struct answer b = get_request(w, "n1");
    assert_string_equal(json_str_or(json_get(json_at(json_path(b.body, "status", "conditions"), 0), "reason"), ""),
                        "AutoApproved");
    _cleanup_free_ char *pem = certificate_of(w, "n1");
    _cleanup_(pki_identity_finish) struct pki_identity id = {0};
    assert_int_equal(pki_identity_from_pem(pem, &id, NULL), 0);
    assert_string_equal(id.common_name, "system:node:n1");
    assert_string_equal(id.organizations[0], "system:nodes");
}

static void test_a_serving_certificate_has_the_names_asked_for(void **state) {
    struct world *w = *state;
    _cleanup_free_ char *request = make_request(w, "system:node:n1", "system:nodes", SAN_DNS);
    _cleanup_answer_ struct answer made =
        post_request(w, "n1", request, KUBELET_SERVING, "[\"digital signature\",\"server auth\"]", "");
    assert_code(made, 201);
    settle(w); /* nobody approves these by themselves */
    assert_false(reached(w, "n1", "Approved"));
    _cleanup_answer_ struct answer approved = decide(w, "n1", "Approved");
    assert_code(approved, 200);
    wait_for(w, "n1", "certificate");
    _cleanup_free_ char *pem = certificate_of(w, "n1");
    const gnutls_datum_t data = {(unsigned char *) pem, (unsigned) strlen(pem)};
    gnutls_x509_crt_t crt;
    char text[128];
    size_t n = sizeof(text);
    unsigned usage, ca, critical;
    assert_int_equal(gnutls_x509_crt_init(&crt), 0);
    assert_int_equal(gnutls_x509_crt_import(crt, &data, GNUTLS_X509_FMT_PEM), 0);
    assert_int_equal(gnutls_x509_crt_get_subject_alt_name(crt, 0, text, &n, NULL), GNUTLS_SAN_DNSNAME);
    assert_string_equal(text, "n1");
    n = sizeof(text);
    assert_true(gnutls_x509_crt_get_key_purpose_oid(crt, 0, text, &n, NULL) >= 0);
    assert_string_equal(text, GNUTLS_KP_TLS_WWW_SERVER);
    n = sizeof(text);
    assert_int_equal(gnutls_x509_crt_get_key_purpose_oid(crt, 1, text, &n, NULL),
                     GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE);
    assert_true(gnutls_x509_crt_get_key_usage(crt, &usage, NULL) >= 0);
    assert_int_equal(usage, GNUTLS_KEY_DIGITAL_SIGNATURE);
    assert_int_equal(gnutls_x509_crt_get_basic_constraints(crt, &critical, &ca, NULL), 0);
    assert_int_equal(ca, 0);
    gnutls_x509_crt_deinit(crt);
}

static void test_old_ones_go(void **state) {
    struct world *w = *state;
    create_request(w, "fresh", "jane", NULL, "example.com/other", CLIENT_USAGES);
    create_request(w, "old", "jane", NULL, "example.com/other", CLIENT_USAGES);
    _cleanup_answer_ struct answer a =
        ask(&w->f, "PATCH", CSRS "/old/approval",
            "{\"status\":{\"conditions\":[{\"type\":\"Denied\",\"status\":\"True\",\"lastUpdateTime\":"
            "\"2020-01-01T00:00:00Z\"}]}}");
    assert_code(a, 200);
    wait_for(w, "old", "gone");
    assert_false(reached(w, "fresh", "gone"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(test_approved_signed_and_let_in),
        T(test_what_cannot_be_asked_for),
        T(test_only_subresources_change_it),
        T(test_who_may_approve_and_sign),
        T(test_what_is_never_signed),
        T(test_nodes_get_theirs_by_permission),
        T(test_a_serving_certificate_has_the_names_asked_for),
        T(test_old_ones_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
