/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of a CertificateSigningRequest: approved by itself, signed, refused, removed. Pure. Rules and words are
 * kube-controller-manager's (pkg/controller/certificates). */
#ifndef PODIUM_CONTROLLER_CERTIFICATES_DECIDE_H
#define PODIUM_CONTROLLER_CERTIFICATES_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "orchestrator/controller/authority.h"
#include "podium/base/json.h"

#define CSR_SECONDS_DEFAULT (365 * 86400) /* --cluster-signing-duration; also the most anybody gets */
#define CSR_SECONDS_MIN     600
#define CSR_DECIDED_SECONDS 3600  /* issued, denied and failed ones go after an hour */
#define CSR_PENDING_SECONDS 86400 /* those nobody did anything about after a day */

/* The request's PEM text; the caller frees. */
char *csr_pem(const struct json *csr);

/* Approved, not denied, not failed, without a certificate, and for one of the signers here. */
bool csr_wants_signature(const struct json *csr);
/* NULL: may be signed; else why never (static, or formed in *text, which the caller frees). */
const char *csr_refusal(const struct json *csr, const struct certificate_facts *facts, char **text);
/* How long the certificate shall live. */
uint64_t csr_seconds(const struct json *csr);
/* The usages as a vector; the caller frees. */
char **csr_usages(const struct json *csr);

/* Neither approved nor denied, and without a certificate. */
bool csr_is_undecided(const struct json *csr);
/* The permission (subresource of certificatesigningrequests, verb create) by which request number i (0, 1) of the
 * automatic approvals is given, NULL when there is no such. *ret_message: of the condition. */
const char *csr_auto_approval(const struct json *csr, const struct certificate_facts *facts, size_t i,
                              const char **ret_message);
/* A SubjectAccessReview for it. New. */
struct json *csr_access_review(const struct json *csr, const char *permission);

/* The request with a condition more. New. */
struct json *csr_with_condition(const struct json *csr, const char *type, const char *reason, const char *message);
/* The request with its certificate. New. */
struct json *csr_with_certificate(const struct json *csr, const char *pem);

/* When it is to be removed, microseconds; UINT64_MAX: not by what it says now. certificate_end: of its certificate,
 * Unix seconds, or 0. */
uint64_t csr_end(const struct json *csr, int64_t certificate_end);

#endif
