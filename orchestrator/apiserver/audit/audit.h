/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit log: who asked for what, when, and what came of it, as audit.k8s.io/v1 Events, one JSON line each.
 *
 * How. A request whose route is found and whose user is known gets a record (audit_begin()), whose policy answer says
 * what is kept. Its first event is written then; the second (ResponseStarted) when a long-running answer begins; the
 * last (ResponseComplete) when the request is freed, so no way through the server can forget it. Bodies are taken at
 * the levels Request and RequestResponse only, at the end: the request still holds both.
 *
 * Without an audit log (req->api->audit is NULL) nothing of this is called but for one branch.
 */
#ifndef PODIUM_APISERVER_AUDIT_H
#define PODIUM_APISERVER_AUDIT_H

#include "orchestrator/apiserver/request.h"

struct audit;
/* NULL in *ret when there is no audit log in the options. */
int audit_new(const struct apiserver_audit_options *o, struct audit **ret, struct error *err) _must_check_;
void audit_free(struct audit *a); /* NULL is fine */

/* What only the transport knows. Texts may be NULL. */
struct audit_source {
    const char *uri;       /* as it came; NULL: made from the route (in-process) */
    const char *forwarded; /* X-Forwarded-For */
    const char *address;   /* of the peer, without port */
    const char *id;        /* Audit-ID the client wishes */
};
/* authenticated: false when the credentials were refused. */
void audit_begin(struct api_request *req, const struct audit_source *from, bool authenticated);
/* req->user is somebody else from now on. */
void audit_impersonated(struct api_request *req);
/* The answer's code is known; long_running: its bytes go on for as long as the client likes. */
void audit_answered(struct api_request *req, unsigned code, bool long_running);
/* The last event; frees the record. The request's answer must still be there. */
void audit_end(struct api_request *req);

/* For /metrics. */
struct audit_counts {
    uint64_t events, dropped, by_level[4];
};
void audit_counts(const struct audit *a, struct audit_counts *ret);

#endif
