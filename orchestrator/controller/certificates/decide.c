/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "orchestrator/controller/certificates/decide.h"

#include <string.h>

#include "orchestrator/controller/ownership.h"
#include "orchestrator/object/timestamp.h"
#include "podium/base/alloc.h"
#include "podium/base/base64.h"
#include "podium/base/clock.h"

#define API_CLIENT      "kubernetes.io/kube-apiserver-client"
#define KUBELET_CLIENT  "kubernetes.io/kube-apiserver-client-kubelet"
#define KUBELET_SERVING "kubernetes.io/kubelet-serving"

void certificate_facts_finish(struct certificate_facts *f) {
    free(f->common_name);
    strv_free(f->organizations);
    strv_free(f->dns_names);
    strv_free(f->ip_addresses);
    strv_free(f->emails);
    strv_free(f->uris);
    *f = (struct certificate_facts){0};
}

/* --- reading --- */

static const char *signer(const struct json *csr) {
    return json_str_or(json_path(csr, "spec", "signerName"), "");
}

static const struct json *condition(const struct json *csr, const char *type) {
    const struct json *list = json_path(csr, "status", "conditions");
    for (size_t i = 0; i < json_len(list); i++)
        if (json_get_is(json_at(list, i), "type", type))
            return json_at(list, i);
    return NULL;
}

static bool has_certificate(const struct json *csr) {
    return *json_str_or(json_path(csr, "status", "certificate"), "");
}

char *csr_pem(const struct json *csr) {
    const char *text = json_str_or(json_path(csr, "spec", "request"), "");
    uint8_t *bytes = NULL;
    size_t n;
    return base64_decode(text, strlen(text), &bytes, &n) < 0 ? xstrdup("") : (char *) bytes;
}

bool csr_wants_signature(const struct json *csr) {
    static const char *const signers[] = {API_CLIENT, KUBELET_CLIENT, KUBELET_SERVING};
    if (meta_is_deleting(csr) || has_certificate(csr) || !condition(csr, "Approved") || condition(csr, "Denied") ||
        condition(csr, "Failed"))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(signers); i++)
        if (strcmp(signers[i], signer(csr)) == 0)
            return true;
    return false;
}

bool csr_is_undecided(const struct json *csr) {
    return !meta_is_deleting(csr) && !has_certificate(csr) && !condition(csr, "Approved") && !condition(csr, "Denied");
}

uint64_t csr_seconds(const struct json *csr) {
    int64_t wanted = json_int_or(json_path(csr, "spec", "expirationSeconds"), CSR_SECONDS_DEFAULT);
    if (wanted > CSR_SECONDS_DEFAULT)
        return CSR_SECONDS_DEFAULT;
    return wanted < CSR_SECONDS_MIN ? CSR_SECONDS_MIN : (uint64_t) wanted;
}

char **csr_usages(const struct json *csr) {
    const struct json *list = json_path(csr, "spec", "usages");
    char **usages = strv_new();
    for (size_t i = 0; i < json_len(list); i++)
        strv_push_dup(&usages, json_str_or(json_at(list, i), ""));
    return usages;
}

/* --- what may be signed --- */

static bool has_usage(const struct json *csr, const char *usage) {
    const struct json *list = json_path(csr, "spec", "usages");
    for (size_t i = 0; i < json_len(list); i++)
        if (strcmp(json_str_or(json_at(list, i), ""), usage) == 0)
            return true;
    return false;
}

/* Exactly these two, with or without "key encipherment". */
static bool usages_are(const struct json *csr, const char *auth) {
    size_t n = json_len(json_path(csr, "spec", "usages"));
    return has_usage(csr, "digital signature") && has_usage(csr, auth) &&
           n == (has_usage(csr, "key encipherment") ? 3 : 2);
}

static bool is_of_nodes(const struct certificate_facts *f) {
    return strv_len(f->organizations) == 1 && strcmp(f->organizations[0], "system:nodes") == 0;
}

static const char not_nodes[] = "subject organization is not system:nodes";
static const char no_node_name[] = "subject common name does not begin with system:node:";

static const char *kubelet_client_refusal(const struct json *csr, const struct certificate_facts *f) {
    if (!is_of_nodes(f))
        return not_nodes;
    if (*f->dns_names)
        return "DNS subjectAltNames are not allowed";
    if (*f->emails)
        return "Email subjectAltNames are not allowed";
    if (*f->ip_addresses)
        return "IP subjectAltNames are not allowed";
    if (*f->uris)
        return "URI subjectAltNames are not allowed";
    if (strncmp(f->common_name, "system:node:", 12) != 0)
        return no_node_name;
    return usages_are(csr, "client auth") ? NULL
                                          : "usages did not match [client auth digital signature key encipherment]";
}

static const char *kubelet_serving_refusal(const struct json *csr, const struct certificate_facts *f) {
    if (!is_of_nodes(f))
        return not_nodes;
    if (!*f->dns_names && !*f->ip_addresses)
        return "DNS or IP subjectAltName is required";
    if (*f->emails)
        return "Email subjectAltNames are not allowed";
    if (*f->uris)
        return "URI subjectAltNames are not allowed";
    if (!usages_are(csr, "server auth"))
        return "usages did not match [digital signature key encipherment server auth]";
    return strncmp(f->common_name, "system:node:", 12) == 0 ? NULL : no_node_name;
}

