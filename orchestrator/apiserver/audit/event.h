/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An audit event as one line of JSON: audit.k8s.io/v1 Event, members in upstream's order. */
#ifndef PODIUM_APISERVER_AUDIT_EVENT_H
#define PODIUM_APISERVER_AUDIT_EVENT_H

#include "orchestrator/apiserver/audit/audit.h"
#include "orchestrator/apiserver/audit/policy.h"

/* "get" … for resources, the method in lower case for paths. The caller frees. */
char *audit_verb(const struct api_request *req);
/* The members that are the same in all events of a request: requestURI, verb, user, sourceIPs, userAgent. */
void audit_event_head(const struct api_request *req, const struct audit_source *from, const char *verb,
                      bool authenticated, struct strbuf *out);
/* Adds impersonatedUser to them. */
void audit_event_impersonated(const struct api_user *u, struct strbuf *head);
/* One event of req->audit, with a line end. */
void audit_event_write(struct api_request *req, enum audit_stage stage, uint64_t now_usec, struct strbuf *out);

#endif
