/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What objects use of a ResourceQuota: upstream's evaluators (pkg/quota/v1/evaluator/core and generic). Pure; any
 * thread.
 *
 * A quota resource name ("requests.cpu", "services.nodeports", "count/deployments.apps") belongs to exactly one kind of
 * object, so each kind is counted by itself. Events, and what is not stored, are never counted.
 */
#ifndef PODIUM_OBJECT_QUOTA_USAGE_H
#define PODIUM_OBJECT_QUOTA_USAGE_H

#include "orchestrator/object/quota/amounts.h"
#include "orchestrator/object/resources.h"

/* Whether objects of the resource can be held to a quota at all. */
bool quota_counts(const struct resource *r);
/* Whether a name in spec.hard is about objects of the resource. */
bool quota_name_is_of(const char *name, const struct resource *r);
/* The resource a name is about, in its storage version; NULL when there is none. */
const struct resource *quota_name_resource(const char *name);

/* Everything the object uses, by every name it has (doc in its storage version). ended: a pod that only its number in
 * "count/pods" is left of; quota_pod_is_over() says it of one document. Adds to what is in ret. */
void quota_usage(const struct resource *r, const struct json *doc, bool ended, struct amounts *ret);
/* The pod has succeeded or failed, or should long have been gone (its grace period is over). now: real time in
 * microseconds. *ret_at (may be NULL): when it will be over by the clock; UINT64_MAX when not. */
bool quota_pod_is_over(const struct json *pod, uint64_t now, uint64_t *ret_at);

/* Whether the object is within the scopes of a quota and is of a kind it counts. */
bool quota_matches(const struct json *quota_spec, const struct resource *r, const struct json *doc);

/* What containers of a new pod fail to say though the quota needs it said: "limits.cpu for: a,b; memory for: a"; NULL
 * when nothing is missing. The caller frees. */
char *quota_missing(const struct json *quota_spec, const struct resource *r, const struct json *doc);

/* Whether something that was refused may fit now: the quota (NULL: it is gone) allows more of something, or less of
 * something is used, than before. */
bool quota_has_more_room(const struct json *old, const struct json *quota);

#endif
