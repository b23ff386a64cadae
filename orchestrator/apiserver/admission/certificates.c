/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CertificateSigningRequests: who asks is written by the server, what is asked for is readable, who approves and signs
 * may do that for the signer, and nobody gets to be system:masters by a signature. Upstream's strategy of the kind and
 * its plugins CertificateApproval, CertificateSigning and CertificateSubjectRestriction.
 */
#include <string.h>

#include "orchestrator/apiserver/admission/admission.h"
#include "orchestrator/apiserver/admission/certificates.h"
#include "orchestrator/apiserver/authz/authorize.h"
#include "orchestrator/apiserver/server.h"
#include "orchestrator/apiserver/status.h"
#include "orchestrator/object/timestamp.h"
#include "orchestrator/object/validation.h"
#include "orchestrator/pki/pki.h"
#include "podium/base/alloc.h"
#include "podium/base/clock.h"

#define API_CLIENT_SIGNER "kubernetes.io/kube-apiserver-client"

static bool is_request(const struct api_request *req) {
    return strcmp(req->resource->key, "certificatesigningrequests.certificates.k8s.io") == 0;
}

static bool is_sub(const struct api_request *req, const char *name) {
    return req->sub && strcmp(req->sub->name, name) == 0;
}

static const char *signer_of(const struct json *doc) {
    return json_str_or(json_path(doc, "spec", "signerName"), "");
}

/* --- who asks, and when something was decided --- */

static void set_or_delete(struct json **object, const char *key, struct json *take) {
    if (take)
        json_set(object, key, take);
    else
        json_del(object, key);
}

static void write_requester(const struct api_user *user, struct json **doc) {
    struct json **spec = json_edit(doc, "spec"), *groups = NULL;

    for (char **g = user->groups; g && *g; g++)
        json_append(&groups, json_string(*g));
    json_set(spec, "username", json_string(user->name));
    set_or_delete(spec, "uid", user->uid && *user->uid ? json_string(user->uid) : NULL);
    set_or_delete(spec, "groups", groups);
    set_or_delete(spec, "extra", user->extra ? json_ref(user->extra) : NULL);
}

static const struct json *condition_of(const struct json *doc, const struct json *like) {
    const struct json *list = json_path(doc, "status", "conditions");

    for (size_t i = 0; i < json_len(list); i++)
        if (json_get_is(json_at(list, i), "type", json_get_str(like, "type")) &&
            json_get_is(json_at(list, i), "status", json_get_str(like, "status")))
            return json_at(list, i);
    return NULL;
}

static void write_times(const struct json *old, struct json **doc) {
    char now[TIMESTAMP_SIZE];
    size_t n = json_len(json_path(*doc, "status", "conditions"));

    timestamp_format(now_realtime_usec(), now);
    for (size_t i = 0; i < n; i++) {
        const struct json *c = json_at(json_path(*doc, "status", "conditions"), i), *was = condition_of(old, c);
        struct json *since = json_get(was, "lastTransitionTime");
        bool updated = !json_is_null(json_get(c, "lastUpdateTime"));
        bool changed = !json_is_null(json_get(c, "lastTransitionTime"));
        if (!json_is_object(c) || (updated && changed))
            continue;
        struct json **slot = json_edit_at(json_edit(json_edit(doc, "status"), "conditions"), i);
        if (!updated)
            json_set(slot, "lastUpdateTime", json_string(now));
        if (!changed)
            json_set(slot, "lastTransitionTime", json_is_null(since) ? json_string(now) : json_ref(since));
    }
}

bool certificate_mutate(struct api_request *req, const struct json *old, struct json **doc) {
    if (!is_request(req))
        return true;
    if (!old)
        write_requester(req->user, doc);
    else if (req->sub)
        write_times(old, doc);
    return true;
}

/* --- what is asked for --- */

static void check_request(const struct json *doc, struct field_errors *errors) {
    _cleanup_free_ char *pem = certificate_bytes(json_path(doc, "spec", "request"));
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_(pki_csr_finish) struct pki_csr csr = {0};

    if (!strstr(pem, "-----BEGIN CERTIFICATE REQUEST-----"))
        return; /* the kind's own rules have said so */
    int r = pki_csr_read(pem, &csr, &err);
    if (r < 0)
        complain_bytes(errors, "spec.request", pem, error_text(&err, r));
}

void certificate_check(const struct api_request *req, const struct json *old, const struct json *doc,
                       struct field_errors *errors) {
    if (!is_request(req))
        return;
    if (!old)
        check_request(doc, errors);
    const struct json *certificate = json_path(doc, "status", "certificate");
    if (!old || !*json_str_or(certificate, "") || json_equal(certificate, json_path(old, "status", "certificate")))
        return;
    _cleanup_free_ char *pem = certificate_bytes(certificate);
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_json_ struct json *shown = json_string("<certificate data>");
    int r = pki_certificates_check(pem, &err);
    if (r < 0)
        field_errors_add(errors, "FieldValueInvalid", "status.certificate", shown, "%s", error_text(&err, r));
}

/* --- who may --- */

/* On the signer by its name, or on all of its domain. */
static bool may(struct api_request *req, const char *verb, const char *signer) {
    _cleanup_free_ char *domain = xasprintf("%.*s/*", (int) strcspn(signer, "/"), signer);
    struct authz_question q = {.user = req->user,
                               .verb = verb,
                               .group = "certificates.k8s.io",
                               .plural = "signers",
                               .subname = "",
                               .ns = "",
                               .name = signer};

    if (authz_allows(req->api, &q, NULL))
        return true;
    q.name = domain;
    return authz_allows(req->api, &q, NULL);
}

static bool refuse(struct api_request *req, const char *verb, const char *signer) {
    (void) api_forbidden(req, req->name, "user not permitted to %s requests with signerName \"%s\"", verb, signer);
    return false;
}

bool certificate_approval_validate(struct api_request *req, const struct json *old, const struct json *doc) {
    if (!old || !is_sub(req, "approval") || !is_request(req))
        return true;
    return may(req, "approve", signer_of(old)) || refuse(req, "approve", signer_of(old));
}

bool certificate_signing_validate(struct api_request *req, const struct json *old, const struct json *doc) {
    if (!old || !is_sub(req, "status") || !is_request(req))
        return true;
    if (json_equal(json_path(old, "status", "certificate"), json_path(doc, "status", "certificate")) &&
        json_equal(json_path(old, "status", "conditions"), json_path(doc, "status", "conditions")))
        return true;
    return may(req, "sign", signer_of(old)) || refuse(req, "sign", signer_of(old));
}

bool certificate_subject_validate(struct api_request *req, const struct json *old, const struct json *doc) {
    if (old || req->sub || !is_request(req) || strcmp(signer_of(doc), API_CLIENT_SIGNER) != 0)
        return true;
    _cleanup_free_ char *pem = certificate_bytes(json_path(doc, "spec", "request"));
    _cleanup_(error_clear) struct error err = ERROR_INIT;
    _cleanup_(pki_csr_finish) struct pki_csr csr = {0};
    const char *name = json_str_or(json_path(doc, "metadata", "name"), "");
    int r = pki_csr_read(pem, &csr, &err);
    if (r < 0) {
        (void) api_forbidden(req, name, "failed to parse CSR: %s", error_text(&err, r));
        return false;
    }
    for (char **group = csr.organizations; *group; group++) {
        if (strcmp(*group, "system:masters") != 0)
            continue;
        (void) api_forbidden(req, name, "use of %s signer with %s group is not allowed", API_CLIENT_SIGNER, *group);
        return false;
    }
    return true;
}
