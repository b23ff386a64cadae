/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Notes on a request for the audit log: what an admission plugin or the authorizer wants remembered of its decision,
 * under upstream's keys ("authorization.k8s.io/decision", "pod-security.kubernetes.io/enforce-policy").
 *
 * Costs one branch when the request is not audited. Strings are copied; a key set twice keeps its first value, as
 * upstream does. On the thread that works on the request.
 */
#ifndef PODIUM_APISERVER_AUDIT_ANNOTATE_H
#define PODIUM_APISERVER_AUDIT_ANNOTATE_H

struct api_request;

void api_audit_annotate(struct api_request *req, const char *key, const char *value);

#endif
