/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Admission: cluster-wide rules between decoding and the store. Plugins are rows of the table in admission.c; each may
 * change the object (mutate), refuse it (validate), or refuse a deletion. They see store snapshots and must not block.
 */
#ifndef PODIUM_APISERVER_ADMISSION_H
#define PODIUM_APISERVER_ADMISSION_H

#include "orchestrator/apiserver/request.h"

/* old: NULL for a creation. False: refused, the answer has been made. */
bool admission_mutate(struct api_request *req, const struct json *old, struct json **doc);
bool admission_validate(struct api_request *req, const struct json *old, const struct json *doc);
bool admission_delete(struct api_request *req, const struct json *old);
/* What a refusal calls an object, which may have no name yet: then what its name is to be made from. */
const char *admission_name(const struct json *doc);

/* Plugins that are off unless named, as bits of struct apiserver's `admission`. list: names with commas between, NULL
 * or
 * "" for none; those that are always on may be named, too. -EINVAL: there is none of that name. */
enum { ADMISSION_OWNER_REFERENCES = 1 << 0 };
int admission_enable(const char *list, unsigned *ret, struct error *err) _must_check_;

/* --- plugins, one file each --- */
bool owner_references_validate(struct api_request *req, const struct json *old, const struct json *doc);
bool namespace_lifecycle_validate(struct api_request *req, const struct json *old, const struct json *doc);
bool namespace_lifecycle_delete(struct api_request *req, const struct json *old);
bool service_account_mutate(struct api_request *req, const struct json *old, struct json **doc);
bool service_account_validate(struct api_request *req, const struct json *old, const struct json *doc);
/* Pods, and what makes them; namespaces are passed on to pod_security_namespace(). */
bool pod_security_validate(struct api_request *req, const struct json *old, const struct json *doc);
bool pod_security_namespace(struct api_request *req, const struct json *old, const struct json *doc);
bool default_tolerations_mutate(struct api_request *req, const struct json *old, struct json **doc);
bool certificate_mutate(struct api_request *req, const struct json *old, struct json **doc);
bool certificate_approval_validate(struct api_request *req, const struct json *old, const struct json *doc);
bool certificate_signing_validate(struct api_request *req, const struct json *old, const struct json *doc);
bool certificate_subject_validate(struct api_request *req, const struct json *old, const struct json *doc);
bool limit_range_mutate(struct api_request *req, const struct json *old, struct json **doc);
bool limit_range_validate(struct api_request *req, const struct json *old, const struct json *doc);
bool new_node_mutate(struct api_request *req, const struct json *old, struct json **doc);
bool priority_delete(struct api_request *req, const struct json *old);
bool priority_mutate(struct api_request *req, const struct json *old, struct json **doc);
bool priority_validate(struct api_request *req, const struct json *old, const struct json *doc);
bool default_storage_class_mutate(struct api_request *req, const struct json *old, struct json **doc);
bool default_ingress_class_mutate(struct api_request *req, const struct json *old, struct json **doc);
bool role_escalation_mutate(struct api_request *req, const struct json *old, struct json **doc);
bool node_restriction_mutate(struct api_request *req, const struct json *old, struct json **doc);
bool node_restriction_delete(struct api_request *req, const struct json *old);
/* The same plugin on pods/eviction (of which pod) and serviceaccounts/token. */
bool node_restriction_evict(struct api_request *req, const struct json *pod);
bool node_restriction_token(struct api_request *req, const struct json *token_request);
bool storage_protection_mutate(struct api_request *req, const struct json *old, struct json **doc);
bool claim_resize_validate(struct api_request *req, const struct json *old, const struct json *doc);
bool runtime_class_mutate(struct api_request *req, const struct json *old, struct json **doc);
bool runtime_class_validate(struct api_request *req, const struct json *old, const struct json *doc);
bool resource_quota_validate(struct api_request *req, const struct json *old, const struct json *doc);
/* The request's write has ended, or starts over: what it was granted of quotas is the store's to show now. */
void resource_quota_settle(struct api_request *req);

#endif
