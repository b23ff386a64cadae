/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RBAC: the stored roles and bindings, compiled and found by user and group.
 *
 * What it is. An index of the four resources: for each user and group its bindings, for each binding its role's
 * compiled rules. It follows the store by watches, change by change; nothing is read until somebody asks after a
 * change. A decision takes a read lock and looks at the rules of the asker's own bindings only.
 *
 * Freshness. Watches wake late: rbac_touch() before a write of roles or bindings is acknowledged makes what is asked
 * after the acknowledgement see it.
 *
 * Threads. Any.
 */
#ifndef PODIUM_APISERVER_RBAC_H
#define PODIUM_APISERVER_RBAC_H

#include "orchestrator/apiserver/authz/authorize.h"
#include "orchestrator/object/access_rules.h"

struct rbac *rbac_new(struct store *store);
void rbac_free(struct rbac *r);

/* The stored roles and bindings may have changed. */
void rbac_touch(struct rbac *r);
/* A number that changes with every change of roles and bindings. */
uint64_t rbac_generation(struct rbac *r);

/* By roles alone (also for system:masters). reason may be NULL; else *reason gets a new text: by which binding it is
 * allowed, or which roles are missing ("" when there is nothing to say). */
bool rbac_decide(struct rbac *r, const struct authz_question *q, char **reason);

/* Everything a user's bindings give in a namespace ("": by ClusterRoleBindings only): rules as documents. New. */
struct json *rbac_rules_of(struct rbac *r, const struct api_user *u, const char *ns);
/* What of these rules the user does not have there (access_rules_missing()); NULL: nothing. New. */
struct json *rbac_missing(struct rbac *r, const struct api_user *u, const char *ns, const struct json *rules);

#endif