static const char *api_client_refusal(const struct json *csr, char **text) {
    static const char *const optional[] = {"digital signature", "key encipherment", "client auth"};
    const struct json *list = json_path(csr, "spec", "usages");
    for (size_t i = 0; i < json_len(list); i++) {
        const char *usage = json_str_or(json_at(list, i), "");
        bool known = false;
        for (size_t k = 0; k < ARRAY_LEN(optional); k++)
            known = known || strcmp(optional[k], usage) == 0;
        if (!known)
            return *text = xasprintf("invalid usage for client certificate: %s", usage);
    }
    return has_usage(csr, "client auth") ? NULL : "missing required usage for client certificate: client auth";
}

const char *csr_refusal(const struct json *csr, const struct certificate_facts *facts, char **text) {
    const char *name = signer(csr);
    *text = NULL;
    if (strcmp(name, KUBELET_CLIENT) == 0)
        return kubelet_client_refusal(csr, facts);
    if (strcmp(name, KUBELET_SERVING) == 0)
        return kubelet_serving_refusal(csr, facts);
    return api_client_refusal(csr, text);
}

/* --- what is approved by itself --- */

const char *csr_auto_approval(const struct json *csr, const struct certificate_facts *facts, size_t i,
                              const char **ret_message) {
    bool own = strcmp(json_str_or(json_path(csr, "spec", "username"), ""), facts->common_name) == 0;
    bool node = strcmp(signer(csr), KUBELET_CLIENT) == 0 && !kubelet_client_refusal(csr, facts);
    if (!node || i > 1)
        return NULL;
    if (own && i == 0) {
        *ret_message = "Auto approving self kubelet client certificate after SubjectAccessReview.";
        return "selfnodeclient";
    }
    if (own ? i != 1 : i != 0)
        return NULL;
    *ret_message = "Auto approving kubelet client certificate after SubjectAccessReview.";
    return "nodeclient";
}

struct json *csr_access_review(const struct json *csr, const char *permission) {
    static const char *const copied[][2] = {
        {"username", "user"}, {"uid", "uid"}, {"groups", "groups"}, {"extra", "extra"}};
    struct json *review = json_object(), *spec = json_object(), *attributes = json_object();
    for (size_t i = 0; i < ARRAY_LEN(copied); i++) {
        struct json *v = json_path(csr, "spec", copied[i][0]);
        if (v)
            json_set(&spec, copied[i][1], json_ref(v));
    }
    json_set(&attributes, "group", json_string("certificates.k8s.io"));
    json_set(&attributes, "resource", json_string("certificatesigningrequests"));
    json_set(&attributes, "subresource", json_string(permission));
    json_set(&attributes, "verb", json_string("create"));
    json_set(&spec, "resourceAttributes", attributes);
    json_set(&review, "apiVersion", json_string("authorization.k8s.io/v1"));
    json_set(&review, "kind", json_string("SubjectAccessReview"));
    json_set(&review, "spec", spec);
    return review;
}

/* --- writing --- */

struct json *csr_with_condition(const struct json *csr, const char *type, const char *reason, const char *message) {
    struct json *o = json_ref(csr), *c = json_object();
    json_set(&c, "type", json_string(type));
    json_set(&c, "status", json_string("True"));
    json_set(&c, "reason", json_string(reason));
    json_set(&c, "message", json_string(message));
    json_append(json_edit(json_edit(&o, "status"), "conditions"), c);
    return o;
}

struct json *csr_with_certificate(const struct json *csr, const char *pem) {
    struct json *o = json_ref(csr);
    _cleanup_free_ char *text = base64_encode(pem, strlen(pem));
    json_set_path(&o, json_string(text), "status", "certificate");
    return o;
}

/* --- the end --- */

static void take_end(uint64_t *end, const struct json *since, uint64_t seconds) {
    uint64_t usec;
    if (json_str(since) && timestamp_parse(json_str(since), &usec) == 0 && usec + seconds * USEC_PER_SEC < *end)
        *end = usec + seconds * USEC_PER_SEC;
}

uint64_t csr_end(const struct json *csr, int64_t certificate_end) {
    const struct json *approved = condition(csr, "Approved");
    uint64_t end = UINT64_MAX;
    if (json_len(json_path(csr, "status", "conditions")) == 0)
        take_end(&end, json_path(csr, "metadata", "creationTimestamp"), CSR_PENDING_SECONDS);
    take_end(&end, json_get(condition(csr, "Denied"), "lastUpdateTime"), CSR_DECIDED_SECONDS);
    take_end(&end, json_get(condition(csr, "Failed"), "lastUpdateTime"), CSR_DECIDED_SECONDS);
    take_end(&end, json_get(approved, "lastUpdateTime"),
             has_certificate(csr) ? CSR_DECIDED_SECONDS : CSR_PENDING_SECONDS);
    if (approved && certificate_end > 0 && (uint64_t) certificate_end * USEC_PER_SEC < end)
        end = (uint64_t) certificate_end * USEC_PER_SEC;
    return end;
}
