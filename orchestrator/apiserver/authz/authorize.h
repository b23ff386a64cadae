/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * May this user do this? In this order: system:masters may everything; nodes what belongs to them (node_authorizer.h);
 * everybody what Roles and bindings allow (rbac.h). Deny is the default; there are no deny rules.
 */
#ifndef PODIUM_APISERVER_AUTHORIZE_H
#define PODIUM_APISERVER_AUTHORIZE_H

#include "orchestrator/apiserver/request.h"

#define MASTERS_GROUP "system:masters"

struct authz_question {
    const struct api_user *user;
    const char *verb;
    const char *group, *plural, *subname; /* resource requests; subname "" for none */
    const char *ns, *name;                /* "" when absent */
    const char *path;                     /* non-resource requests; NULL otherwise */
    const char *field_selector;           /* of lists and watches; NULL: none */
};

bool user_in_group(const struct api_user *u, const char *group);

/* Any thread. reason (may be NULL): gets a new text, "" when there is nothing to say. */
bool authz_allows(struct apiserver *api, const struct authz_question *q, char **reason);

/*
 * What one user was allowed everywhere, by roles: verbs on resources without regard to namespace and name, which need
 * not be looked up again until a role or binding changes. For those who ask much: the clients inside the process, and
 * connections. Zero it; one user's, one thread at a time.
 */
#define AUTHZ_MEMO_SLOTS 64u
struct authz_memo {
    uint64_t generation;
    struct {
        const char *verb; /* compared as an address: verbs of requests are constants */
        const struct resource *resource;
        const struct subresource *sub;
    } slots[AUTHZ_MEMO_SLOTS];
};

/* Answers 401 or 403 on the request and returns false when it may not go on. */
bool authorize_resource(struct api_request *req);
bool authorize_path(struct api_request *req);
/* The same for a path that names a resource nobody knows: who may not look must not learn what exists. */
bool authorize_unknown(struct api_request *req, const char *verb);
/* May the user of the request do this too? Without an answer made. */
bool authorize_also(struct api_request *req, const char *verb, const char *group, const char *plural,
                    const char *subname, const char *ns, const char *name);

#endif
