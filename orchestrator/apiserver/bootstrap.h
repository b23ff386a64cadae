/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The objects every cluster has from the start: namespaces, their default service accounts, cluster roles and bindings.
 * Missing ones are created, present ones are left as they are. */
#ifndef PODIUM_APISERVER_BOOTSTRAP_H
#define PODIUM_APISERVER_BOOTSTRAP_H

#include "orchestrator/apiserver/apiserver.h"

/* Blocks until everything is durable. */
int bootstrap_objects(struct apiserver *api, struct error *err) _must_check_;

#endif
