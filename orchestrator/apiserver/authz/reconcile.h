/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a stored role or binding lacks of what it should have from the start, as upstream's reconciliation of bootstrap
 * roles at every start: things are added, never taken away. Pure. */
#ifndef PODIUM_APISERVER_RECONCILE_H
#define PODIUM_APISERVER_RECONCILE_H

#include "podium/base/json.h"

/* Makes documents of files what they are in the cluster: roles and bindings get the label
 * kubernetes.io/bootstrapping=rbac-defaults and the annotation autoupdate=true; aggregated roles get the rules of those
 * among the documents they are made of, so that they hold before any controller runs. Other kinds stay. */
void reconcile_defaults(struct json **docs, size_t n);

/* `have` with what it lacks of `want`; NULL when it lacks nothing, is protected (autoupdate "false"), is no role and no
 * binding, or is bound to another role. New. */
struct json *reconcile_access(const struct json *have, const struct json *want);

#endif
