/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The objects every cluster has from the start: the files of manifests/bootstrap/, embedded in the program. Namespaces
 * are made first, everything else at once, so that all writes share few commits.
 *
 * What is missing is made. Roles and bindings that are there get back what they lack of rules, subjects, labels and
 * annotations (authz/reconcile.h), unless their annotation rbac.authorization.kubernetes.io/autoupdate says "false";
 * what users added stays. Everything else that is there is left as it is.
 */
#ifndef PODIUM_APISERVER_BOOTSTRAP_H
#define PODIUM_APISERVER_BOOTSTRAP_H

#include "orchestrator/apiserver/apiserver.h"

/* Blocks until everything is durable. */
int bootstrap_objects(struct apiserver *api, struct error *err) _must_check_;

#endif
