/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which pod and which container a person means. */
#ifndef PODIUM_CLI_PODS_H
#define PODIUM_CLI_PODS_H

#include "orchestrator/cli/session.h"

/* "NAME", "pod/NAME", or the first running pod of "deployment/NAME" (any kind with a selector). Told; the exit code.
 * The caller unrefs *ret. */
int pod_by_typed(struct cli *c, const char *typed, struct json **ret) _must_check_;
/* The flag --container, or the pod's default container (its annotation), or the first one, with a remark on stderr when
 * there are several. Borrowed. */
const char *pod_container(const struct cli *c, const struct json *pod);

#endif
