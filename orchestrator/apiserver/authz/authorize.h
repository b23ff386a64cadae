/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * May this user do this? RBAC over the stored Roles and bindings, with system:masters above it and a built-in rule set
 * for nodes (system:nodes). Deny is the default; there are no deny rules.
 */
#ifndef PODIUM_APISERVER_AUTHORIZE_H
#define PODIUM_APISERVER_AUTHORIZE_H

#include "orchestrator/apiserver/request.h"

struct authz_question {
    const struct api_user *user;
    const char *verb;
    const char *group, *plural, *subname; /* resource requests; subname "" for none */
    const char *ns, *name;                /* "" when absent */
    const char *path;                     /* non-resource requests; NULL otherwise */
};

struct rbac;
struct rbac *rbac_new(struct store *store);
void rbac_free(struct rbac *r);
/* Any thread. */
bool rbac_allows(struct rbac *r, const struct authz_question *q);
bool user_in_group(const struct api_user *u, const char *group);

/* Answers 401 or 403 on the request and returns false when it may not go on. */
bool authorize_resource(struct api_request *req);
bool authorize_path(struct api_request *req);

#endif
